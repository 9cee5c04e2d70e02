package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"relink/functions/internal/eventtest"
	"relink/shared/store/memory"
)

func TestEvents(t *testing.T) {
	t.Parallel()
	eventtest.Run(t, func(*testing.T) func(context.Context, []byte) ([]byte, error) {
		return desk(memory.New().Shadows(), slog.New(slog.DiscardHandler), func() time.Time { return time.UnixMilli(1767225600000) }).Invoke
	})
}
