package session

import "context"

// maxCalls bounds the synchronous calls that wait for one device.
const maxCalls = 64

// A Call waits for the device's answer to one synchronous call ("RRPC"). The first answer wins.
type Call struct {
	id     string
	answer chan []byte
}

// Expect begins to wait for the answer to the call with this message id; nil if too many wait or the id is in use. The caller
// must Forget it.
func (s *Session) Expect(id string) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.calls[id]; taken || len(s.calls) >= maxCalls {
		return nil
	}
	if s.calls == nil {
		s.calls = make(map[string]*Call)
	}
	c := &Call{id: id, answer: make(chan []byte, 1)}
	s.calls[id] = c
	return c
}

// Forget ends the waiting.
func (s *Session) Forget(c *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, c.id)
	if len(s.calls) == 0 {
		s.calls = nil
	}
}

// Answer gives payload, which is copied, to whoever waits; false if nobody does.
func (s *Session) Answer(id string, payload []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[id]
	if c == nil {
		return false
	}
	delete(s.calls, id)
	c.answer <- append([]byte{}, payload...) // has room for one, and nobody else finds c
	return true
}

// Wait returns the answer, or false when ctx ends first.
func (c *Call) Wait(ctx context.Context) ([]byte, bool) {
	select {
	case payload := <-c.answer:
		return payload, true
	case <-ctx.Done():
		return nil, false
	}
}
