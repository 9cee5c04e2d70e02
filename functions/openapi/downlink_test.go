package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"relink/shared/config"
	"relink/shared/downlink"
	"relink/shared/fc"
	"relink/shared/iot"
	"relink/shared/openapi"
)

type fakeFC struct {
	function, event string
	body            string
	err             error
}

func (f *fakeFC) Invoke(_ context.Context, function string, event []byte) (fc.Result, error) {
	f.function, f.event = function, string(event)
	return fc.Result{Body: []byte(f.body)}, f.err
}

func TestCommandFunction(t *testing.T) {
	t.Parallel()
	f := &fakeFC{body: `{"state":"dropped","epoch":7}`}
	o, err := fcCommander{f}.Command(t.Context(), downlink.Command{Drop: &downlink.Drop{ProductKey: "a1", DeviceName: "d", Reason: "deleted"}})
	if err != nil || o.State != downlink.Dropped || o.Epoch != 7 {
		t.Errorf("%+v, %v", o, err)
	}
	if want := `{"drop":{"productKey":"a1","deviceName":"d","reason":"deleted"}}`; f.function != "command" || f.event != want {
		t.Errorf("invoked %s with %s, want %s", f.function, f.event, want)
	}
	for _, test := range []struct {
		body string
		err  error
		kind iot.Kind
	}{
		{`{}`, nil, iot.Internal},
		{`nonsense`, nil, iot.Internal},
		{"", &fc.Error{Status: 429}, iot.Throttled},
		{"", &fc.Error{Status: 503}, iot.Unavailable},
		{"", &fc.Error{Err: context.DeadlineExceeded}, iot.Timeout},
		{"", &fc.Error{Status: 200, Code: "UnhandledInvocationError"}, iot.Internal},
		{"", errors.New("other"), iot.Internal},
	} {
		_, err := fcCommander{&fakeFC{body: test.body, err: test.err}}.Command(t.Context(), downlink.Command{})
		if !iot.Is(err, test.kind) {
			t.Errorf("%+v: %v, want %s", test, err, test.kind)
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	i := newIDs(func() time.Time { return time.UnixMilli(1767225600000) })
	i.alink.Store(1<<31 - 3)
	for _, want := range []string{"2147483646", "2147483647", "1", "2"} { // never 0, never above 2147483647
		if got := i.request(); got != want {
			t.Errorf("request id %s, want %s", got, want)
		}
	}
	last := ""
	for range 1000 {
		id := i.message()
		if len(id) != 19 || id <= last {
			t.Fatalf("message id %s after %s", id, last)
		}
		last = id
	}
}

func TestConfig(t *testing.T) {
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "a")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "b")
	t.Setenv("RELINK_API_KEYS", "id:secret,id2:secret2")
	var cfg Config
	if err := config.Read(&cfg); err != nil || cfg.Keys.Len() != 2 || cfg.Cloud.Region != "cn-shanghai" || cfg.Limits != openapi.LimitsDocumented {
		t.Errorf("%+v, %v", cfg, err)
	}
	t.Setenv("RELINK_API_LIMITS", "off")
	cfg = Config{}
	if err := config.Read(&cfg); err != nil || cfg.Limits != openapi.LimitsOff {
		t.Errorf("limits %q, %v", cfg.Limits, err)
	}
	t.Setenv("RELINK_API_KEYS", "nonsense")
	if err := config.Read(new(Config)); err == nil {
		t.Error("malformed keys are accepted")
	}
}
