package mns

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// testHints sends, receives, changes, deletes and moves the clock, and compares with a list of messages.
func testHints(t *testing.T, s *Server, now *time.Time) {
	t.Helper()
	type message struct {
		state
		id     uint64
		handle string
	}
	random := rand.New(rand.NewPCG(1, 2))
	q := s.queues["q"]
	var model []message
	at := func(id uint64) int { return slices.IndexFunc(model, func(m message) bool { return m.id == id }) }
	for step := range 3000 {
		ms := now.UnixMilli()
		model = slices.DeleteFunc(model, func(m message) bool { return m.expired(ms, 200) })
		switch n := random.IntN(10); {
		case n < 3:
			list := []outgoing{{body: []byte("x"), state: state{priority: uint8(1 + random.IntN(3))}}}
			if err := s.send(q, list, []int64{int64(random.IntN(2) * random.IntN(20))}); err != nil {
				t.Fatal(err)
			}
			model = append(model, message{state: list[0].state, id: list[0].id, handle: list[0].receipt().String()})
		case n < 6:
			want := 0
			for _, m := range model {
				if m.class == active || m.visible <= ms {
					want++
				}
			}
			count := 1 + random.IntN(4)
			found, err := s.take(q, count)
			if err != nil || len(found) != min(count, want) {
				t.Fatalf("step %d: received %d of %d, want %d, %v", step, len(found), count, min(count, want), err)
			}
			for _, d := range found {
				i := at(d.id)
				if i < 0 {
					t.Fatalf("step %d: received %d, which should not be there", step, d.id)
				}
				if m := model[i]; m.class != active && m.visible > ms || m.count+1 != d.count {
					t.Fatalf("step %d: received %+v, want %+v visible", step, d.state, m.state)
				}
				model[i] = message{state: d.state, id: d.id, handle: receipt{d.priority, d.id, d.visible, d.token}.String()}
			}
		case n < 8:
			if len(model) == 0 {
				continue
			}
			i := random.IntN(len(model))
			m := model[i]
			failures, err := s.deleteHandles(q, []string{m.handle})
			if err != nil {
				t.Fatal(err)
			}
			holds := m.class != active && m.visible > ms
			if (failures[0] == nil) != holds {
				t.Fatalf("step %d: delete of %+v: %v", step, m.state, failures[0])
			}
			if failures[0] == nil {
				model = slices.Delete(model, i, i+1)
			}
		case n < 9:
			*now = now.Add(time.Duration(random.IntN(15_000)) * time.Millisecond)
		default:
			if _, err := s.sweep(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.sweep(); err != nil {
		t.Fatal(err)
	}
	ms := now.UnixMilli()
	model = slices.DeleteFunc(model, func(m message) bool { return m.expired(ms, 200) })
	if n := q.counts[0] + q.counts[1] + q.counts[2]; n != int64(len(model)) || q.bytes != n || s.stored.Load() != n {
		t.Errorf("%d messages of %d bytes, want %d", n, q.bytes, len(model))
	}
}
