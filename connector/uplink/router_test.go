package uplink_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"relink/connector/dispatch"
	"relink/connector/session"
	"relink/connector/uplink"
	"relink/shared/device"
	"relink/shared/fc"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/topic"
)

// A sink takes what the router passes on.
type sink struct {
	function string
	result   record.Result
	answered int
}

func (s *sink) Submit(_ context.Context, function string, _ record.Record, _ func(record.Result, error)) error {
	s.function = function
	return nil
}
func (s *sink) Record(session.Event)                              {}
func (s *sink) Uplink(topic.Family, refusal.Cause, time.Duration) {}
func (s *sink) Answer(_ *uplink.Message, r record.Result, _ error) {
	s.result = r
	s.answered++
}

// What the table says of a topic is what the router does.
func TestRouterFollowsTheTable(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer("{pk}", "pk1", "{dn}", "dn01", "{id}", "x1", "{rest}", "pk1/dn01/user/y")
	own := session.New(&device.Grant{ProductKey: "pk1", DeviceName: "dn01"}, nil, "", time.Now())
	for _, e := range topic.Table() {
		if e.Direction != topic.Up {
			continue
		}
		name := text.Replace(e.Topic)
		u, err := topic.ParseUplink(name)
		if err != nil || u.Family != e.Family {
			continue // needs a topic of its own: see the tests of package topic
		}
		s := &sink{}
		r := &uplink.Router{Dispatcher: s, Journal: s, Meter: s, IDs: uplink.NewIDs(1)}
		if err := r.Take(t.Context(), &uplink.Message{Session: own, Topic: name, Parsed: u, Payload: []byte(`{"id":"1"}`), To: s}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		refused := s.answered == 1 && (s.result.Reason == string(refusal.NotYetSupported) || s.result.Reason == string(refusal.UnknownTopic))
		if served := s.function != "" && s.function == e.Function || s.answered == 1 && !refused; served != (e.Status != topic.NotYet) {
			t.Errorf("%s: status %s, but passed on to %q, %d answers, %+v", name, e.Status, s.function, s.answered, s.result)
		}
		if e.Function == "" && s.function != "" {
			t.Errorf("%s: passed on to %q, and the table names no function", name, s.function)
		}
	}
}

func TestCauseOf(t *testing.T) {
	t.Parallel()
	undecided := func(last error) error { return fmt.Errorf("%w: %w", dispatch.ErrUndecided, last) }
	for _, c := range []struct {
		err  error
		want refusal.Cause
	}{
		{errors.New("no idea"), refusal.FunctionFailed},
		{dispatch.ErrUndecided, refusal.DeadlineExceeded},
		{undecided(&fc.Error{Status: 429, Code: "ResourceExhausted"}), refusal.DeadlineExceeded},
		{undecided(&fc.Error{Status: 200, Code: "UnhandledInvocationError"}), refusal.FunctionFailed},
		{undecided(refusal.New(refusal.StoreThrottled, "code 503")), refusal.StoreThrottled},
		{undecided(refusal.New("", "code 503")), refusal.DeadlineExceeded},
		{dispatch.ErrClosed, refusal.Shutdown},
	} {
		if got := uplink.CauseOf(c.err); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
}
