package memory

import (
	"cmp"
	"context"
	"slices"

	"relink/shared/iot"
	"relink/shared/store"
)

// eventPlace is the key of an event.
type eventPlace struct {
	time      int64
	messageID string
	sequence  int
}

type events struct{ s *Store }

// Events is the table `event_history`.
func (s *Store) Events() store.Events { return events{s} }

func (e events) Put(ctx context.Context, list []store.Event) []error {
	errs := make([]error, len(list))
	for i := range list {
		end, err := e.s.begin(ctx, "events.put", list[i].Ref)
		if err != nil {
			errs[i] = err
			continue
		}
		v := list[i]
		v.Output = slices.Clone(v.Output)
		of := e.s.events[v.Ref]
		if of == nil {
			of = make(map[eventPlace]store.Event)
			e.s.events[v.Ref] = of
		}
		of[eventPlace{v.Time, v.MessageID, v.Sequence}] = v
		end()
	}
	return errs
}

func (e events) List(ctx context.Context, ref iot.DeviceRef, q store.EventQuery) ([]store.Event, int64, error) {
	end, err := e.s.begin(ctx, "events.list", ref)
	if err != nil {
		return nil, 0, err
	}
	defer end()
	if q.From > q.To || q.Limit <= 0 {
		return nil, 0, nil
	}
	var list []store.Event
	for _, v := range e.s.events[ref] {
		if v.Time >= q.From && v.Time <= q.To && (q.Identifier == "" || v.Identifier == q.Identifier) && (q.Type == "" || v.Type == q.Type) {
			v.Output = slices.Clone(v.Output)
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b store.Event) int {
		order := cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.MessageID, b.MessageID), cmp.Compare(a.Sequence, b.Sequence))
		if !q.Ascending {
			order = -order
		}
		return order
	})
	page := store.EventPage(q.Limit)
	for _, v := range list {
		if !page.Add(v) {
			break
		}
	}
	return page.Items, page.Next, nil
}
