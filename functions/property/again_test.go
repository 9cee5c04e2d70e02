package main

import (
	"fmt"
	"testing"

	"relink/shared/desired"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/script"
	"relink/shared/store"
)

// TestRawAgain: raw data that a device sends again is stored once, as a post or as an event, even if its script returns something else
// each time.
func TestRawAgain(t *testing.T) {
	t.Parallel()
	s, h := rawHandler(t, script.JavaScript, `
function rawDataToProtocol(b) {
  if (b[0] == 5) return {method: 'thing.event.alarm.post', id: '' + Math.random(), params: {value: {}}};
  return {method: 'thing.event.property.post', id: '' + Math.random(), params: {temp: 1 + Math.random()}};
}
function protocolToRawData(j) { return [1]; }`)
	dev := iot.DeviceRef{ProductKey: "a1RawProduct", DeviceName: "raw-01"}
	send := func(id int, frame string, packet uint16, dup bool) {
		t.Helper()
		r := raw("raw-01", fmt.Sprint(id), frame)
		r.PacketID, r.Dup, r.Since = packet, dup, 1
		r.ReceivedAt += int64(id)
		if got := invoke(t, h, r)[0]; got.Code != 200 || len(got.Replies) != 1 {
			t.Errorf("message %d: %+v", id, got)
		}
	}
	send(1, "05", 7, false)
	send(2, "05", 7, true)
	send(3, "06", 8, false)
	send(4, "06", 8, true)
	events, _, err := s.Events().List(t.Context(), dev, store.EventQuery{To: 1 << 50, Limit: 10})
	if err != nil || len(events) != 1 {
		t.Errorf("%d events, %v; want 1", len(events), err)
	}
	values, _, err := s.Properties().History(t.Context(), dev, "temp", 0, 1<<50, true, 10)
	if err != nil || len(values) != 1 {
		t.Errorf("%d values, %v; want 1", len(values), err)
	}
	send(5, "05", 7, false) // another message that has the packet id again
	if events, _, err = s.Events().List(t.Context(), dev, store.EventQuery{To: 1 << 50, Limit: 10}); err != nil || len(events) != 2 {
		t.Errorf("%d events, %v; want 2", len(events), err)
	}
}

// TestDesiredDeleteAgain: what an application desires after a deletion stays when the device sends the deletion again.
func TestDesiredDeleteAgain(t *testing.T) {
	t.Parallel()
	s, h := rawHandler(t, script.JavaScript, "")
	dev := iot.DeviceRef{ProductKey: "a1RawProduct", DeviceName: "raw-01"}
	values := desired.New(s.DesiredProperties())
	set := func(value string, at int64) {
		t.Helper()
		if _, err := values.Set(t.Context(), dev, []desired.Change{{Identifier: "power", Value: []byte(value)}}, at); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(id string, at int64, dup bool, want string) {
		t.Helper()
		r := record.Record{MessageID: id, Device: dev, QoS: 1, PacketID: 9, Dup: dup, Since: 1, ReceivedAt: at,
			Topic: "/sys/a1RawProduct/raw-01/thing/property/desired/delete", Payload: []byte(`{"id":"1","params":{"power":{}}}`)}
		if got := invoke(t, h, r)[0]; got.Code != 200 || len(got.Replies) != 1 {
			t.Errorf("%+v", got)
		}
		now, err := values.Get(t.Context(), dev)
		if err != nil || string(now["power"].Value) != want {
			t.Errorf("after %s: desired %q, %v; want %q", id, now["power"].Value, err, want)
		}
	}
	set("0", 1000)
	remove("1", 2000, false, "")
	set("1", 3000)
	remove("2", 4000, true, "1")
	remove("3", 5000, false, "")
}
