package memory

import (
	"cmp"
	"context"
	"slices"

	"relink/shared/iot"
	"relink/shared/store"
)

// callPlace is the key of a call.
type callPlace struct {
	time      int64
	messageID string
}

type calls struct{ s *Store }

// Calls is the table `service_call`.
func (s *Store) Calls() store.Calls { return calls{s} }

func (c calls) Put(ctx context.Context, list []store.Call) []error {
	errs := make([]error, len(list))
	for i := range list {
		end, err := c.s.begin(ctx, "calls.put", list[i].Ref)
		if err != nil {
			errs[i] = err
			continue
		}
		v := list[i]
		of := c.s.calls[v.Ref]
		if of == nil {
			of = make(map[callPlace]store.Call)
			c.s.calls[v.Ref] = of
		}
		place := callPlace{v.Time, v.MessageID}
		before := of[place]
		v.Input = slices.Clone(v.Input)
		v.Output, v.Code, v.AnsweredAt = before.Output, before.Code, before.AnsweredAt
		of[place] = v
		end()
	}
	return errs
}

func (c calls) Answer(ctx context.Context, a *store.Call) error {
	end, err := c.s.begin(ctx, "calls.answer", a.Ref)
	if err != nil {
		return err
	}
	defer end()
	v, ok := c.s.calls[a.Ref][callPlace{a.Time, a.MessageID}]
	if !ok {
		return iot.Errorf(iot.Conflict, "there is no call %s of device %s", a.MessageID, a.Ref)
	}
	v.Output, v.Code, v.AnsweredAt = slices.Clone(a.Output), a.Code, a.AnsweredAt
	c.s.calls[a.Ref][callPlace{a.Time, a.MessageID}] = v
	return nil
}

func (c calls) List(ctx context.Context, ref iot.DeviceRef, q store.CallQuery) ([]store.Call, int64, error) {
	end, err := c.s.begin(ctx, "calls.list", ref)
	if err != nil {
		return nil, 0, err
	}
	defer end()
	if q.From > q.To || q.Limit <= 0 {
		return nil, 0, nil
	}
	var list []store.Call
	for _, v := range c.s.calls[ref] {
		if v.Time >= q.From && v.Time <= q.To && (q.Identifier == "" || v.Identifier == q.Identifier) {
			v.Input, v.Output = slices.Clone(v.Input), slices.Clone(v.Output)
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b store.Call) int {
		order := cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.MessageID, b.MessageID))
		if !q.Ascending {
			order = -order
		}
		return order
	})
	page := store.CallPage(q.Limit)
	for _, v := range list {
		if !page.Add(v) {
			break
		}
	}
	return page.Items, page.Next, nil
}
