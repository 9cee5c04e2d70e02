package main

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"relink/functions/internal/eventtest"
	"relink/shared/event"
	"relink/shared/exchange"
	"relink/shared/store"
	"relink/shared/store/memory"
)

func TestEvents(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../shared/tsl/testdata/golden_model.json")
	if err != nil {
		t.Fatal(err)
	}
	eventtest.Run(t, func(t *testing.T) func(context.Context, []byte) ([]byte, error) {
		s := memory.New()
		p := &store.Product{Key: "a1GoldenPk1", ValidateType: 1, Models: []store.Model{{Version: "1", TSL: document}}}
		if err := s.Products().Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		log := slog.New(slog.DiscardHandler)
		now := func() time.Time { return time.UnixMilli(1_767_225_600_000) }
		return (&exchange.Desk{Families: event.New(s, log, now).Families(), Log: log}).Invoke
	})
}
