package dispatch

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"relink/shared/fc"
	"relink/shared/record"
)

// instant answers batches of n records at once, without decoding them.
type instant struct{ answers [][]byte }

func newInstant(n int) *instant {
	f := &instant{answers: make([][]byte, n+1)}
	for i := range f.answers {
		results := make([]record.Result, i)
		for j := range results {
			results[j].Code = 200
		}
		f.answers[i] = record.AppendResults(nil, results)
	}
	return f
}

// count reads the number of records off the batch's outermost fields.
func (f *instant) Invoke(_ context.Context, _ string, event []byte) (fc.Result, error) {
	n := 0
	for i := 0; i < len(event); {
		tag := event[i]
		i++
		v, shift := 0, 0
		for {
			c := event[i]
			i++
			v |= int(c&0x7f) << shift
			shift += 7
			if c < 0x80 {
				break
			}
		}
		if tag&7 == 2 {
			i += v
		}
		if tag>>3 == 3 {
			n++
		}
	}
	return fc.Result{Body: f.answers[n]}, nil
}

// submitAll sends n records and waits until all are decided.
func submitAll(tb testing.TB, d *Dispatcher, n, inFlight int) {
	payload := make([]byte, 200)
	records := make([]record.Record, 1000)
	for i := range records {
		records[i] = record.Record{MessageID: "1234567890123456789", Device: device(i), IotID: "abcdefghijklmnopqrstuv000000", Topic: "/sys/a1/d1/thing/event/property/post", Payload: payload, QoS: 1, ReceivedAt: 1700000000000}
	}
	var decided atomic.Int64
	window := make(chan struct{}, inFlight)
	last := make(chan struct{})
	done := func(r record.Result, err error) {
		if err != nil || r.Code != 200 {
			tb.Errorf("result %v, %v", r, err)
		}
		<-window
		if decided.Add(1) == int64(n) {
			close(last)
		}
	}
	for i := range n {
		window <- struct{}{}
		if err := d.Submit(context.Background(), "property", records[i%len(records)], done); err != nil {
			tb.Fatal(err)
		}
	}
	<-last
}

func running(tb testing.TB, batch int) *Dispatcher {
	d := New(Options{Node: "node-1", Invoker: newInstant(batch), Lanes: map[string]Lane{"property": {Lanes: 1, MaxRecords: batch}}})
	ran := make(chan error, 1)
	go func() { ran <- d.Run(context.Background()) }()
	tb.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			tb.Error(err)
		}
		<-ran
	})
	return d
}

// BenchmarkSubmitToDone: one reader with a window of one batch, one lane, 200-byte payloads.
func BenchmarkSubmitToDone(b *testing.B) {
	for _, batch := range []int{1, 16, 128} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			d := running(b, batch)
			submitAll(b, d, 2000, 2*batch)
			b.ReportAllocs()
			b.ResetTimer()
			submitAll(b, d, b.N, 2*batch)
			s := d.Snapshot()["property"]
			b.ReportMetric(float64(s.Decided)/float64(s.Batches), "records/batch")
		})
	}
}

// TestAllocations holds the hot path to what DESIGN.md says: nothing per record that a batch could share.
func TestAllocations(t *testing.T) {
	d := running(t, 128)
	const n = 20_000
	submitAll(t, d, n, 256)
	if per := testing.AllocsPerRun(3, func() { submitAll(t, d, n, 256) }) / n; per > 1 {
		t.Errorf("%.2f allocations per record", per)
	}
}
