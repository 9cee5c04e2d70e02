package openapi

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	handle := func(context.Context, *Call) (any, error) { return nil, nil }
	query := &Action{Name: "QueryDevice", Limit: 3, Codes: DeviceCodes, Handle: handle}
	free := &Action{Name: "QueryDeviceInfo", Codes: DeviceCodes, Handle: handle}
	pub := &Action{Name: "Pub", Limit: 1, Codes: MessageCodes, Handle: handle}
	l := NewLimits(LimitsDocumented)
	burst := func(key string, a *Action, at time.Time) (passed int, last error) {
		for range 10 {
			if err := l.take(key, a, at); err == nil {
				passed++
			} else {
				last = err
			}
		}
		return passed, last
	}
	n, err := burst("one", query, stamp)
	if f, ok := errors.AsType[*Failure](err); n != 3 || !ok || f.Status != http.StatusBadRequest || f.Code != "Throttling.User" {
		t.Errorf("%d calls in a second, then %v", n, err)
	}
	if n, err := burst("two", query, stamp); n != 3 {
		t.Errorf("another key: %d calls, then %v", n, err)
	}
	if n, err := burst("one", free, stamp); n != 10 {
		t.Errorf("an action without a limit: %d calls, then %v", n, err)
	}
	n, err = burst("one", pub, stamp)
	if r, ok := errors.AsType[*Refusal](err); n != 1 || !ok || r.Code != CodeRateLimit {
		t.Errorf("a message: %d calls, then %v", n, err)
	}
	if n, err := burst("one", query, stamp.Add(time.Second)); n != 3 {
		t.Errorf("a second later: %d calls, then %v", n, err)
	}
	if len(l.buckets) != 3 {
		t.Errorf("%d buckets, want one for each key and action with a limit", len(l.buckets))
	}
	l = NewLimits(LimitsOff)
	if n, err := burst("one", query, stamp); n != 10 {
		t.Errorf("off: %d calls, then %v", n, err)
	}
}

// Whoever cannot sign is not counted: no bucket for a key that does not exist, no call taken from one that does.
func TestLimitsCountSignedCalls(t *testing.T) {
	t.Parallel()
	g, seen := newTestGateway(t, func(context.Context, *Call) (any, error) { return nil, nil })
	g.Actions["BatchGetDeviceState"].Limit = 1
	g.Limits = NewLimits(LimitsDocumented)
	for range 3 {
		r := acs3a()
		r.Header.Set("Authorization", r.Header.Get("Authorization")+"0")
		if status, body, _ := serve(g, r); status != 400 {
			t.Fatalf("%d %s", status, body)
		}
	}
	if len(g.Limits.buckets) != 0 {
		t.Errorf("%d buckets for calls that nobody signed", len(g.Limits.buckets))
	}
	if status, body, _ := serve(g, acs3a()); status != 200 {
		t.Errorf("first call: %d %s", status, body)
	}
	if err := g.Limits.take(testID, g.Actions["BatchGetDeviceState"], stamp); err == nil {
		t.Error("the signed call was not counted")
	}
	if last := (*seen)[len(*seen)-1]; last.Code != CodeOK {
		t.Errorf("observed %+v", last)
	}
}

func TestLimitPolicy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]LimitPolicy{"": LimitsDocumented, "documented": LimitsDocumented, "off": LimitsOff} {
		var p LimitPolicy
		if err := p.EnvDecode(text); err != nil || p != want {
			t.Errorf("%q: %q, %v", text, p, err)
		}
	}
	if err := new(LimitPolicy).EnvDecode("sometimes"); err == nil {
		t.Error("any word is accepted")
	}
}
