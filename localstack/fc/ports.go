package fc

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// ports hands out listening ports for custom runtimes, below the range that systems use for outgoing
// connections, so that those do not take one between its choice and the function's listen.
type ports struct {
	mu   sync.Mutex
	used map[int]bool
}

const firstPort, portCount = 20000, 12000

var errNoPort = errors.New("no free port between 20000 and 31999")

func (p *ports) take() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := rand.IntN(portCount)
	for range portCount {
		port := firstPort + at
		at = (at + 1) % portCount
		if p.used[port] {
			continue
		}
		l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		l.Close()
		if p.used == nil {
			p.used = make(map[int]bool)
		}
		p.used[port] = true
		return port, nil
	}
	return 0, errNoPort
}

func (p *ports) free(port int) {
	p.mu.Lock()
	delete(p.used, port)
	p.mu.Unlock()
}
