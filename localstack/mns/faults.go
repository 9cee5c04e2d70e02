package mns

import (
	"context"
	"sync/atomic"
	"time"
)

// Faults are troubles a server makes on demand. The zero value makes none.
type Faults struct {
	Throttle float64       // fraction of requests answered 403 QpsLimitExceeded without doing anything
	Fail     float64       // fraction of requests answered 500 InternalError without doing anything
	Lose     float64       // fraction of the others whose work is done and whose answer is a cut connection
	Delay    time.Duration // before each request is handled
}

// SetFaults replaces the faults in force.
func (s *Server) SetFaults(f Faults) { s.faults.Store(&f) }

// pause waits for the injected delay; false if the client or the server left.
func (s *Server) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-s.stop.Done():
	}
	return false
}

// Stats are counters since Open, and what is kept now.
type Stats struct {
	Requests  int64            `json:"requests"` // HTTP requests, which is what the service bills, whatever the answer
	Errors    int64            `json:"errors"`   // those answered with a status from 400 on; a receiver that finds nothing is one
	BytesIn   int64            `json:"bytesIn"`  // request bodies
	BytesOut  int64            `json:"bytesOut"` // response bodies
	Calls     map[string]int64 `json:"calls"`    // authenticated requests by the operation's name in the table
	Sent      int64            `json:"sent"`     // messages put into queues, also by topics
	Received  int64            `json:"received"`
	Deleted   int64            `json:"deleted"`
	Expired   int64            `json:"expired"` // removed past their retention
	Published int64            `json:"published"`
	Pushed    int64            `json:"pushed"`       // notifications that a subscriber took
	PushFails int64            `json:"pushFailures"` // attempts that failed
	Dropped   int64            `json:"dropped"`      // notifications given up after their last attempt
	Stored    int64            `json:"storedBytes"`  // messages and notifications kept now
	Waiting   int64            `json:"waiting"`      // receivers that wait now
}

type counters struct {
	requests, errors, bytesIn, bytesOut, sent, received, deleted, expired, published, pushed, pushFails, dropped atomic.Int64

	calls [32]atomic.Int64 // by place in operations
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	c := &s.stats
	calls := map[string]int64{}
	for i := range operations {
		if n := c.calls[i].Load(); n > 0 {
			calls[operations[i].Name] = n
		}
	}
	return Stats{
		Requests: c.requests.Load(), Errors: c.errors.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(), Calls: calls,
		Sent: c.sent.Load(), Received: c.received.Load(), Deleted: c.deleted.Load(), Expired: c.expired.Load(), Published: c.published.Load(),
		Pushed: c.pushed.Load(), PushFails: c.pushFails.Load(), Dropped: c.dropped.Load(), Stored: s.stored.Load(), Waiting: s.waiting.Load(),
	}
}
