package interest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"relink/shared/iot"
	"relink/shared/message"
	"relink/shared/rulesql"
	"relink/shared/store"
	"relink/shared/store/memory"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func putRule(t *testing.T, s Stores, id int64, pk iot.ProductKey, short string, topicType int, running bool) *store.Rule {
	t.Helper()
	r := &store.Rule{ID: id, Name: fmt.Sprint("r", id), ProductKey: pk, ShortTopic: short, TopicType: topicType, Running: running}
	must(t, s.Rules().Put(t.Context(), r))
	return r
}

func TestEverySourceHasAKind(t *testing.T) {
	for s := rulesql.Custom; s <= rulesql.OTAJob; s++ {
		if KindOf(s) == 0 {
			t.Errorf("source %s has no kind", s)
		}
	}
}

func TestTopics(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"/a/d/user/x", "/a/d/user/x", true},
		{"/a/d/user/x", "/a/d/user/y", false},
		{"/a/d/user/x", "/a/d/user", false},
		{"/a/d/user/x", "/a/d/user/x/y", false},
		{"/a/+/user/x", "/a/d/user/x", true},
		{"/a/+/user/x", "/a/user/x", false},
		{"/a/+/user/+", "/a/d/user/x", true},
		{"/a/+/user/+", "/a/d/user", false},
		{"/a/+/user/+/e", "/a/d/user/x/e", true},
		{"/a/+/user/#", "/a/d/user/x/e", true},
		{"/a/+/user/#", "/a/d/user", true},
		{"/a/+/user/#", "/a/d/use", false},
		{"/a/+/#", "/a/d", true},
		{"/as/mqtt/status/a/+", "/as/mqtt/status/a/d", true},
		{"/a/d/user/x/", "/a/d/user/x", false},
	} {
		set := new(topics)
		set.add("/a/other/user/z")
		set.add("/a/+/user/x/never")
		set.add(c.filter)
		if got := set.match(c.topic); got != c.want {
			t.Errorf("%s fits %s: %t, want %t", c.topic, c.filter, got, c.want)
		}
	}
	if (*topics)(nil).match("/a") {
		t.Error("no filters fit")
	}
}

func TestRebuild(t *testing.T) {
	s := memory.New()
	putRule(t, s, 1, "a1", "+/thing/event/property/post", 0, true)
	putRule(t, s, 2, "a1", "+/user/#", 1, false)
	putRule(t, s, 3, "b1", "+", 2, true)
	putRule(t, s, 4, "", "", -1, false)
	must(t, s.Subscriptions().Put(t.Context(), &store.Subscription{ProductKey: "a1", Type: MNS,
		Flags: store.SubscriptionFlags{DeviceLifecycle: true, DeviceTags: true, OTAVersion: true, OTAJob: true}}))
	must(t, s.Subscriptions().Put(t.Context(), &store.Subscription{ProductKey: "c1", Type: AMQP, Flags: store.SubscriptionFlags{DeviceData: true}}))
	for range 2 {
		must(t, Rebuild(t.Context(), s))
	}
	text, version, err := s.RuleIndex().Get(t.Context())
	must(t, err)
	const want = `{"products":{"a1":{"rules":[{"id":1,"revision":1,"kind":3,"topic":"/a1/+/thing/event/property/post"}],"subscriptions":[{"type":"MNS","revision":1,"kinds":[8]}]},` +
		`"b1":{"rules":[{"id":3,"revision":1,"kind":2,"topic":"/as/mqtt/status/b1/+"}]}}}`
	if string(text) != want || version != 1 {
		t.Errorf("version %d\n%s\nwant 1\n%s", version, text, want)
	}
	w := NewWatch(s.RuleIndex(), nil)
	must(t, w.Refresh(t.Context()))
	for _, c := range []struct {
		kind  message.Kind
		pk    iot.ProductKey
		topic string
		want  bool
	}{
		{message.Property, "a1", "/a1/d/thing/event/property/post", true},
		{message.Event, "a1", "/a1/d/thing/event/x/post", false},
		{message.Custom, "a1", "/a1/d/user/x", false},
		{message.Lifecycle, "a1", "/a1/d/thing/lifecycle", true},
		{message.Tags, "a1", "/a1/d/thing/deviceinfo/update", false},
		{message.Status, "b1", "/as/mqtt/status/b1/d", true},
		{message.Status, "a1", "/as/mqtt/status/a1/d", false},
		{message.Property, "c1", "/c1/d/thing/event/property/post", false},
		{message.Kind(99), "a1", "/a1", false},
	} {
		if got := w.Wants(c.kind, c.pk, c.topic); got != c.want {
			t.Errorf("%s of %s: %t, want %t", c.kind, c.topic, got, c.want)
		}
	}
	if !w.Any("a1") || w.Any("c1") {
		t.Error("Any is wrong")
	}
}

// A change that broke off after its first write is made good for by the next change of something else.
func TestBrokenOffChange(t *testing.T) {
	s := memory.New()
	putRule(t, s, 1, "a1", "+/user/x", 1, true)
	s.Fault = func(op string, _ iot.DeviceRef) error {
		if op == "rule_index.put" {
			return iot.Errorf(iot.Unavailable, "no")
		}
		return nil
	}
	if err := Rebuild(t.Context(), s); !iot.Is(err, iot.Unavailable) {
		t.Fatalf("got %v", err)
	}
	s.Fault = nil
	putRule(t, s, 2, "b1", "+/user/x", 1, true)
	must(t, Rebuild(t.Context(), s))
	w := NewWatch(s.RuleIndex(), nil)
	must(t, w.Refresh(t.Context()))
	if !w.Any("a1") || !w.Any("b1") {
		t.Error("a rule is missing")
	}
}

