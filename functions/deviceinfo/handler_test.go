package main

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"relink/functions/internal/eventtest"
	"relink/shared/deviceinfo"
	"relink/shared/store"
	"relink/shared/store/memory"
)

func TestEvents(t *testing.T) {
	t.Parallel()
	eventtest.Run(t, func(t *testing.T) func(context.Context, []byte) ([]byte, error) {
		model, err := os.ReadFile("testdata/model.tsl")
		if err != nil {
			t.Fatal(err)
		}
		m := memory.New()
		if err := m.Products().Create(t.Context(), &store.Product{Key: "a1GoldenPk1", Senior: true, Models: []store.Model{{Version: "1", TSL: model}}}); err != nil {
			t.Fatal(err)
		}
		lan := &store.DeviceInfo{LANPrefix: "p7d2k9qx", LANSecret: "k3v9q2m7x1c8z5n4b6w0r2t8y1u3i7o5"}
		lan.Ref.ProductKey, lan.Ref.DeviceName = "a1GoldenPk1", "thermo-01"
		if err := m.DeviceInfos().Put(t.Context(), lan, nil); err != nil {
			t.Fatal(err)
		}
		now := func() time.Time { return time.UnixMilli(1767225600000) }
		s := deviceinfo.New(deviceinfo.Stores{Products: m.Products(), Infos: m.DeviceInfos(), Network: m.NetworkStatuses(), Links: m.Topology()}, nil, now)
		return desk(slog.New(slog.DiscardHandler), s.Families()).Invoke
	})
}
