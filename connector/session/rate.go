package session

import (
	"time"

	"relink/connector/limits"
)

// rates count the messages of one device against its limits.
type rates struct {
	limits limits.Rates
	up     [2]limits.Bucket // by QoS; of the goroutine that reads the connection, or the session's lock (MaySendTogether)
	down   limits.Bucket    // the session's lock
}

// Limit sets the device's limits. Without it there are none. It must be called before the session is used.
func (s *Session) Limit(r limits.Rates) { s.rates.limits = r }

// Limits are the device's limits.
func (s *Session) Limits() limits.Rates { return s.rates.limits }

// MaySend counts a message of the device, and answers whether it is within its limit. Only the goroutine that reads the connection may
// call it. now is Unix milliseconds.
func (s *Session) MaySend(qos byte, now int64) bool {
	if qos == 0 {
		return s.rates.up[0].Take(now, s.rates.limits.UpQoS0)
	}
	return s.rates.up[1].Take(now, s.rates.limits.UpQoS1)
}

// MaySendTogether is MaySend for a device whose messages come over several connections, or over none.
func (s *Session) MaySendTogether(qos byte, now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.MaySend(qos, now)
}

// mayReceive counts a message to the device, and answers whether it is within its limit.
func (s *Session) mayReceive() bool {
	if s.rates.limits.Down <= 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rates.down.Take(time.Now().UnixMilli(), s.rates.limits.Down)
}
