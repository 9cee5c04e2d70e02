package mqtt

import "sync"

// A flusher writes out what waits in connections, with a few goroutines for all of them: whoever queues a packet does not pay for
// the system call, and packets that meet in a queue share one. A connection is in the list at most once, so the list is bounded by
// the number of connections.
type flusher struct {
	mu     sync.Mutex
	cond   sync.Cond
	list   []*conn // from head on
	head   int
	closed bool
}

func newFlusher() *flusher {
	f := &flusher{}
	f.cond.L = &f.mu
	return f
}

// add puts a connection, which is not in the list, into it.
func (f *flusher) add(c *conn) {
	f.mu.Lock()
	f.list = append(f.list, c)
	wake := len(f.list)-f.head == 1
	f.mu.Unlock()
	if wake {
		f.cond.Signal()
	}
}

// run writes until close, and then until the list is empty.
func (f *flusher) run() {
	const share = 16 // taken at a time, so that another goroutine has work too
	var mine [share]*conn
	for {
		f.mu.Lock()
		for f.head == len(f.list) {
			if f.closed {
				f.mu.Unlock()
				return
			}
			f.cond.Wait()
		}
		n := copy(mine[:], f.list[f.head:])
		clear(f.list[f.head : f.head+n])
		f.head += n
		left := len(f.list) - f.head
		if left == 0 || f.head > len(f.list)/2 && f.head > 1024 {
			copy(f.list, f.list[f.head:])
			clear(f.list[left:])
			f.list, f.head = f.list[:left], 0
		}
		f.mu.Unlock()
		if left > 0 {
			f.cond.Signal()
		}
		for i, c := range mine[:n] {
			c.flush()
			mine[i] = nil
		}
	}
}

func (f *flusher) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cond.Broadcast()
}
