package uplink_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"relink/connector/session"
	"relink/connector/uplink"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/message"
	"relink/shared/topic"
)

// wants is what rules want of topics of products' own.
type wants struct {
	topic string
	err   error
	asked int
}

func (w *wants) Refresh(context.Context) error { w.asked++; return w.err }
func (w *wants) Any(pk iot.ProductKey) bool    { return w.err != nil || pk == "pk1" }
func (w *wants) Wants(kind message.Kind, _ iot.ProductKey, name string) bool {
	return w.err != nil || kind == message.Custom && name == w.topic
}

// TestCustomTopics: a publish that somebody wants goes to the rule engine, and is answered by it; others are answered here.
func TestCustomTopics(t *testing.T) {
	t.Parallel()
	own := session.New(&device.Grant{ProductKey: "pk1", DeviceName: "dn01"}, nil, "", time.Now())
	for _, c := range []struct {
		topic    string
		interest *wants
		function string
	}{
		{"/pk1/dn01/user/x", &wants{topic: "/pk1/dn01/user/x"}, message.Rule},
		{"/pk1/dn01/user/x?_sn=default", &wants{topic: "/pk1/dn01/user/x"}, message.Rule},
		{"/pk1/dn01/user/y", &wants{topic: "/pk1/dn01/user/x"}, ""},
		{"/pk1/dn01/user/y", &wants{err: errors.New("not known")}, message.Rule},
		{"/pk1/dn01/user/x", nil, ""},
		{"/sys/pk1/dn01/thing/event/property/post", &wants{topic: "/pk1/dn01/user/x"}, "property"},
	} {
		u, err := topic.ParseUplink(c.topic)
		if err != nil {
			t.Fatal(err)
		}
		s := new(sink)
		r := &uplink.Router{Dispatcher: s, Journal: s, Meter: s, IDs: uplink.NewIDs(1)}
		if c.interest != nil {
			r.Interest = c.interest
		}
		if err := r.Take(t.Context(), &uplink.Message{Session: own, Topic: c.topic, Parsed: u, Payload: []byte("x"), To: s}); err != nil {
			t.Fatal(err)
		}
		if s.function != c.function || (s.answered == 1) != (c.function == "") {
			t.Errorf("%s: to %q, %d answers", c.topic, s.function, s.answered)
		}
		if c.function == "property" && c.interest.asked > 0 {
			t.Error("a property post asked what rules want")
		}
	}
}
