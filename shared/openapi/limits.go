package openapi

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"relink/shared/iot"
)

// A LimitPolicy says whose limits hold for calls per second.
type LimitPolicy string

// The policies.
const (
	LimitsDocumented LimitPolicy = "documented" // those of the vendor's documentation, Action.Limit
	LimitsOff        LimitPolicy = "off"
)

// EnvDecode reads a policy from an environment variable (github.com/sethvargo/go-envconfig); an empty one is LimitsDocumented.
func (p *LimitPolicy) EnvDecode(s string) error {
	switch v := LimitPolicy(s); v {
	case "":
		*p = LimitsDocumented
	case LimitsDocumented, LimitsOff:
		*p = v
	default:
		return fmt.Errorf("%q: want %s or %s", s, LimitsDocumented, LimitsOff)
	}
	return nil
}

// Limits holds every access key to Action.Limit calls of an action per second; a second's calls may come at once. There is one
// bucket per key and action that has been called, and only callers whose signature proved right get one, so the keys of the
// installation bound the memory.
//
// It counts in the memory of this process. Function Compute may run several instances, up to the function's reserved
// concurrency: a caller whose calls are spread over them gets as many times the limit. That it protects is the store; an exact
// count would cost a conditional write on every call.
type Limits struct {
	mu      sync.Mutex
	buckets map[bucket]*rate.Limiter
}

type bucket struct{ keyID, action string }

// NewLimits makes the limits of a policy: nil, which lets everything through, for LimitsOff.
func NewLimits(p LimitPolicy) *Limits {
	if p == LimitsOff {
		return nil
	}
	return &Limits{buckets: make(map[bucket]*rate.Limiter)}
}

// take counts one call. Its error is what the vendor answers: Throttling.User, and for a message that is published a refusal.
func (l *Limits) take(keyID string, a *Action, at time.Time) error {
	if l == nil || a.Limit == 0 {
		return nil
	}
	b := bucket{keyID, a.Name}
	l.mu.Lock()
	limiter := l.buckets[b]
	if limiter == nil {
		limiter = rate.NewLimiter(rate.Limit(a.Limit), a.Limit)
		l.buckets[b] = limiter
	}
	l.mu.Unlock()
	switch {
	case limiter.AllowN(at, 1):
		return nil
	case a.Codes == MessageCodes:
		return Refusef(a.Codes[iot.Throttled], "%s takes %d calls per second", a.Name, a.Limit)
	}
	return failf(http.StatusBadRequest, CodeThrottlingUser, "Request was denied due to user flow control: %s takes %d calls per second.", a.Name, a.Limit)
}
