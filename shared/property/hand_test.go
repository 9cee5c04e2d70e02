package property_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"relink/shared/message/messagetest"
	"relink/shared/property"
	"relink/shared/record"
)

// TestHandOver: what each kind of post raises, as "topic id payload" of each message, in order.
func TestHandOver(t *testing.T) {
	t.Parallel()
	_, p := newGolden(t, 1)
	e := new(messagetest.Engine)
	p.HandTo(e.Sender())
	for _, c := range []struct {
		name string
		rec  record.Record
		want []string // topic without product, and something that the payload has
	}{
		{"post", message(thermo, "event/property/post", "1", `{"id":"7","params":{"temp":21.5,"nosuch":1}}`), []string{
			`/thermo-01/thing/event/property/post 1 "requestId":"7","checkFailedData":{"nosuch":{"code":`}},
		{"batch", message(thermo, "event/property/batch/post", "2", `{"id":"8","params":{"properties":{"temp":[{"value":1,"time":5},{"value":2,"time":6}]}}}`), []string{
			`/thermo-01/thing/property/batch/post 2 "payload":{"temp":[{"value":1,"time":5},{"value":2,"time":6}]}`}},
		{"pack", message(gateway, "event/property/pack/post", "3", `{"id":"9","params":{"properties":{"uptime":1},"subDevices":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"sub-01"},"properties":{"hum":3},"events":{"wet":{"value":{}}}}]}}`), []string{
			`/gw-01/thing/event/property/post 3 "items":{"uptime"`,
			`/sub-01/thing/event/property/post * "iotId":"2","requestId":"9"`,
			`/sub-01/thing/event/wet/post * "identifier":"wet"`}},
		{"history", message(gateway, "event/property/history/post", "4", `{"id":"10","params":[{"identity":{"productKey":"a1SubDevPk1","deviceName":"sub-01"},"properties":[{"hum":{"value":1,"time":5}},{"hum":{"value":2,"time":6}}],"events":[{"wet":{"value":{},"time":5}}]}]}`), []string{
			`/sub-01/thing/event/property/history/post 4 "items":{"hum":{"time":5,"value":1}}`,
			`/sub-01/thing/event/property/history/post * "items":{"hum":{"time":6,"value":2}}`,
			`/sub-01/thing/event/wet/history/post * "time":5`}},
		{"refused", message(thermo, "event/property/post", "5", `{"id":"7","params":[]}`), nil},
	} {
		seen := map[string]string{}
		for round := range 2 { // the same record again raises the same messages
			if r := p.Post(t.Context(), []record.Record{c.rec})[0]; r.Retry {
				t.Fatalf("%s: %+v", c.name, r)
			}
			got := e.Take()
			if len(got) != len(c.want) {
				t.Errorf("%s: %d messages, want %d: %+v", c.name, len(got), len(c.want), got)
				continue
			}
			for i, m := range got {
				want := strings.SplitN(c.want[i], " ", 3)
				if !strings.HasSuffix(m.Topic, want[0]) || want[1] != "*" && m.ID != want[1] || !strings.Contains(string(m.Payload), want[2]) || m.QoS != 1 || m.GeneratedAt != goldenTime {
					t.Errorf("%s: %+v %s", c.name, m, m.Payload)
				}
				key := fmt.Sprint(i)
				if round == 1 && seen[key] != m.ID+string(m.Payload) {
					t.Errorf("%s: another message %d: %s", c.name, i, m.Payload)
				}
				seen[key] = m.ID + string(m.Payload)
			}
		}
	}
}

// TestHandOverFails: a record that could not be handed over is stored and tried again, one that nobody wants is not touched by it.
func TestHandOverFails(t *testing.T) {
	t.Parallel()
	s, p := newGolden(t, 1)
	e := &messagetest.Engine{Product: thermo.ProductKey}
	p.HandTo(e.Sender())
	e.Fail(errors.New("down"))
	records := []record.Record{message(thermo, "event/property/post", "1", `{"params":{"temp":21.5}}`), message(gateway, "event/property/post", "2", `{"params":{"uptime":1}}`)}
	r := p.Post(t.Context(), records)
	if !r[0].Retry || len(r[0].Replies) != 0 || r[1].Code != 200 || len(r[1].Replies) != 1 {
		t.Errorf("%+v", r)
	}
	if r = p.Post(t.Context(), records); r[0].Code != 200 || len(e.Take()) != 1 {
		t.Errorf("%+v", r)
	}
	if got := stored(t, s, thermo); strings.Count(got, "21.5") != 2 { // latest and history, once
		t.Error(got)
	}
	e.Unknown = errors.New("table down")
	if r = p.Post(t.Context(), records); !r[0].Retry || !r[1].Retry {
		t.Errorf("%+v", r)
	}
}

// TestNothingWanted: posts of a product that nobody wants anything of allocate no more than without a rule engine.
func TestNothingWanted(t *testing.T) {
	s := nowhere{newStore(t)}
	records := make([]record.Record, 50)
	for i := range records {
		records[i] = post("weak", fmt.Sprint(i), `{"id":"1","params":{"count":1}}`)
	}
	without := property.New(s, slog.New(slog.DiscardHandler), nil)
	with := property.New(s, slog.New(slog.DiscardHandler), nil)
	e := &messagetest.Engine{Product: "other"}
	with.HandTo(e.Sender())
	run := func(p *property.Service) float64 {
		return testing.AllocsPerRun(50, func() { p.Post(t.Context(), records) })
	}
	if a, b := run(without), run(with); a != b || len(e.Take()) != 0 {
		t.Errorf("%v allocations, without %v", b, a)
	}
}
