package rule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"relink/shared/interest"
	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/rulesql"
	"relink/shared/store"
	"relink/shared/store/memory"
)

type anyProduct struct{}

func (anyProduct) Get(_ context.Context, pk iot.ProductKey) (*store.Product, error) {
	return &store.Product{Key: pk}, nil
}

func ptr[T any](v T) *T { return &v }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if r, ok := errors.AsType[*openapi.Refusal](err); !ok || r.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

// running makes a rule that runs.
func running(t *testing.T, s *Service, name string) *store.Rule {
	t.Helper()
	r, err := s.Create(t.Context(), Change{Name: &name, Topic: ptr("/a1product000/+/user/x"), Select: ptr("*")})
	must(t, err)
	_, err = s.CreateAction(t.Context(), r.ID, "MNS", `{"themeName":"t","regionName":"r"}`, false)
	must(t, err)
	must(t, s.Start(t.Context(), r.ID))
	return r
}

func TestCache(t *testing.T) {
	m := memory.New()
	at := time.Now()
	now := func() time.Time { return at }
	s := New(m, anyProduct{}, now)
	var reads atomic.Int64
	m.Fault = func(op string, _ iot.DeviceRef) error {
		if op == "rules.get_many" {
			reads.Add(1)
		}
		return nil
	}
	c := NewCache(interest.NewWatch(m.RuleIndex(), now), m.Rules(), m.Subscriptions(), slog.New(slog.DiscardHandler))
	of := func() *Set {
		t.Helper()
		at = at.Add(5 * time.Second)
		must(t, c.Refresh(t.Context()))
		set, err := c.Of(t.Context(), "a1product000")
		must(t, err)
		return set
	}
	if set := of(); len(set.Rules) != 0 || set.Index == nil {
		t.Errorf("of nothing: %+v", set)
	}
	r := running(t, s, "r1")
	_, err := s.CreateAction(t.Context(), r.ID, "HTTPS", `{"url":"https://x.example"}`, true)
	must(t, err)
	set := of()
	if len(set.Rules) != 1 || len(set.Rules[0].Actions) != 1 || set.Rules[0].OnError == nil || set.Rules[0].Actions[0].Configuration.ThemeName != "t" {
		t.Fatalf("rules: %+v", set.Rules)
	}
	found := 0
	set.Index.Match(nil, &rulesql.Message{Topic: "/a1product000/d/user/x", Payload: []byte(`{}`)}, func(int) bool { found++; return true })
	if found != 1 {
		t.Errorf("the index finds %d rules", found)
	}
	n := reads.Load()
	if again := of(); again != set || reads.Load() != n {
		t.Error("what has not changed was read again")
	}
	r2 := running(t, s, "r2")
	if set = of(); len(set.Rules) != 2 {
		t.Errorf("%d rules", len(set.Rules))
	}
	must(t, s.Update(t.Context(), r2.ID, Change{Where: ptr("a = 1")}))
	if set = of(); set.Rules[1].Where != "a = 1" {
		t.Errorf("the change of a rule that runs is not seen: %+v", set.Rules[1])
	}
	must(t, s.Stop(t.Context(), r.ID))
	must(t, s.Stop(t.Context(), r2.ID))
	if set = of(); len(set.Rules) != 0 {
		t.Errorf("%d rules after they were stopped", len(set.Rules))
	}
}

// A start that broke off between the rule and the index is finished by asking for it again.
func TestStartThatBrokeOff(t *testing.T) {
	m := memory.New()
	s := New(m, anyProduct{}, time.Now)
	r := running(t, s, "r")
	must(t, s.Stop(t.Context(), r.ID))
	m.Fault = func(op string, _ iot.DeviceRef) error {
		if op == "rule_index.put" {
			return iot.Errorf(iot.Unavailable, "no")
		}
		return nil
	}
	if err := s.Start(t.Context(), r.ID); !iot.Is(err, iot.Unavailable) {
		t.Fatalf("got %v", err)
	}
	m.Fault = nil
	wantCode(t, s.Start(t.Context(), r.ID), codeStarted)
	w := interest.NewWatch(m.RuleIndex(), nil)
	must(t, w.Refresh(t.Context()))
	if !w.Any("a1product000") {
		t.Error("the rule is not in the index")
	}
}

