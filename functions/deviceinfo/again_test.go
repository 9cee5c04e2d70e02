package main

import (
	"log/slog"
	"testing"
	"time"

	"relink/shared/deviceinfo"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/store/memory"
)

// TestNetworkAgain: what a device measured of its network is stored once when the device sends it again.
func TestNetworkAgain(t *testing.T) {
	t.Parallel()
	m := memory.New()
	s := deviceinfo.New(deviceinfo.Stores{Products: m.Products(), Infos: m.DeviceInfos(), Network: m.NetworkStatuses(), Links: m.Topology()}, nil, time.Now)
	d := desk(slog.New(slog.DiscardHandler), s.Families())
	recognize(d, m.Receipts())
	dev := iot.DeviceRef{ProductKey: "a1GoldenPk1", DeviceName: "thermo-01"}
	for i, dup := range []bool{false, true} {
		r := record.Record{MessageID: string(rune('1' + i)), Device: dev, QoS: 1, PacketID: 3, Dup: dup, Since: 1, ReceivedAt: 1_700_000_000_000 + int64(i),
			Topic: "/sys/a1GoldenPk1/thermo-01/_thing/diag/post", Payload: []byte(`{"id":"1","params":{"p":{"wifi":{"rssi":-60}},"model":"format=simple|quantity=single|time=now"}}`)}
		if got := d.Serve(t.Context(), "n", []record.Record{r})[0]; got.Code != 200 {
			t.Errorf("%+v", got)
		}
	}
	list, _, err := s.Network(t.Context(), dev, 0, 1<<50, 10)
	if err != nil || len(list) != 1 {
		t.Errorf("%d entries, %v; want 1", len(list), err)
	}
}
