package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/topic"
)

func desk(f exchange.Server) *exchange.Desk {
	return &exchange.Desk{Log: slog.New(slog.DiscardHandler), Families: map[topic.Family]exchange.Family{
		topic.DeviceInfoUpdate: {Serve: f}, topic.ShadowUpdate: {Serve: f, Raw: true},
	}}
}

func message(name, suffix, payload string) record.Record {
	return record.Record{
		MessageID: "1", Device: iot.DeviceRef{ProductKey: "pk1", DeviceName: iot.DeviceName(name)}, Topic: "/sys/pk1/" + name + suffix, Payload: []byte(payload),
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	answers := map[string]exchange.Answer{
		"ok":        {},
		"data":      {Data: []byte(`[1]`)},
		"params":    {Err: alink.ErrParamsMalformed},
		"gone":      {Err: iot.Errorf(iot.DeviceNotFound, "no such device"), Data: []byte(`{"a":1}`)},
		"broken":    {Err: errors.New("secret detail")},
		"throttled": {Err: iot.Errorf(iot.Throttled, "slow down")},
		"silent":    {Silent: true},
	}
	d := desk(func(_ context.Context, r *exchange.Request) exchange.Answer { return answers[r.Alink.ID] })
	const method = `"method":"thing.deviceinfo.update","version":"1.0"}`
	for _, c := range []struct {
		suffix, payload string
		code            int32
		reason, reply   string
		retry           bool
	}{
		{"/thing/deviceinfo/update", `{"id":"ok"}`, 200, "", `{"code":200,"data":{},"id":"ok","message":"success",` + method, false},
		{"/thing/deviceinfo/update", `{'id':"data",}`, 200, "", `{"code":200,"data":[1],"id":"data","message":"success",` + method, false},
		{"/thing/deviceinfo/update", `{"id":"params"}`, 460, "params_malformed", `{"code":460,"data":{},"id":"params","message":"request parameter error",` + method, false},
		{"/thing/deviceinfo/update", `{"id":"gone"}`, 6100, "device_not_found", `{"code":6100,"data":{"a":1},"id":"gone","message":"device not found",` + method, false},
		{"/thing/deviceinfo/update", `{"id":"broken"}`, 500, "function_failed", `{"code":500,"data":{},"id":"broken","message":"server error",` + method, false},
		{"/thing/deviceinfo/update", `{"id":"throttled"}`, 500, "store_throttled", "", true},
		{"/thing/deviceinfo/update", `{"id":"silent"}`, 200, "", "", false},
		{"/thing/deviceinfo/update", `{"id":"ok","sys":{"ack":0}}`, 200, "", "", false},
		{"/thing/deviceinfo/update", `hello`, 6207, "payload_not_json", `{"code":6207,"data":{},"id":"","message":"payload is not JSON",` + method, false},
		{"/thing/deviceinfo/delete", `{"id":"1"}`, 6300, "not_yet_supported", `{"code":6300,"data":{},"id":"1","message":"not supported by this platform","method":"thing.deviceinfo.delete","version":"1.0"}`, false},
		{"", ``, 6203, "unknown_topic", "", false},
	} {
		got := d.Serve(t.Context(), "n1", []record.Record{message("d1", c.suffix, c.payload)})[0]
		reply := ""
		if len(got.Replies) == 1 {
			reply = string(got.Replies[0].Payload)
		}
		if got.Code != c.code || got.Reason != c.reason || reply != c.reply || got.Retry != c.retry {
			t.Errorf("%s: %+v %q, want %+v", c.payload, got, reply, c)
		}
	}
}

func TestRaw(t *testing.T) {
	t.Parallel()
	d := desk(func(_ context.Context, r *exchange.Request) exchange.Answer {
		return exchange.Answer{Replies: []record.Reply{{Topic: "/x", Payload: r.Record.Payload}}}
	})
	r := message("d1", "", "not json")
	r.Topic = "/shadow/update/pk1/d1"
	if got := d.Serve(t.Context(), "n1", []record.Record{r})[0]; got.Code != 200 || len(got.Replies) != 1 || string(got.Replies[0].Payload) != "not json" {
		t.Errorf("%+v", got)
	}
}

// One device's messages are served one after the other, in order, and none overtakes one that is tried again.
func TestOrder(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[iot.DeviceRef][]string{}
	d := desk(func(_ context.Context, r *exchange.Request) exchange.Answer {
		mu.Lock()
		defer mu.Unlock()
		seen[r.Ref()] = append(seen[r.Ref()], r.Alink.ID)
		if r.Alink.ID == "2" && r.Ref().DeviceName == "d3" {
			return exchange.Answer{Err: iot.Errorf(iot.Unavailable, "away")}
		}
		return exchange.Answer{}
	})
	var records []record.Record
	for i := range 5 {
		for dev := range 60 {
			records = append(records, message(fmt.Sprint("d", dev), "/thing/deviceinfo/update", fmt.Sprintf(`{"id":"%d"}`, i)))
		}
	}
	event := record.AppendBatch(nil, &record.Batch{Node: "n", Records: records})
	answer, err := d.Invoke(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	results, err := record.DecodeResults(answer)
	if err != nil {
		t.Fatal(err)
	}
	for i := range results {
		behind := records[i].Device.DeviceName == "d3" && i/60 >= 2
		if results[i].Retry != behind {
			t.Errorf("record %d of %s: %+v", i/60, records[i].Device, results[i])
		}
	}
	for ref, ids := range seen {
		want := "[0 1 2 3 4]"
		if ref.DeviceName == "d3" {
			want = "[0 1 2]"
		}
		if fmt.Sprint(ids) != want {
			t.Errorf("%s: served %v, want %s", ref, ids, want)
		}
	}
	if _, err := d.Invoke(t.Context(), []byte("{")); !errors.Is(err, record.ErrMalformed) {
		t.Errorf("unreadable batch: %v", err)
	}
}
