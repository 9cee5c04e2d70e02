package property_test

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"relink/shared/iot"
	"relink/shared/property"
	"relink/shared/record"
	"relink/shared/store"
	"relink/shared/store/memory"
)

var (
	thermo  = iot.DeviceRef{ProductKey: "a1GoldenPk1", DeviceName: "thermo-01"}
	gateway = iot.DeviceRef{ProductKey: "a1GatewayPk", DeviceName: "gw-01"}
	sub     = iot.DeviceRef{ProductKey: "a1SubDevPk1", DeviceName: "sub-01"}
	free    = iot.DeviceRef{ProductKey: "a1SubDevPk1", DeviceName: "free-01"}
	locked  = iot.DeviceRef{ProductKey: "a1SubDevPk1", DeviceName: "locked-01"}
)

const goldenTime = int64(1767225600000)

// newGolden is the world of "Golden examples": mode is the sub-device's product's.
func newGolden(t testing.TB, mode int) (*memory.Store, *property.Service) {
	t.Helper()
	document, err := os.ReadFile("../tsl/testdata/golden_model.json")
	if err != nil {
		t.Fatal(err)
	}
	s := memory.New()
	products := map[iot.ProductKey]string{
		"a1GoldenPk1": string(document),
		"a1GatewayPk": `{"properties":[{"identifier":"uptime","name":"u","accessMode":"r","dataType":{"type":"int","specs":{"min":"0","max":"9"}}}]}`,
		"a1SubDevPk1": `{"properties":[{"identifier":"hum","name":"h","accessMode":"r","dataType":{"type":"int","specs":{"min":"0","max":"100"}}}],
			"events":[{"identifier":"wet","name":"w","type":"info","outputData":[]}]}`,
	}
	for key, model := range products {
		p := &store.Product{Key: key, ValidateType: 1, DataFormat: 1, Models: []store.Model{{Version: "1", TSL: []byte(model)}}}
		if key == "a1SubDevPk1" {
			p.ValidateType = mode
		}
		if err := s.Products().Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	for i, ref := range []iot.DeviceRef{thermo, gateway, sub, free, locked} {
		if err := s.Devices().Create(t.Context(), &store.Device{Ref: ref, IotID: iot.IotID(fmt.Sprint(i)), Disabled: ref == locked}); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range s.Topology().Add(t.Context(), gateway, []iot.DeviceRef{sub, locked}, 1) {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s, property.New(s, slog.New(slog.DiscardHandler), func() time.Time { return time.UnixMilli(goldenTime) })
}

func message(ref iot.DeviceRef, name, id, payload string) record.Record {
	return record.Record{MessageID: id, Device: ref, Topic: "/sys/" + ref.String() + "/thing/" + name, Payload: []byte(payload), QoS: 1, ReceivedAt: goldenTime}
}

// stored is all that a store has of a device.
func stored(t *testing.T, s *memory.Store, ref iot.DeviceRef) string {
	t.Helper()
	var b strings.Builder
	latest, err := s.Properties().Latest(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range latest {
		fmt.Fprintf(&b, "%s@%d=%s ", v.Identifier, v.Time-goldenTime, v.JSON)
	}
	b.WriteString("|")
	for _, id := range []string{"temp", "log", "uptime", "hum"} {
		values, _, err := s.Properties().History(t.Context(), ref, id, 0, 1<<60, true, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			fmt.Fprintf(&b, " %s@%d=%s", v.Identifier, v.Time-goldenTime, v.JSON)
		}
	}
	b.WriteString(" |")
	events, _, err := s.Events().List(t.Context(), ref, store.EventQuery{To: 1 << 60, Ascending: true, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		fmt.Fprintf(&b, " %s/%s@%d=%s", e.Identifier, e.Type, e.Time-goldenTime, e.Output)
	}
	return b.String()
}

const ok = `{"code":200,"data":%s,"id":"%s","message":"success","method":"thing.event.property.%s.post","version":"1.0"}`

func TestMany(t *testing.T) {
	t.Parallel()
	big := func(n int, item string) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	named := func(n int, item string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"p%d":%s`, i, item)
		}
		return b.String()[1:]
	}
	for _, c := range []struct {
		name    string
		from    iot.DeviceRef
		topic   string
		payload string
		code    int32
		reason  string
		reply   string
		of      iot.DeviceRef
		want    string
	}{
		{"G-07", thermo, "event/property/batch/post", `{"id":"7","version":"1.0","params":{"properties":{"temp":[{"value":24.1,"time":1767225598000},{"value":24.2,"time":1767225599000}]},"events":{"alarm":[{"value":{"code":1,"text":"a"},"time":1767225599000}]}},"sys":{"ack":1}}`,
			200, "", fmt.Sprintf(ok, "{}", "7", "batch"), thermo, `temp@-1000=24.2 | temp@-2000=24.1 temp@-1000=24.2 | alarm/alert@-1000={"code":1,"text":"a"}`},
		{"batch_of_events", thermo, "event/property/batch/post", `{"id":"1","params":{"events":{"alarm":[{"value":{"code":1}},{"value":{"code":2}},{"value":{"code":"x"}}],"odd":[{}]}}}`,
			6332, "value_type_mismatch", fmt.Sprintf(ok, `{"alarm":"tsl parse: data type is not int -> alarm.code"}`, "1", "batch"), thermo, `| | alarm/alert@0={"code":1} alarm/alert@0={"code":2} odd/unknown@0={}`},
		{"batch_some_failed", thermo, "event/property/batch/post", `{"id":"1","params":{"properties":{"temp":[{"value":"1"},{"value":2},{"value":"3"}],"no":[1]}}}`,
			6332, "value_type_mismatch", fmt.Sprintf(ok, `{"temp":"tsl parse: data type is not float -> temp","no":"property not found"}`, "1", "batch"), thermo, `temp@0=2 | temp@0=2 |`},
		{"batch_same_time", thermo, "event/property/batch/post", `{"id":"1","params":{"properties":{"temp":[{"value":1,"time":5},{"value":2,"time":5}],"log":[[1,2]]}}}`,
			200, "", fmt.Sprintf(ok, "{}", "1", "batch"), thermo, `log@0=[1,2] temp@-1767225599995=2 | temp@-1767225599995=2 log@0=[1,2] |`},
		{"batch_nothing", thermo, "event/property/batch/post", `{"id":"1","params":{}}`, 460, "params_missing", "", thermo, `| |`},
		{"batch_array", thermo, "event/property/batch/post", `{"id":"1","params":{"properties":[1]}}`, 460, "params_malformed", "", thermo, `| |`},
		{"batch_too_many", thermo, "event/property/batch/post", `{"id":"1","params":{"properties":{` + named(201, `[1]`) + `}}}`, 6106, "too_many_properties", "", thermo, `| |`},

		{"G-08", gateway, "event/property/pack/post", `{"id":"8","version":"1.0","params":{"properties":{"uptime":{"value":7,"time":1767225600000}},"events":{},"subDevices":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"sub-01"},"properties":{"hum":{"value":55,"time":1767225600000}},"events":{}}]},"method":"thing.event.property.pack.post"}`,
			200, "", fmt.Sprintf(ok, "{}", "8", "pack"), sub, `hum@0=55 | hum@0=55 |`},
		{"pack_no_relation", gateway, "event/property/pack/post", `{"id":"8","version":"1.0","params":{"properties":{"uptime":{"value":7}},"subDevices":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"free-01"},"properties":{"hum":{"value":55}}}]}}`,
			6401, "topology_missing", `{"code":6401,"data":{},"id":"8","message":"topo relation not exist","method":"thing.event.property.pack.post","version":"1.0"}`, gateway, `| |`},
		{"pack_no_device", gateway, "event/property/pack/post", `{"id":"8","params":{"subDevices":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"none-01"},"properties":{"hum":{"value":55}}}]}}`, 6100, "device_not_found", "", gateway, `| |`},
		{"pack_disabled", gateway, "event/property/pack/post", `{"id":"8","params":{"subDevices":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"locked-01"},"properties":{"hum":{"value":55}}}]}}`, 6204, "device_disabled", "", locked, `| |`},
		{"pack_weak", gateway, "event/property/pack/post", `{"id":"8","params":{"properties":{"uptime":{"value":1}},"subDevices":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"sub-01"},"properties":{"hum":{"value":"x"}},"events":{"wet":{"value":{}}}}]}}`,
			6332, "value_type_mismatch", fmt.Sprintf(ok, `{"a1SubDevPk1/sub-01/hum":"tsl parse: data type is not int -> hum"}`, "8", "pack"), sub, `| | wet/info@0={}`},
		{"pack_one_device_twice", gateway, "event/property/pack/post", `{"id":"8","params":{"subDevices":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"sub-01"},"properties":{"hum":{"value":1}}},{"identity":{"productKey":"a1SubDevPk1","deviceName":"sub-01"},"events":{"wet":{"value":{}}}}]}}`,
			200, "", fmt.Sprintf(ok, "{}", "8", "pack"), sub, `hum@0=1 | hum@0=1 | wet/info@0={}`},
		{"pack_no_identity", gateway, "event/property/pack/post", `{"id":"8","params":{"subDevices":[{"properties":{"hum":{"value":1}}}]}}`, 460, "params_malformed", "", gateway, `| |`},
		{"pack_21_sub_devices", gateway, "event/property/pack/post", `{"id":"8","params":{"subDevices":[` + big(21, `{"identity":{"productKey":"a1SubDevPk1","deviceName":"sub-01"}}`) + `]}}`, 6357, "too_many_sub_devices", "", gateway, `| |`},
		{"pack_201_properties", gateway, "event/property/pack/post", `{"id":"8","params":{"properties":{` + named(101, `1`) + `},"subDevices":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"sub-01"},"properties":{` + named(100, `1`) + `}}]}}`, 6106, "too_many_properties", "", gateway, `| |`},
		{"pack_201_events", gateway, "event/property/pack/post", `{"id":"8","params":{"events":{` + named(201, `{}`) + `}}}`, 6356, "too_many_events", "", gateway, `| |`},
		{"pack_by_a_device", thermo, "event/property/pack/post", `{"id":"8","params":{"properties":{"temp":1}}}`, 200, "", fmt.Sprintf(ok, "{}", "8", "pack"), thermo, `temp@0=1 | temp@0=1 |`},

		{"G-09", thermo, "event/property/history/post", `{"id":9,"version":"1.0","params":[{"identity":{"productKey":"a1GoldenPk1","deviceName":"thermo-01"},"properties":[{"temp":{"value":20.5,"time":1767139200000}},{"temp":{"value":21.5,"time":1767142800000}}],"events":[{"alarm":{"value":{"code":2,"text":"b"},"time":1767139200000}}]}],"method":"thing.event.property.history.post"}`,
			200, "", fmt.Sprintf(ok, "{}", "9", "history"), thermo, `| temp@-86400000=20.5 temp@-82800000=21.5 | alarm/alert@-86400000={"code":2,"text":"b"}`},
		{"history_capital_value", thermo, "event/property/history/post", `{"id":9,"params":[{"properties":[{"temp":{"Value":1,"time":1}}],"events":[{"alarm":{"Value":{"code":2},"time":1}}]}]}`,
			200, "", fmt.Sprintf(ok, "{}", "9", "history"), thermo, `| temp@-1767225599999=1 | alarm/alert@-1767225599999={"code":2}`},
		{"history_ahead", thermo, "event/property/history/post", `{"id":9,"params":[{"properties":[{"temp":{"value":1,"time":1767999999999}}]}]}`,
			200, "", fmt.Sprintf(ok, "{}", "9", "history"), thermo, `| temp@774399999=1 |`},
		{"history_of_sub_device", gateway, "event/property/history/post", `{"id":9,"params":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"sub-01"},"properties":[{"hum":{"value":1,"time":1767225599999}}]}]}`,
			200, "", fmt.Sprintf(ok, "{}", "9", "history"), sub, `| hum@-1=1 |`},
		{"history_of_stranger", gateway, "event/property/history/post", `{"id":9,"params":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"free-01"},"properties":[{"hum":{"value":1,"time":1}}]}]}`, 6401, "topology_missing", "", free, `| |`},
		{"history_object", thermo, "event/property/history/post", `{"id":9,"params":{"properties":[]}}`, 460, "params_malformed", "", thermo, `| |`},
		{"history_nothing", thermo, "event/property/history/post", `{"id":9,"params":[]}`, 460, "params_missing", "", thermo, `| |`},
		{"silent", thermo, "event/property/batch/post", `{"id":"7","params":{"properties":{"temp":[1]}},"sys":{"ack":0}}`, 200, "", "-", thermo, `temp@0=1 | temp@0=1 |`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, service := newGolden(t, 1)
			for range 2 { // again, as after a lost answer
				r := service.Post(t.Context(), []record.Record{message(c.from, c.topic, "m1", c.payload)})[0]
				if r.Code != c.code || r.Reason != c.reason || r.Retry {
					t.Errorf("result %+v, want %d %s", r, c.code, c.reason)
				}
				switch {
				case c.reply == "-" && len(r.Replies) != 0, c.reply != "-" && len(r.Replies) != 1:
					t.Errorf("replies %v", r.Replies)
				case len(r.Replies) == 1:
					if want := "/sys/" + c.from.String() + "/thing/" + c.topic + "_reply"; r.Replies[0].Topic != want {
						t.Errorf("reply to %s", r.Replies[0].Topic)
					}
					if got := string(r.Replies[0].Payload); c.reply != "" && got != c.reply {
						t.Errorf("reply\n got %s\nwant %s", got, c.reply)
					}
				}
				if got := stored(t, s, c.of); got != c.want {
					t.Errorf("stored\n got %s\nwant %s", got, c.want)
				}
			}
		})
	}
}

func TestPackStrong(t *testing.T) {
	t.Parallel()
	s, service := newGolden(t, 0)
	r := service.Post(t.Context(), []record.Record{message(gateway, "event/property/pack/post", "m1",
		`{"id":"8","params":{"properties":{"uptime":{"value":1}},"subDevices":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"sub-01"},"properties":{"hum":{"value":101}}}]}}`)})[0]
	if r.Code != 6306 || !strings.Contains(r.Detail, "a1SubDevPk1/sub-01") || !strings.Contains(string(r.Replies[0].Payload), `"code":6306,"data":{}`) {
		t.Errorf("%+v", r)
	}
	if got := stored(t, s, gateway); got != "| |" {
		t.Errorf("the gateway's part was stored: %s", got)
	}
}

// TestManyWithOthers has all kinds of messages in one batch, some of which the database does not take at first.
func TestManyWithOthers(t *testing.T) {
	t.Parallel()
	s, service := newGolden(t, 1)
	records := []record.Record{
		message(thermo, "event/property/post", "m1", `{"id":"1","params":{"temp":1}}`),
		message(thermo, "event/property/batch/post", "m2", `{"id":"2","params":{"properties":{"temp":[2,{"value":3,"time":5}]},"events":{"alarm":[{"code":1}]}}}`),
		message(gateway, "event/property/pack/post", "m3", `{"id":"3","params":{"properties":{"uptime":1},"subDevices":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"sub-01"},"properties":{"hum":2}}]}}`),
		message(thermo, "property/desired/get", "m4", `{"id":"4","params":["power"]}`),
		message(thermo, "event/property/post", "m5", `{"id":"5","params":{"temp":4}}`),
	}
	down := map[string]iot.DeviceRef{"events.put": thermo, "properties.post": sub}
	s.Fault = func(op string, dev iot.DeviceRef) error {
		if ref, ok := down[op]; ok && ref == dev {
			return iot.Errorf(iot.Throttled, "busy")
		}
		return nil
	}
	show := func(results []record.Result) string {
		var b strings.Builder
		for _, r := range results {
			fmt.Fprintf(&b, "%d %v %d, ", r.Code, r.Retry, len(r.Replies))
		}
		return b.String()
	}
	if got, want := show(service.Post(t.Context(), records)), "200 false 1, 500 true 0, 500 true 0, 200 false 1, 200 false 1, "; got != want {
		t.Errorf("while busy: %s, want %s", got, want)
	}
	s.Fault = nil
	if got, want := show(service.Post(t.Context(), records)), "200 false 1, 200 false 1, 200 false 1, 200 false 1, 200 false 1, "; got != want {
		t.Errorf("afterwards: %s, want %s", got, want)
	}
	if got, want := stored(t, s, thermo), `temp@0=4 | temp@-1767225599995=3 temp@0=1 temp@0=2 temp@0=4 | alarm/alert@0={"code":1}`; got != want {
		t.Errorf("stored\n got %s\nwant %s", got, want)
	}
	s.Fault = func(op string, _ iot.DeviceRef) error {
		if op == "devices.get_many" {
			return iot.Errorf(iot.Unavailable, "down")
		}
		return nil
	}
	if r := service.Post(t.Context(), records[2:3])[0]; !r.Retry {
		t.Errorf("without relations: %+v", r)
	}
}

// TestManyTimes has more times than one request writes.
func TestManyTimes(t *testing.T) {
	t.Parallel()
	s, service := newGolden(t, 1)
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, `,{"value":%d,"time":%d}`, i, goldenTime-int64(i))
	}
	r := service.Post(t.Context(), []record.Record{message(thermo, "event/property/batch/post", "m1", `{"id":"1","params":{"properties":{"temp":[`+b.String()[1:]+`]}}}`)})[0]
	if r.Code != 200 {
		t.Fatalf("%+v", r)
	}
	values, next, err := s.Properties().History(t.Context(), thermo, "temp", 0, 1<<60, true, 5000)
	if err != nil || len(values) != 3000 || next != 0 {
		t.Errorf("%d values, %v", len(values), err)
	}
}
