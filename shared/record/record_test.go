package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"relink/shared/iot"
)

var lamp = iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-001"}

func fullBatch() *Batch {
	return &Batch{Node: "n1", Records: []Record{
		{MessageID: "7", Device: lamp, IotID: "x1", Topic: "/t", Payload: []byte(`{"id":"1"}`), QoS: 1, ReceivedAt: 1767225600000, Attempt: 2, PacketID: 65535, Dup: true, Since: 1767225600000},
		{}, // zero values are left out and come back
		{MessageID: "8", Payload: []byte{0, 0xff}},
	}}
}

func fullResults() []Result {
	return []Result{
		{Code: 200, Replies: []Reply{{Topic: "/t_reply", Payload: []byte("{}"), QoS: 1}, {}}},
		{Code: 6207, Reason: "payload_not_json", Detail: "at byte 7", Data: []byte("d")},
		{Retry: true},
		{},
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	want := fullBatch()
	got, err := DecodeBatch(AppendBatch(nil, want))
	if err != nil || !reflect.DeepEqual(&got, want) {
		t.Errorf("batch\n got %+v (%v)\nwant %+v", got, err, want)
	}
	results, err := DecodeResults(AppendResults(nil, fullResults()))
	if err != nil || !reflect.DeepEqual(results, fullResults()) {
		t.Errorf("results\n got %+v (%v)\nwant %+v", results, err, fullResults())
	}
}

// The bytes are a contract between neighbouring releases: they may only grow by fields.
func TestWireFormat(t *testing.T) {
	t.Parallel()
	batch := hex.EncodeToString(AppendBatch(nil, &Batch{Node: "n", Records: []Record{{MessageID: "7", Device: lamp, Topic: "/t", Payload: []byte("p"), QoS: 1}}}))
	const wantBatch = "080112016e1a230a0137120b61314232633344346535461a086c616d702d3030312a022f743201703801"
	if batch != wantBatch {
		t.Errorf("batch\n got %s\nwant %s", batch, wantBatch)
	}
	results := hex.EncodeToString(AppendResults(nil, []Result{{Code: 200, Replies: []Reply{{Topic: "/r", Payload: []byte("p")}}}}))
	const wantResults = "0801120c08c8011a070a022f72120170"
	if results != wantResults {
		t.Errorf("results\n got %s\nwant %s", results, wantResults)
	}
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	t.Parallel()
	data := AppendBatch(nil, fullBatch())
	data = protowire.AppendString(protowire.AppendTag(data, 99, protowire.BytesType), "of a later release")
	data = protowire.AppendFixed64(protowire.AppendTag(data, 98, protowire.Fixed64Type), 7)
	data = protowire.AppendVarint(protowire.AppendTag(data, 97, protowire.VarintType), 7)
	got, err := DecodeBatch(data)
	if err != nil || !reflect.DeepEqual(&got, fullBatch()) {
		t.Errorf("got %+v (%v)", got, err)
	}
}

func TestMalformedIsRefused(t *testing.T) {
	t.Parallel()
	later := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), Version+1)
	many := AppendBatch(nil, &Batch{Records: make([]Record, MaxRecords+1)})
	whole := AppendBatch(nil, fullBatch())
	for name, data := range map[string][]byte{
		"later_version": later, "too_many": many, "cut": whole[:len(whole)-1], "no_tag": {0xff}, "text": []byte(`{"a":1}`),
	} {
		if _, err := DecodeBatch(data); !errors.Is(err, ErrMalformed) {
			t.Errorf("DecodeBatch of %s: %v, want ErrMalformed", name, err)
		}
	}
	if _, err := DecodeResults(later); !errors.Is(err, ErrMalformed) {
		t.Errorf("DecodeResults of a later version: %v, want ErrMalformed", err)
	}
}

func FuzzBatch(f *testing.F) {
	f.Add(AppendBatch(nil, fullBatch()))
	f.Add([]byte{8, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := DecodeBatch(data)
		if err != nil {
			return
		}
		again, err := DecodeBatch(AppendBatch(nil, &b))
		if err != nil || len(again.Records) != len(b.Records) || again.Node != b.Node {
			t.Fatalf("%+v does not survive: %+v (%v)", b, again, err)
		}
		for i := range b.Records {
			if !bytes.Equal(again.Records[i].Payload, b.Records[i].Payload) || again.Records[i].Topic != b.Records[i].Topic {
				t.Fatalf("record %d: %+v became %+v", i, b.Records[i], again.Records[i])
			}
		}
	})
}

func FuzzResults(f *testing.F) {
	f.Add(AppendResults(nil, fullResults()))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := DecodeResults(data)
		if err != nil {
			return
		}
		again, err := DecodeResults(AppendResults(nil, r))
		if err != nil || len(again) != len(r) {
			t.Fatalf("%+v does not survive: %+v (%v)", r, again, err)
		}
	})
}

func BenchmarkBatch(b *testing.B) {
	batch := &Batch{Node: "n1"}
	for range 128 {
		batch.Records = append(batch.Records, Record{MessageID: "913072545459240961", Device: lamp, IotID: "x3aQsYbUEiDNEAmc1iVp000101",
			Topic: "/sys/a1B2c3D4e5F/lamp-001/thing/event/property/post", Payload: make([]byte, 200), QoS: 1, ReceivedAt: 1767225600000})
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendBatch(buf[:0], batch)
		if _, err := DecodeBatch(buf); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/128, "ns/record")
}