// However many change rules at the same time, the last document has all changes.
func TestConcurrentChanges(t *testing.T) {
	s := memory.New()
	var wg sync.WaitGroup
	for i := range 4 {
		pk := iot.ProductKey(fmt.Sprint("p", i))
		putRule(t, s, int64(i), pk, "+/user/x", 1, false)
		wg.Go(func() {
			r, err := s.Rules().Get(context.Background(), int64(i))
			if err == nil {
				r.Running = true
				err = s.Rules().Put(context.Background(), r)
			}
			if err == nil {
				err = Rebuild(context.Background(), s)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w := NewWatch(s.RuleIndex(), nil)
	must(t, w.Refresh(t.Context()))
	for i := range 4 {
		if !w.Any(iot.ProductKey(fmt.Sprint("p", i))) {
			t.Errorf("p%d is missing", i)
		}
	}
}

// A change is effective within five seconds, for a watch that is in use and for one in a function that was frozen.
func TestChangeIsEffectiveWithinFiveSeconds(t *testing.T) {
	for name, before := range map[string]time.Duration{"in_use": 5 * time.Second, "frozen": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memory.New()
				reads := new(atomic.Int64)
				s.Fault = func(op string, _ iot.DeviceRef) error {
					if op == "rule_index.version" || op == "rule_index.get" {
						reads.Add(1)
					}
					return nil
				}
				w := NewWatch(s.RuleIndex(), nil)
				must(t, w.Refresh(t.Context()))
				wants := func() bool { return w.Wants(message.Custom, "a1", "/a1/d/user/x") }
				if wants() {
					t.Fatal("wanted before there is a rule")
				}
				if name == "in_use" {
					for range 50 {
						time.Sleep(before / 50)
						wants()
					}
				}
				putRule(t, s, 1, "a1", "+/user/x", 1, true)
				must(t, Rebuild(t.Context(), s))
				if name == "frozen" {
					time.Sleep(before)
					must(t, w.Refresh(t.Context())) // once per batch
					if !wants() {
						t.Fatal("a function that thaws does not see the change")
					}
					return
				}
				changed := time.Now()
				for !wants() {
					time.Sleep(50 * time.Millisecond)
					if time.Since(changed) > 5*time.Second {
						t.Fatal("the change is not effective after 5 s")
					}
				}
				if n := reads.Load(); n > 7 { // the first, one for each of 5 s / 2 s, and two for the change; Rebuild reads too
					t.Errorf("%d reads", n)
				}
			})
		})
	}
}

type hanging struct {
	store.RuleIndex
	hang, fail atomic.Bool
}

func (h *hanging) wait() error {
	if h.hang.Load() {
		time.Sleep(8 * time.Second)
	}
	if h.fail.Load() {
		return errors.New("no answer")
	}
	return nil
}

func (h *hanging) Version(ctx context.Context) (int64, error) {
	if err := h.wait(); err != nil {
		return 0, err
	}
	return h.RuleIndex.Version(ctx)
}

func (h *hanging) Get(ctx context.Context) ([]byte, int64, error) {
	if err := h.wait(); err != nil {
		return nil, 0, err
	}
	return h.RuleIndex.Get(ctx)
}

func TestTableDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		putRule(t, s, 1, "a1", "+/user/x", 1, true)
		must(t, Rebuild(t.Context(), s))
		index := &hanging{RuleIndex: s.RuleIndex()}
		w := NewWatch(index, nil)
		index.fail.Store(true)
		if err := w.Refresh(t.Context()); !iot.Is(err, iot.Unavailable) {
			t.Fatalf("with nothing known: %v", err)
		}
		if !w.Wants(message.Custom, "zz", "/zz/d/user/x") {
			t.Error("what is not known is passed over")
		}
		index.fail.Store(false)
		time.Sleep(retryAfter)
		must(t, w.Refresh(t.Context()))
		if w.Any("zz") {
			t.Error("wanted though nobody does")
		}

		index.hang.Store(true)
		index.fail.Store(true)
		time.Sleep(time.Minute)
		began := time.Now()
		must(t, w.Refresh(t.Context()))
		if d := time.Since(began); d > readFor {
			t.Errorf("blocked for %s", d)
		}
		if !w.Wants(message.Custom, "a1", "/a1/d/user/x") || w.Any("zz") {
			t.Error("the old document is not in force")
		}
		time.Sleep(10 * time.Second) // the read ends
		index.hang.Store(false)
		began = time.Now()
		for range 100 {
			must(t, w.Refresh(t.Context()))
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("blocked for %s", d)
		}
		index.fail.Store(false)
		time.Sleep(2 * time.Second)
		must(t, w.Refresh(t.Context()))
	})
}

func TestWantsAllocatesNothing(t *testing.T) {
	w := benchWatch(t, 1000)
	for _, c := range []struct{ pk, topic string }{{"a1", "/a1/dev/user/r999/x"}, {"a1", "/a1/dev/user/none"}, {"zz", "/zz/dev/user/x"}} {
		if n := testing.AllocsPerRun(100, func() { w.Wants(message.Custom, iot.ProductKey(c.pk), c.topic) }); n != 0 {
			t.Errorf("%s: %v allocations", c.topic, n)
		}
	}
}

func benchWatch(t testing.TB, rules int) *Watch {
	s := memory.New()
	for i := range rules {
		r := &store.Rule{ID: int64(i), ProductKey: "a1", ShortTopic: fmt.Sprintf("+/user/r%d/+", i), TopicType: 1, Running: true}
		if err := s.Rules().Put(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := Rebuild(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	w := NewWatch(s.RuleIndex(), func() time.Time { return at })
	if err := w.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	return w
}

func BenchmarkWants(b *testing.B) {
	w := benchWatch(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		w.Wants(message.Custom, "a1", "/a1/dev/user/r999/x")
	}
}
