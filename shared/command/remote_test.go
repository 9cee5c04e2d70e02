package command_test

import (
	"context"
	"errors"
	"testing"

	"relink/shared/command"
	"relink/shared/downlink"
	"relink/shared/fc"
	"relink/shared/iot"
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

func TestRemote(t *testing.T) {
	t.Parallel()
	f := &fakeFC{body: `{"state":"dropped","epoch":7}`}
	o, err := command.Remote{FC: f}.Command(t.Context(), downlink.Command{Drop: &downlink.Drop{ProductKey: "a1", DeviceName: "d", Reason: "deleted"}})
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
		_, err := command.Remote{FC: &fakeFC{body: test.body, err: test.err}}.Command(t.Context(), downlink.Command{})
		if !iot.Is(err, test.kind) {
			t.Errorf("%+v: %v, want %s", test, err, test.kind)
		}
	}
}
