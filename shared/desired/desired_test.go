package desired_test

import (
	"fmt"
	"log/slog"
	"sort"
	"strings"
	"sync"
	"testing"

	"relink/shared/alink"
	"relink/shared/desired"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/store/memory"
)

var dev = iot.DeviceRef{ProductKey: "a1GoldenPk1", DeviceName: "thermo-01"}

func i64(v int64) *int64 { return &v }

func show(t *testing.T, s *desired.Service) string {
	t.Helper()
	values, err := s.Get(t.Context(), dev)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for id, v := range values {
		list = append(list, fmt.Sprintf("%s=%s#%d", id, v.Value, v.Version))
	}
	sort.Strings(list)
	return strings.Join(list, " ")
}

func TestSet(t *testing.T) {
	t.Parallel()
	s := desired.New(memory.New().DesiredProperties())
	set := func(want string, wantErr iot.Kind, changes ...desired.Change) {
		t.Helper()
		versions, err := s.Set(t.Context(), dev, changes, 1000)
		if got := fmt.Sprint(versions); got != want || err != nil && !iot.Is(err, wantErr) || err == nil && wantErr != iot.Internal {
			t.Errorf("Set(%v) = %s, %v, want %s", changes, got, err, want)
		}
	}
	power := func(v string, expect *int64) desired.Change {
		c := desired.Change{Identifier: "power", Expect: expect}
		if v != "" {
			c.Value = []byte(v)
		}
		return c
	}
	set("[0]", iot.Internal, power("", nil)) // nothing to clear
	set("[1]", iot.Internal, power("1", i64(0)))
	set("[2]", iot.Internal, power("1", nil)) // each set counts
	set("[]", iot.Conflict, power("0", i64(1)))
	set("[]", iot.Conflict, desired.Change{Identifier: "mode", Value: []byte("1")}, power("0", i64(7))) // all or none
	set("[1 3]", iot.Internal, desired.Change{Identifier: "mode", Value: []byte("1")}, power("0", i64(2)))
	set("[4]", iot.Internal, power("", i64(3)))
	set("[4]", iot.Internal, power("", nil))
	if got := show(t, s); got != "mode=1#1 power=#4" {
		t.Error(got)
	}
	set("[5]", iot.Internal, power("1", nil)) // the version goes on
}

func TestSetRace(t *testing.T) {
	t.Parallel()
	m := memory.New()
	s := desired.New(m.DesiredProperties())
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = s.Set(t.Context(), dev, []desired.Change{{Identifier: "power", Value: []byte("1"), Expect: i64(0)}}, 1)
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !iot.Is(err, iot.Conflict) {
			t.Error(err)
		}
	}
	if won != 1 || show(t, s) != "power=1#1" {
		t.Errorf("%d won, %s", won, show(t, s))
	}
}

