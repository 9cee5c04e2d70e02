package coap

import "time"

// sweep forgets, every few seconds, what is too old.
func (s *Server) sweep() {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			s.forgetOld(s.now().UnixMilli())
		}
	}
}

func (s *Server) forgetOld(now int64) {
	s.peers.sweep(now)
	s.logins.sweep(now)
	for _, e := range s.tokens.expired(now) {
		s.release(e)
	}
	if s.bodies.Load() > 0 {
		s.tokens.each(func(e *entry) { s.stale(e, now) })
	}
}