func TestNamesAreUniqueInARace(t *testing.T) {
	m := memory.New()
	s := New(m, anyProduct{}, time.Now)
	var wg sync.WaitGroup
	var made atomic.Int64
	for range 4 {
		wg.Go(func() {
			if _, err := s.Create(context.Background(), Change{Name: ptr("one")}); err == nil {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	list, err := s.List(t.Context())
	must(t, err)
	if len(list) > 1 || int64(len(list)) != made.Load() {
		t.Errorf("%d rules of one name, %d made", len(list), made.Load())
	}
}

func TestRuleCount(t *testing.T) {
	m := memory.New()
	s := New(m, anyProduct{}, time.Now)
	for i := range MaxRules {
		must(t, m.Rules().Put(t.Context(), &store.Rule{ID: int64(i + 1), Name: fmt.Sprint("r", i)}))
	}
	_, err := s.Create(t.Context(), Change{Name: ptr("one more")})
	wantCode(t, err, codeCreate) // the space
	_, err = s.Create(t.Context(), Change{Name: ptr("one-more")})
	wantCode(t, err, codeTooMany)
}

func TestActionIDsFitJavaScript(t *testing.T) {
	s := New(memory.New(), anyProduct{}, time.Now)
	r, err := s.Create(t.Context(), Change{Name: ptr("r")})
	must(t, err)
	seen := map[int64]bool{}
	for i := range 5 {
		id, err := s.CreateAction(t.Context(), r.ID, "MNS", fmt.Sprintf(`{"themeName":"t%d","regionName":"r"}`, i), false)
		must(t, err)
		if seen[id] || id >= 1<<53 || RuleOf(id) != r.ID {
			t.Errorf("id %d", id)
		}
		seen[id] = true
		if i == 2 {
			must(t, s.DeleteAction(t.Context(), id))
		}
	}
}

func TestShown(t *testing.T) {
	for _, c := range []struct{ kind, configuration, want string }{
		{"MNS", `{}`, `{"uid":"7"}`},
		{"MNS", `{"a":{"b":"}"}}`, `{"a":{"b":"}"},"uid":"7"}`},
		{"MNS", `{"uid":"9"}`, `{"uid":"9"}`},
		{"OTS", `{"instanceName":"i","regionName":"r"}`, `{"instanceName":"i","regionName":"r","uid":"7","endPoint":"https://i.r.ots.aliyuncs.com"}`},
	} {
		if got := Shown(&store.RuleAction{Type: c.kind, Configuration: []byte(c.configuration)}, "7"); got != c.want {
			t.Errorf("%s: %s, want %s", c.configuration, got, c.want)
		}
	}
}

// Whatever a caller writes as a configuration is refused, or is kept and shown again as a JSON object.
func FuzzConfiguration(f *testing.F) {
	for _, seed := range []string{`{}`, `{"topic":"/a/b/user/c","topicType":"1"}`, `{"topic":"/sys/a/${b}/thing/service/property/set","topicType":0}`,
		`{"instanceName":"i","tableName":"t","regionName":"r","primaryKeys":[{"columnType":"STRING","columnName":"c","columnValue":"${a.b}"}]}`,
		`{"url":"https://h/p","headers":{"a":"b"}}`, `[`, ` {"uid":null} `} {
		for kind := range types {
			f.Add(kind, seed)
		}
	}
	s := New(memory.New(), anyProduct{}, time.Now)
	f.Fuzz(func(t *testing.T, kind, text string) {
		stored, err := s.checkAction(t.Context(), &store.Rule{DataType: "JSON"}, kind, text)
		if err != nil {
			return
		}
		shown := Shown(&store.RuleAction{Type: kind, Configuration: stored}, "7")
		if _, err := rulesql.ParseDocument([]byte(shown)); err != nil || !strings.HasPrefix(shown, "{") {
			t.Errorf("%q is shown as %q: %v", text, shown, err)
		}
	})
}
