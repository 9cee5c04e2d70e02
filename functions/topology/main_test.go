package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"relink/functions/internal/eventtest"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/store"
	"relink/shared/store/memory"
	"relink/shared/topology"
)

// The event files have the identities of the protocol's test vectors, so the signatures in them are its S1 to S7.
func TestEvents(t *testing.T) {
	t.Parallel()
	eventtest.Run(t, func(t *testing.T) func(context.Context, []byte) ([]byte, error) {
		s := memory.New()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		gateway := iot.DeviceRef{ProductKey: "a1Gateway00", DeviceName: "gw01"}
		for _, p := range []store.Product{
			{Key: gateway.ProductKey, NodeType: 1, DataFormat: 1},
			{Key: "a1SubSubSub", DataFormat: 1, Secret: "SubPs12345678901", DynamicRegister: true},
		} {
			must(s.Products().Create(t.Context(), &p))
		}
		for _, d := range []store.Device{
			{Ref: gateway, IotID: "iot-gw01", Secret: "0123456789abcdefghijklmnopqrstuv"},
			{Ref: iot.DeviceRef{ProductKey: "a1SubSubSub", DeviceName: "sub01"}, IotID: "12344", Secret: "fedcba9876543210fedcba9876543210"},
		} {
			must(s.Devices().Create(t.Context(), &d))
		}
		_, _, errs := s.Sessions().Take(t.Context(), []store.Take{{Ref: gateway, Node: "n1", At: 1000}})
		must(errs[0])
		service := topology.New(s, topology.Options{Limits: topology.DefaultLimits(), Log: slog.New(slog.DiscardHandler),
			Now: func() time.Time { return time.UnixMilli(1_700_000_000_000) }})
		desk := &exchange.Desk{Log: slog.New(slog.DiscardHandler), Families: service.Families()}
		return desk.Invoke
	})
}
