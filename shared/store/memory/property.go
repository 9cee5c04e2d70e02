package memory

import (
	"cmp"
	"context"
	"slices"

	"relink/shared/iot"
	"relink/shared/store"
)

type properties struct{ s *Store }

func (p properties) Post(ctx context.Context, posts []store.Post) []error {
	errs := make([]error, len(posts))
	for i := range posts {
		end, err := p.s.begin(ctx, "properties.post", posts[i].Ref)
		if err != nil {
			errs[i] = err
			continue
		}
		p.post(&posts[i])
		end()
	}
	return errs
}

func (p properties) post(post *store.Post) {
	if len(post.Values) == 0 {
		return
	}
	latest, history := p.s.latest[post.Ref], p.s.history[post.Ref]
	if latest == nil {
		latest, history = make(map[string]store.Value), make(map[point]store.Value)
		p.s.latest[post.Ref], p.s.history[post.Ref] = latest, history
	}
	if post.PacketID != 0 {
		came := store.Received{Ref: post.Ref, Receipt: post.Receipt, MessageID: post.MessageID, ReceivedAt: post.ReceivedAt}
		switch {
		case slices.ContainsFunc(post.Values, func(v store.Value) bool { return v.Time == post.ReceivedAt }):
			p.s.posted[post.Ref] = append(p.s.posted[post.Ref], came)
		case !post.HistoryOnly:
			p.s.note(came)
		}
	}
	for _, v := range post.Values {
		v.JSON = slices.Clone(v.JSON)
		if old, ok := latest[v.Identifier]; !post.HistoryOnly && (!ok || v.Time >= old.Time) {
			latest[v.Identifier] = v
		}
		history[point{v.Time, post.MessageID, v.Identifier}] = v
	}
}

func (p properties) Repeated(ctx context.Context, list []store.Received) ([]store.Received, error) {
	found, err := receipts(p).Find(ctx, list)
	if err != nil {
		return nil, err
	}
	end, err := p.s.begin(ctx, "properties.repeated", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	for i := range list {
		for _, came := range p.s.posted[list[i].Ref] {
			if came.Receipt == list[i].Receipt {
				found[i] = came
			}
		}
	}
	return found, nil
}

func (p properties) Latest(ctx context.Context, ref iot.DeviceRef) ([]store.Value, error) {
	end, err := p.s.begin(ctx, "properties.latest", ref)
	if err != nil {
		return nil, err
	}
	defer end()
	values := make([]store.Value, 0, len(p.s.latest[ref]))
	for _, v := range p.s.latest[ref] {
		v.JSON = slices.Clone(v.JSON)
		values = append(values, v)
	}
	slices.SortFunc(values, func(a, b store.Value) int { return cmp.Compare(a.Identifier, b.Identifier) })
	return values, nil
}

func (p properties) History(ctx context.Context, ref iot.DeviceRef, identifier string, from, to int64, ascending bool, limit int) ([]store.Value, int64, error) {
	end, err := p.s.begin(ctx, "properties.history", ref)
	if err != nil {
		return nil, 0, err
	}
	defer end()
	if from > to || limit <= 0 {
		return nil, 0, nil
	}
	var points []point
	for at := range p.s.history[ref] {
		if at.identifier == identifier && at.time >= from && at.time <= to {
			points = append(points, at)
		}
	}
	slices.SortFunc(points, func(a, b point) int {
		order := cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.messageID, b.messageID))
		if !ascending {
			order = -order
		}
		return order
	})
	page := store.ValuePage(limit)
	for _, at := range points {
		v := p.s.history[ref][at]
		v.JSON = slices.Clone(v.JSON)
		if !page.Add(v) {
			break
		}
	}
	return page.Items, page.Next, nil
}
