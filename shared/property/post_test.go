package property_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"relink/shared/iot"
	"relink/shared/property"
	"relink/shared/record"
	"relink/shared/store"
	"relink/shared/store/memory"
)

const arrival = int64(1_700_000_000_000)

const model = `{"schema":"https://iotx-tsl.oss-ap-southeast-1.aliyuncs.com/schema.json","profile":{"productKey":"weak"},
"properties":[
 {"identifier":"temperature","name":"t","accessMode":"rw","required":false,"dataType":{"type":"double","specs":{"min":"-40","max":"80","step":"0.1"}}},
 {"identifier":"count","name":"c","accessMode":"r","required":false,"dataType":{"type":"int","specs":{"min":"0","max":"100","step":"1"}}},
 {"identifier":"power","name":"p","accessMode":"rw","required":false,"dataType":{"type":"bool","specs":{"0":"off","1":"on"}}},
 {"identifier":"label","name":"l","accessMode":"rw","required":false,"dataType":{"type":"text","specs":{"length":"64"}}}],
"events":[],"services":[]}`

// newStore has a product of each mode, and one without a model.
func newStore(t testing.TB) *memory.Store {
	t.Helper()
	s := memory.New()
	for mode, key := range []iot.ProductKey{"strong", "weak", "none"} {
		p := &store.Product{Key: key, ValidateType: mode, DataFormat: 1, Models: []store.Model{{Version: "1", TSL: []byte(model)}}}
		if err := s.Products().Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	for key, p := range map[iot.ProductKey]*store.Product{
		"empty": {Key: "empty", ValidateType: 1}, "broken": {Key: "broken", ValidateType: 1, Models: []store.Model{{TSL: []byte("{")}}},
	} {
		p.Key = key
		if err := s.Products().Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func service(s *memory.Store) *property.Service {
	return property.New(s, slog.New(slog.DiscardHandler), func() time.Time { return time.UnixMilli(arrival) })
}

func post(pk iot.ProductKey, id, payload string) record.Record {
	return record.Record{
		MessageID: id, Device: iot.DeviceRef{ProductKey: pk, DeviceName: "d1"}, Topic: "/sys/" + string(pk) + "/d1/thing/event/property/post",
		Payload: []byte(payload), QoS: 1, ReceivedAt: arrival,
	}
}

func latest(t *testing.T, s *memory.Store, pk iot.ProductKey) string {
	t.Helper()
	values, err := s.Properties().Latest(t.Context(), iot.DeviceRef{ProductKey: pk, DeviceName: "d1"})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%s@%d=%s ", v.Identifier, v.Time-arrival, v.JSON)
	}
	return b.String()
}

func TestPost(t *testing.T) {
	t.Parallel()
	ok := func(id, data string) string {
		return `{"code":200,"data":` + data + `,"id":"` + id + `","message":"success","method":"thing.event.property.post","version":"1.0"}`
	}
	failed := func(code int, id, message string) string {
		return fmt.Sprintf(`{"code":%d,"data":{},"id":"%s","message":"%s","method":"thing.event.property.post","version":"1.0"}`, code, id, message)
	}
	many := `{"id":"1","params":{`
	for i := range 201 {
		many += fmt.Sprintf(`"p%d":1,`, i)
	}
	many = strings.TrimSuffix(many, ",") + "}}"
	cases := []struct {
		name    string
		pk      iot.ProductKey
		payload string
		code    int32
		reason  string
		reply   string
		stored  string
	}{
		{"c_sdk_3", "weak", `{"id":"1","version":"1.0","params":{"temperature":25.0,"power":1},"method":"thing.event.property.post"}`,
			200, "", ok("1", "{}"), "power@0=1 temperature@0=25.0 "},
		{"number_as_id", "weak", `{"id":7,"params":{"count":3}}`, 200, "", ok("7", "{}"), "count@0=3 "},
		{"wrapped", "weak", `{"id":"1","params":{"count":{"value":3,"time":1699999999000},"label":{"value":"灯"}}}`,
			200, "", ok("1", "{}"), `count@-1000=3 label@0="灯" `},
		{"no_ack", "weak", `{"id":"1","sys":{"ack":0},"params":{"count":3}}`, 200, "", "", "count@0=3 "},
		{"no_ack_not_even_for_errors", "weak", `{"id":"1","sys":{"ack":0},"params":{}}`, 460, "params_missing", "", ""},
		{"some_failed", "weak", `{"id":"1","params":{"count":"3","power":1,"nothing":4}}`, 6332, "value_type_mismatch",
			ok("1", `{"count":"tsl parse: data type is not int -> count","nothing":"property not found"}`), "power@0=1 "},
		{"all_failed", "weak", `{"id":"1","params":{"nothing":4}}`, 6332, "property_not_in_model", ok("1", `{"nothing":"property not found"}`), ""},
		{"out_of_range_weak", "weak", `{"id":"1","params":{"count":101}}`, 200, "", ok("1", "{}"), "count@0=101 "},
		{"out_of_range_strong", "strong", `{"id":"1","params":{"count":101,"power":0}}`, 6332, "value_out_of_range", "", "power@0=0 "},
		{"unchecked", "none", `{"id":"1","params":{"whatever":[1]}}`, 200, "", ok("1", "{}"), ""},
		{"no_model", "empty", `{"id":"1","params":{"count":1}}`, 6332, "model_missing", ok("1", `{"count":"property not found"}`), ""},
		{"unusable_model", "broken", `{"id":"1","params":{"count":1}}`, 6313, "function_failed", failed(6313, "1", "thing model is not usable"), ""},
		{"no_product", "gone", `{"id":"1","params":{"count":1}}`, 5005, "product_not_found", failed(5005, "1", "product not found"), ""},
		{"not_json", "weak", `{"id":"1","params":{"count":1`, 6207, "payload_not_json", failed(6207, "", "payload is not JSON"), ""},
		{"empty", "weak", ``, 460, "payload_empty", failed(460, "", "request parameter error"), ""},
		{"array", "weak", `{"id":"1","params":[1]}`, 460, "params_malformed", failed(460, "1", "request parameter error"), ""},
		{"too_many", "weak", many, 6106, "too_many_properties", failed(6106, "1", "map size must less than 200"), ""},
		{"ahead", "weak", `{"id":"1","params":{"count":{"value":1,"time":1700086400001}}}`, 6332, "time_out_of_range", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			p := service(s)
			rec := post(c.pk, "m1", c.payload)
			for range 2 { // a replay is stored once and answered alike
				got := p.Post(t.Context(), []record.Record{rec})[0]
				if got.Code != c.code || got.Reason != c.reason || got.Retry {
					t.Errorf("code %d, reason %q, retry %v; want %d, %q", got.Code, got.Reason, got.Retry, c.code, c.reason)
				}
				switch {
				case c.reply != "":
					if len(got.Replies) != 1 || string(got.Replies[0].Payload) != c.reply || got.Replies[0].Topic != rec.Topic+"_reply" || got.Replies[0].QoS != 0 {
						t.Errorf("replies %q,\nwant    %q", got.Replies, c.reply)
					}
				case strings.HasPrefix(c.name, "no_ack") && len(got.Replies) != 0:
					t.Errorf("replies %q, want none", got.Replies)
				}
				rec.Attempt++
			}
			if got := latest(t, s, c.pk); got != c.stored {
				t.Errorf("stored %q, want %q", got, c.stored)
			}
			history, _, err := s.Properties().History(t.Context(), rec.Device, "count", 0, arrival*2, true, 10)
			if err != nil || len(history) > 1 {
				t.Errorf("a replay left %d values of history, %v", len(history), err)
			}
		})
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.Fault = func(op string, dev iot.DeviceRef) error {
		if op == "properties.post" && dev.DeviceName == "busy" {
			return iot.Errorf(iot.Throttled, "busy")
		}
		if op == "properties.post" && dev.DeviceName == "poison" {
			return fmt.Errorf("no")
		}
		return nil
	}
	records := []record.Record{
		post("weak", "1", `{"id":"1","params":{"count":1}}`), post("weak", "2", `{"id":"2","params":{"count":2}}`), post("weak", "3", `x`),
		post("weak", "4", `{"id":"4","params":{"count":4}}`), post("weak", "5", `{"id":"5","params":{"count":5}}`), {Topic: "/sys/weak"},
	}
	records[1].Device.DeviceName, records[3].Device.DeviceName = "busy", "poison"
	results := service(s).Post(t.Context(), records)
	for i, want := range []string{"200  false 1", "500 store_throttled true 0", "6207 payload_not_json false 1", "500 function_failed false 1", "200  false 1", "6203 unknown_topic false 0"} {
		r := results[i]
		if got := fmt.Sprint(r.Code, " ", r.Reason, " ", r.Retry, " ", len(r.Replies)); got != want {
			t.Errorf("record %d: %s, want %s", i, got, want)
		}
	}
	if got, want := string(results[3].Replies[0].Payload), `{"code":500,"data":{},"id":"4","message":"server error","method":"thing.event.property.post","version":"1.0"}`; got != want {
		t.Errorf("poisonous record: %s, want %s", got, want)
	}
	if got := latest(t, s, "weak"); got != "count@0=5 " {
		t.Errorf("stored %q", got)
	}
}

func TestBusyProducts(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.Fault = func(op string, _ iot.DeviceRef) error {
		if op == "products.get" {
			return iot.Errorf(iot.Unavailable, "down")
		}
		return nil
	}
	if r := service(s).Post(t.Context(), []record.Record{post("weak", "1", `{"params":{"count":1}}`)})[0]; !r.Retry || len(r.Replies) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestConcurrentBatches(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	p := service(s)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			records := make([]record.Record, 50)
			for i := range records {
				records[i] = post("weak", fmt.Sprint(g, "-", i), fmt.Sprintf(`{"id":"%d","params":{"count":%d}}`, i, i))
			}
			for i, r := range p.Post(t.Context(), records) {
				if want := fmt.Sprintf(`"id":"%d"`, i); r.Code != 200 || !strings.Contains(string(r.Replies[0].Payload), want) {
					t.Errorf("record %d: %+v", i, r)
				}
			}
		})
	}
	wg.Wait()
}

// nowhere stores nothing: what is measured is everything else.
type nowhere struct{ *memory.Store }

func (n nowhere) Properties() store.Properties { return discard{} }

type discard struct{ store.Properties }

func (discard) Post(_ context.Context, posts []store.Post) []error { return make([]error, len(posts)) }

func BenchmarkPost(b *testing.B) {
	p := property.New(nowhere{newStore(b)}, slog.New(slog.DiscardHandler), nil)
	records := make([]record.Record, 200)
	for i := range records {
		records[i] = post("weak", fmt.Sprint("1234567890", i), `{"id":"123","version":"1.0","params":{"temperature":25.5,"count":7,"power":1,"label":"lamp in the hall"},"method":"thing.event.property.post"}`)
		records[i].Device.DeviceName = iot.DeviceName(fmt.Sprint("d", i%50))
	}
	b.ReportAllocs()
	for b.Loop() {
		results := p.Post(b.Context(), records)
		if results[0].Code != 200 {
			b.Fatal(results[0])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/post")
}
