// Forward is the function that tries again what the function rule could not deliver, and keeps what it cannot deliver either: it waits
// between its attempts, so that rule does not have to. It also sends dead letters again.
package main

import (
	"context"
	"log/slog"

	"relink/functions/internal/destinations"
	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/forward"
	"relink/shared/logs"
)

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	d, err := destinations.New(p)
	if err != nil {
		return nil, err
	}
	h := &handler{
		router: &forward.Router{Destinations: d.ByType, Patience: destinations.Patience},
		fc:     p.FC, ledger: p.Store.Ledger(), deads: p.Store.ForwardDeads(), log: p.Log,
	}
	return fcrun.HandlerFunc(func(ctx context.Context, event []byte) ([]byte, error) {
		if err := d.Refresh(ctx); err != nil {
			p.Log.LogAttrs(ctx, slog.LevelError, "credentials not renewed", logs.Err(err))
		}
		return h.Invoke(ctx, event)
	}), nil
}
