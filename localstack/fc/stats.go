package fc

import (
	"sync/atomic"
	"time"
)

// Stats count what a function did since the server started.
type Stats struct {
	Invocations    int64 // accepted or refused, retries of asynchronous ones included
	FunctionErrors int64 // the function failed, timed out or exited
	Throttled      int64 // 429
	SystemErrors   int64 // other refusals
	ColdStarts     int64
	Hooks          int64 // initializer and preStop calls: billed like invocations
	Billed         time.Duration
	Instances      int   // now
	AsyncBacklog   int   // asynchronous events that wait or run now
	AsyncDropped   int64 // given up after retries or age
	CPU            float64
	MemoryMB       int
}

type counters struct {
	invocations, functionErrors, throttled, systemErrors, coldStarts, hooks, billed, asyncDropped atomic.Int64
}

func (c *counters) countError(e *apiError) {
	if e.Status == 429 {
		c.throttled.Add(1)
	} else {
		c.systemErrors.Add(1)
	}
}

// Stats returns the counters by function name.
func (s *Server) Stats() map[string]Stats {
	out := make(map[string]Stats, len(s.functions))
	for name, f := range s.functions {
		c := &f.counters
		st := Stats{
			Invocations: c.invocations.Load(), FunctionErrors: c.functionErrors.Load(), Throttled: c.throttled.Load(),
			SystemErrors: c.systemErrors.Load(), ColdStarts: c.coldStarts.Load(), Hooks: c.hooks.Load(),
			Billed: time.Duration(c.billed.Load()), AsyncDropped: c.asyncDropped.Load(),
			AsyncBacklog: f.lane.length(), CPU: f.CPU, MemoryMB: f.MemoryMB,
		}
		f.mu.Lock()
		st.Instances = len(f.instances)
		f.mu.Unlock()
		out[name] = st
	}
	return out
}

// Processes returns the process ids of all instances by function name.
func (s *Server) Processes() map[string][]int {
	out := make(map[string][]int)
	for name, f := range s.functions {
		for _, inst := range f.all() {
			if !inst.gone() {
				out[name] = append(out[name], inst.proc.Load().pid)
			}
		}
	}
	return out
}