func TestDevice(t *testing.T) {
	t.Parallel()
	many := func(n int, item string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, ","+item, i)
		}
		return b.String()[1:]
	}
	for _, c := range []struct {
		name, topic, payload string
		code                 int32
		reply                string
		left                 string
	}{
		{"G-14", "get", `{"id":"14","version":"1.0","params":["power","mode"],"method":"thing.property.desired.get"}`, 200,
			`{"code":200,"data":{"power":{"value":1,"version":2}},"id":"14","message":"success","method":"thing.property.desired.get","version":"1.0"}`, `meter:name="x"#1 old=#3 power=1#2`},
		{"get_of_module", "get", `{"id":"1","params":["meter:name","old","meter:name"]}`, 200,
			`{"code":200,"data":{"meter:name":{"value":"x","version":1}},"id":"1","message":"success","method":"thing.property.desired.get","version":"1.0"}`, `meter:name="x"#1 old=#3 power=1#2`},
		{"get_object", "get", `{"id":"1","params":{"power":1}}`, 460, "", `meter:name="x"#1 old=#3 power=1#2`},
		{"get_numbers", "get", `{"id":"1","params":[1]}`, 460, "", `meter:name="x"#1 old=#3 power=1#2`},
		{"get_nothing", "get", `{"id":"1","params":[]}`, 460, "", `meter:name="x"#1 old=#3 power=1#2`},
		{"get_201", "get", `{"id":"1","params":[` + many(201, `"p%d"`) + `]}`, 6104, "", `meter:name="x"#1 old=#3 power=1#2`},
		{"get_200", "get", `{"id":"1","params":[` + many(200, `"p%d"`) + `]}`, 200, "", `meter:name="x"#1 old=#3 power=1#2`},
		{"G-15", "delete", `{"id":"15","version":"1.0","params":{"power":{"version":2},"mode":{}},"method":"thing.property.desired.delete"}`, 200,
			`{"code":200,"data":{},"id":"15","message":"success","method":"thing.property.desired.delete","version":"1.0"}`, `meter:name="x"#1 old=#3 power=#2`},
		{"G-16", "delete", `{"id":"16","version":"1.0","params":{"power":{"version":1}},"sys":{"ack":1}}`, 200,
			`{"code":200,"data":{},"id":"16","message":"success","method":"thing.property.desired.delete","version":"1.0"}`, `meter:name="x"#1 old=#3 power=1#2`},
		{"delete_anyway", "delete", `{"id":"1","params":{"power":{},"meter:name":null}}`, 200, "", `meter:name=#1 old=#3 power=#2`},
		{"delete_bad_version", "delete", `{"id":"1","params":{"power":{"version":"x"}}}`, 460, "", `meter:name="x"#1 old=#3 power=1#2`},
		{"delete_list", "delete", `{"id":"1","params":["power"]}`, 460, "", `meter:name="x"#1 old=#3 power=1#2`},
		{"delete_nothing", "delete", `{"id":"1","params":{}}`, 460, "", `meter:name="x"#1 old=#3 power=1#2`},
		{"delete_201", "delete", `{"id":"1","params":{` + many(201, `"p%d":{}`) + `}}`, 6104, "", `meter:name="x"#1 old=#3 power=1#2`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := memory.New()
			s := desired.New(m.DesiredProperties())
			if err := m.DesiredProperties().Update(t.Context(), dev, 0, []store.Desired{
				{Identifier: "power", Version: 2, Value: []byte("1")}, {Identifier: "meter:name", Version: 1, Value: []byte(`"x"`)}, {Identifier: "old", Version: 3},
			}); err != nil {
				t.Fatal(err)
			}
			desk := exchange.Desk{Families: s.Families(), Log: slog.New(slog.DiscardHandler)}
			for range 2 {
				r := desk.Serve(t.Context(), "n1", []record.Record{{MessageID: "1", Device: dev, Topic: "/sys/a1GoldenPk1/thermo-01/thing/property/desired/" + c.topic, Payload: []byte(c.payload), ReceivedAt: 5}})[0]
				if r.Code != c.code || len(r.Replies) != 1 || c.reply != "" && string(r.Replies[0].Payload) != c.reply {
					t.Errorf("%+v, want %d %s", r, c.code, c.reply)
				}
				if (r.Code == alink.CodeTooManyDesired) != (r.Reason == string(refusal.TooManyDesired)) {
					t.Errorf("code %d is logged as %q", r.Code, r.Reason)
				}
				if got := show(t, s); got != c.left {
					t.Errorf("left %s, want %s", got, c.left)
				}
			}
		})
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	m := memory.New()
	s := desired.New(m.DesiredProperties())
	if _, err := s.Set(t.Context(), dev, []desired.Change{{Identifier: "power", Value: []byte("1")}}, 100); err != nil {
		t.Fatal(err)
	}
	desk := exchange.Desk{Families: s.Families(), Log: slog.New(slog.DiscardHandler)}
	send := func(topic, payload string, attempt int32) record.Result {
		return desk.Serve(t.Context(), "n1", []record.Record{{MessageID: "1", Device: dev, Topic: "/sys/a1GoldenPk1/thermo-01/thing/property/desired/" + topic, Payload: []byte(payload), ReceivedAt: 50, Attempt: attempt}})[0]
	}
	m.Fault = func(string, iot.DeviceRef) error { return iot.Errorf(iot.Throttled, "busy") }
	if r := send("get", `{"id":"1","params":["power"]}`, 0); !r.Retry {
		t.Errorf("%+v", r)
	}
	m.Fault = func(string, iot.DeviceRef) error { return fmt.Errorf("broken") }
	if r := send("get", `{"id":"1","params":["power"]}`, 0); r.Code != 6661 || r.Retry {
		t.Errorf("%+v", r)
	}
	m.Fault = nil
	if send("delete", `{"id":"1","params":{"power":{}}}`, 1); show(t, s) != "power=1#1" {
		t.Error("an invocation that is repeated deletes what was set after the first: " + show(t, s))
	}
	if send("delete", `{"id":"1","params":{"power":{}}}`, 0); show(t, s) != "power=#1" {
		t.Error(show(t, s))
	}
}
