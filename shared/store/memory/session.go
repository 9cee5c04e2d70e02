package memory

import (
	"context"
	"slices"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/store"
)

type sessions struct{ s *Store }

func (x sessions) Get(ctx context.Context, ref iot.DeviceRef) (*store.Session, error) {
	end, err := x.s.begin(ctx, "sessions.get", ref)
	if err != nil {
		return nil, err
	}
	defer end()
	return x.read(ref), nil
}

func (x sessions) read(ref iot.DeviceRef) *store.Session {
	session, ok := x.s.sessions[ref]
	if !ok {
		return nil
	}
	return &session
}

func (x sessions) GetMany(ctx context.Context, refs []iot.DeviceRef) ([]*store.Session, error) {
	end, err := x.s.begin(ctx, "sessions.get_many", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	list := make([]*store.Session, len(refs))
	for i, ref := range refs {
		list[i] = x.read(ref)
	}
	return list, nil
}

func (x sessions) Take(ctx context.Context, takes []store.Take) (now, before []*store.Session, errs []error) {
	now, before, errs = make([]*store.Session, len(takes)), make([]*store.Session, len(takes)), make([]error, len(takes))
	for i := range takes {
		end, err := x.s.begin(ctx, "sessions.take", takes[i].Ref)
		if err != nil {
			errs[i] = err
			continue
		}
		before[i] = x.read(takes[i].Ref)
		now[i] = store.NextSession(&takes[i], before[i])
		x.s.sessions[takes[i].Ref] = *now[i]
		end()
	}
	return now, before, errs
}

func (x sessions) Subscribe(ctx context.Context, refs []iot.DeviceRef, subs []device.Subscriptions) []error {
	errs := make([]error, len(refs))
	for i, ref := range refs {
		end, err := x.s.begin(ctx, "sessions.subscribe", ref)
		if err != nil {
			errs[i] = err
			continue
		}
		if session, ok := x.s.sessions[ref]; ok && session.Epoch == subs[i].Epoch {
			session.Subscribed, session.Muted = slices.Clone(subs[i].Subscribed), slices.Clone(subs[i].Muted)
			x.s.sessions[ref] = session
		} else {
			errs[i] = iot.Errorf(iot.Conflict, "a newer session holds device %s", ref)
		}
		end()
	}
	return errs
}

func (x sessions) End(ctx context.Context, refs []iot.DeviceRef, epochs []int64, at []int64) []error {
	errs := make([]error, len(refs))
	for i, ref := range refs {
		end, err := x.s.begin(ctx, "sessions.end", ref)
		if err != nil {
			errs[i] = err
			continue
		}
		if session, ok := x.s.sessions[ref]; ok && session.Epoch <= epochs[i] {
			session.Node, session.OfflineAt = "", at[i]
			x.s.sessions[ref] = session
		}
		end()
	}
	return errs
}

func (x sessions) Hear(ctx context.Context, heard []store.Hearing) []error {
	errs := make([]error, len(heard))
	for i := range heard {
		end, err := x.s.begin(ctx, "sessions.hear", heard[i].Ref)
		if err != nil {
			errs[i] = err
			continue
		}
		if next := store.NextHeard(&heard[i], x.read(heard[i].Ref)); next != nil {
			x.s.sessions[heard[i].Ref] = *next
		}
		end()
	}
	return errs
}
