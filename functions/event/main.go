// Event is the function that takes what devices report of events: it checks, stores and answers it.
package main

import (
	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/event"
	"relink/shared/exchange"
	"relink/shared/redelivery"
)

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	return &exchange.Desk{Families: event.New(p.Store, p.Log, nil).Families(), Log: p.Log, Rules: p.Rules, Again: redelivery.New(p.Store.Receipts())}, nil
}
