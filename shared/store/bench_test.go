package store_test

import (
	"fmt"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

// BenchmarkPost posts through the SDK to an emulator in the same process, so both are in the figures.
func BenchmarkPost(b *testing.B) {
	for _, x := range []struct {
		n    int
		qos1 bool
	}{{1, false}, {1, true}, {50, false}, {50, true}, {500, false}, {500, true}} {
		n := x.n
		b.Run(fmt.Sprintf("batch_%d/receipts_%v", n, x.qos1), func(b *testing.B) {
			_, o := start(b)
			s := open(b, o)
			list := make([]store.Post, n)
			for i := range list {
				list[i] = store.Post{Ref: iot.DeviceRef{ProductKey: "a1bench", DeviceName: iot.DeviceName(fmt.Sprint("d", i))}, Values: []store.Value{
					{Identifier: "temperature", JSON: []byte("25.5")}, {Identifier: "power", JSON: []byte("1")}, {Identifier: "label", JSON: []byte(`"lamp in the hall"`)},
				}}
			}
			at := int64(1_700_000_000_000)
			b.ReportAllocs()
			for b.Loop() {
				at++
				for i := range list {
					list[i].MessageID = "1234567890123456789"
					if x.qos1 {
						list[i].Receipt, list[i].ReceivedAt = store.Receipt{PacketID: uint16(at), Sum: uint64(at)}, at
					}
					for j := range list[i].Values {
						list[i].Values[j].Time = at
					}
				}
				for _, err := range s.Properties().Post(b.Context(), list) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/post")
		})
	}
}
