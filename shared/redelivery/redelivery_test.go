package redelivery_test

import (
	"fmt"
	"testing"

	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/redelivery"
	"relink/shared/store/memory"
)

func message(dev, id, payload string, packet uint16, dup bool, at int64) record.Record {
	return record.Record{
		MessageID: id, Device: iot.DeviceRef{ProductKey: "a1", DeviceName: iot.DeviceName(dev)}, Topic: "/t", Payload: []byte(payload), QoS: 1,
		ReceivedAt: at, PacketID: packet, Dup: dup, Since: 7,
	}
}

func all(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

func TestResolve(t *testing.T) {
	t.Parallel()
	s := memory.New()
	r := redelivery.New(s.Receipts())
	first := []record.Record{message("d1", "m1", "a", 1, false, 10), message("d1", "m2", "b", 2, false, 11), message("d2", "m3", "a", 1, false, 12)}
	for _, err := range r.Note(t.Context(), first, all(3)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	qos0, other, moved := message("d1", "n6", "a", 1, true, 20), message("d1", "n7", "a", 1, true, 20), message("d1", "n8", "a", 1, true, 20)
	qos0.QoS, other.Since, moved.Topic = 0, 8, "/u"
	for _, c := range []struct {
		name    string
		records []record.Record
		want    string
	}{
		{"again", []record.Record{message("d1", "n1", "a", 1, true, 20)}, "m1@10 "},
		{"another_device", []record.Record{message("d2", "n1", "a", 1, true, 20), message("d3", "n2", "a", 1, true, 20)}, "m3@12 n2@20 "},
		{"without_dup", []record.Record{message("d1", "n1", "a", 1, false, 20)}, "n1@20 "},
		{"another_payload", []record.Record{message("d1", "n1", "A", 1, true, 20)}, "n1@20 "},
		{"another_packet", []record.Record{message("d1", "n1", "a", 33, true, 20)}, "n1@20 "},
		{"qos_0_another_session_another_topic", []record.Record{qos0, other, moved}, "n6@20 n7@20 n8@20 "},
		{"in_one_batch", []record.Record{message("d1", "n1", "c", 3, false, 20), message("d2", "n2", "c", 3, true, 21), message("d1", "n3", "c", 3, true, 22)}, "n1@20 n2@21 n1@20 "},
		{"twice_again", []record.Record{message("d1", "n1", "b", 2, true, 20), message("d1", "n2", "b", 2, true, 21)}, "m2@11 m2@11 "},
		{"original_is_lost", []record.Record{message("d1", "n1", "d", 4, true, 20), message("d1", "n2", "d", 4, true, 21)}, "n1@20 n1@20 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			unknown, err := r.Resolve(t.Context(), c.records)
			if err != nil || unknown != nil {
				t.Fatal(unknown, err)
			}
			got := ""
			for i := range c.records {
				got += fmt.Sprintf("%s@%d ", c.records[i].MessageID, c.records[i].ReceivedAt)
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	s.Fault = func(string, iot.DeviceRef) error { return iot.Errorf(iot.Throttled, "busy") }
	unknown, err := r.Resolve(t.Context(), []record.Record{message("d1", "n1", "a", 1, false, 20), message("d1", "n2", "b", 2, true, 21)})
	if !iot.Is(err, iot.Throttled) || len(unknown) != 1 || unknown[0] != 1 {
		t.Errorf("busy store: %v, %v", unknown, err)
	}
}

func BenchmarkReceipt(b *testing.B) {
	r := message("lamp-001", "1234567890123456789", `{"id":"123","version":"1.0","params":{"temperature":25.5},"method":"thing.event.property.post"}`, 7, false, 1)
	b.ReportAllocs()
	for b.Loop() {
		redelivery.ReceiptOf(&r)
	}
}
