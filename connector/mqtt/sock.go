package mqtt

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// openingRest is what may be left for a peer that has not logged in: the server's part of a TLS handshake and a few answers.
const openingRest = 32 << 10

// errRestTooLong breaks a connection whose peer reads nothing while it keeps asking.
var errRestTooLong = errors.New("too much waits to be read by the peer")

// A sock is an accepted TCP connection whose Write never waits for the peer: what the kernel does not take at once is written by
// a goroutine that exists only while something is left. So whoever has something for a device that does not read goes on. What is
// left is bounded: above the bound the connection is broken.
type sock struct {
	*net.TCPConn
	raw      syscall.RawConn
	patience time.Duration // a Write of the goroutine that takes longer ends the connection
	wg       *sync.WaitGroup
	idle     func() // all is written; set before the first Write
	failed   func() // the goroutine gave up; set before the first Write

	mu       sync.Mutex
	rest     []byte // not written yet
	limit    int    // of rest
	draining bool
	broken   bool // nothing is written any more

	attempt func(fd uintptr) bool // tries to write p once; made once, so that a Write allocates nothing
	p       []byte
	n       int
	errno   error
}

func newSock(c *net.TCPConn, patience time.Duration, wg *sync.WaitGroup) (*sock, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &sock{TCPConn: c, raw: raw, patience: patience, wg: wg, limit: openingRest}
	s.attempt = func(fd uintptr) bool {
		for {
			s.n, s.errno = syscall.Write(int(fd), s.p)
			if s.errno != syscall.EINTR {
				return true
			}
		}
	}
	return s, nil
}

// allow sets the bound of what may be left.
func (s *sock) allow(limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
}

// Write takes all of p, or the connection is broken.
func (s *sock) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.broken:
		return 0, net.ErrClosed
	case s.draining && len(s.rest)+len(p) > s.limit:
		s.broken, s.rest = true, nil
		s.wg.Go(s.failed) // it may take locks that are held here
		return 0, errRestTooLong
	case s.draining:
		s.rest = append(s.rest, p...)
		return len(p), nil
	}
	s.p = p
	err := s.raw.Write(s.attempt)
	n := max(s.n, 0)
	if err == nil && s.errno != syscall.EAGAIN {
		err = s.errno
	}
	s.p, s.n, s.errno = nil, 0, nil
	if err != nil {
		return 0, err
	}
	if n < len(p) {
		s.rest = append(s.rest, p[n:]...)
		s.draining = true
		s.wg.Go(s.drain)
	}
	return len(p), nil
}

// busy reports whether something is left that the peer has not taken. idle is called when that is over.
func (s *sock) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

func (s *sock) drain() {
	for {
		s.mu.Lock()
		p := s.rest
		s.rest = nil
		if len(p) == 0 {
			// Whoever writes next has no deadline: it does not wait.
			s.broken = s.broken || s.SetWriteDeadline(time.Time{}) != nil
			s.draining = s.broken
			broken := s.broken
			s.mu.Unlock()
			if broken {
				s.failed()
			} else {
				s.idle()
			}
			return
		}
		s.mu.Unlock()
		if err := s.write(p); err != nil {
			s.mu.Lock()
			s.broken = true // draining stays set: idle is not called any more
			s.mu.Unlock()
			s.failed()
			return
		}
	}
}

func (s *sock) write(p []byte) error {
	if err := s.SetWriteDeadline(time.Now().Add(s.patience)); err != nil {
		return err
	}
	_, err := s.TCPConn.Write(p)
	return err
}
