// Shadow is the function that keeps device shadows: reports, reads and deletes of devices. What applications desire comes through the
// function `openapi`.
package main

import (
	"log/slog"
	"time"

	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/exchange"
	"relink/shared/redelivery"
	"relink/shared/shadow"
	"relink/shared/store"
	"relink/shared/topic"
)

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	d := desk(p.Store.Shadows(), p.Log, time.Now)
	d.Again = redelivery.New(p.Store.Receipts())
	return d, nil
}

func desk(shadows store.Shadows, log *slog.Logger, now func() time.Time) *exchange.Desk {
	return &exchange.Desk{Log: log, Families: map[topic.Family]exchange.Family{
		topic.ShadowUpdate: {Raw: true, Serve: shadow.New(shadows, now).Serve},
	}}
}
