package session

import (
	"sync"
	"sync/atomic"

	"relink/shared/iot"
	"relink/shared/refusal"
)

const shards = 64

// A Registry holds the sessions of this node, at most one per device. The zero value is empty. It is safe for concurrent use.
type Registry struct {
	shards [shards]shard
	n      atomic.Int64
}

type shard struct {
	mu       sync.RWMutex
	sessions map[iot.DeviceRef]*Session
}

func (r *Registry) shard(ref iot.DeviceRef) *shard { return &r.shards[ref.Hash()%shards] }

// Put takes a session in; the one that the device had before is ended ("Duplicate connections"). False means that a newer one is
// there already, and that it is s that has to end.
func (r *Registry) Put(s *Session) bool {
	old, ok := r.Swap(s)
	if old != nil {
		old.End(refusal.TakenOver, "")
	}
	return ok
}

// Swap is Put for whoever ends the old session itself; nil if there was none.
func (r *Registry) Swap(s *Session) (old *Session, ok bool) {
	sh := r.shard(s.Ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	old = sh.sessions[s.Ref]
	if old != nil && old.Grant.Epoch > s.Grant.Epoch {
		return nil, false
	}
	if sh.sessions == nil {
		sh.sessions = make(map[iot.DeviceRef]*Session)
	}
	sh.sessions[s.Ref] = s
	if old == nil {
		r.n.Add(1)
	}
	return old, true
}

// Remove takes a session out, if it is still the device's.
func (r *Registry) Remove(s *Session) {
	sh := r.shard(s.Ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.sessions[s.Ref] != s {
		return
	}
	delete(sh.sessions, s.Ref)
	if len(sh.sessions) == 0 {
		sh.sessions = nil // a map never shrinks
	}
	r.n.Add(-1)
}

// Get finds a device's session; nil if it has none here.
func (r *Registry) Get(ref iot.DeviceRef) *Session {
	sh := r.shard(ref)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.sessions[ref]
}

// Each calls do for every session, without a lock held: what is called may publish. A session that begins or ends meanwhile may be among
// them or not.
func (r *Registry) Each(do func(*Session)) {
	var list []*Session
	for i := range r.shards {
		sh := &r.shards[i]
		list = list[:0]
		sh.mu.RLock()
		for _, s := range sh.sessions {
			list = append(list, s)
		}
		sh.mu.RUnlock()
		for _, s := range list {
			do(s)
		}
	}
}

// Len is the number of sessions.
func (r *Registry) Len() int { return int(r.n.Load()) }
