package fc

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// Faults are what the emulator does wrong on purpose. Fractions are between 0 and 1. The zero value is a service
// without faults.
type Faults struct {
	Functions    []string                 // names that are affected; empty means all
	Throttle     float64                  // answered 429 ResourceExhausted without running
	Fail         float64                  // answered 503 ServiceUnavailable without running
	Delay        time.Duration            // before each invocation
	LoseResponse float64                  // run, then the connection is closed without an answer
	ColdStart    time.Duration            // added to each start of an instance
	CrashEvery   map[string]time.Duration // per function: kill an instance at this interval
}

// SetFaults replaces the injected faults. It may be called at any time.
func (s *Server) SetFaults(f Faults) {
	f.Functions = slices.Clone(f.Functions)
	crashes := make(map[string]time.Duration, len(f.CrashEvery))
	for name, every := range f.CrashEvery {
		if every > 0 {
			crashes[name] = every
		}
	}
	f.CrashEvery = crashes
	s.faults.Store(&f)
}

func (s *Server) faultsFor(function string) Faults {
	f := s.faults.Load()
	if f == nil || len(f.Functions) > 0 && !slices.Contains(f.Functions, function) {
		return Faults{}
	}
	return *f
}

// inject applies what happens before an invocation.
func (s *Server) inject(ctx context.Context, f Faults) *apiError {
	if f.Delay > 0 {
		t := time.NewTimer(f.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return errClientClosed
		}
	}
	switch {
	case f.Throttle > 0 && rand.Float64() < f.Throttle:
		return errExhausted("injected throttling")
	case f.Fail > 0 && rand.Float64() < f.Fail:
		return &apiError{http.StatusServiceUnavailable, "ServiceUnavailable", "injected failure"}
	}
	return nil
}

func (f Faults) loses() bool { return f.LoseResponse > 0 && rand.Float64() < f.LoseResponse }

// pause waits unless the server is closed in a hurry.
func (s *Server) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

// KillInstance kills (SIGKILL) the oldest instance of a function and tells whether there was one.
func (s *Server) KillInstance(function string) bool {
	f := s.functions[function]
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.instances) == 0 {
		return false
	}
	f.instances[0].kill("killed on request")
	return true
}

// crashes kills instances as Faults.CrashEvery says; next remembers when, by function.
func (s *Server) crashes(now time.Time, next map[string]time.Time) {
	f := s.faults.Load()
	if f == nil {
		clear(next)
		return
	}
	for name := range next {
		if _, still := f.CrashEvery[name]; !still {
			delete(next, name)
		}
	}
	for name, every := range f.CrashEvery {
		due, known := next[name]
		if !known {
			next[name] = now.Add(every)
			continue
		}
		if !now.Before(due) {
			next[name] = now.Add(every)
			if s.KillInstance(name) {
				s.log.Info("instance crashed on purpose", "function", name)
			}
		}
	}
}
