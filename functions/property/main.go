// Property is the function that takes what devices post of their properties, one post at a time, in batches, packs and histories, and
// that gives them their desired values: it checks, stores and answers in batches. Raw data, which may be any kind of post, comes here
// too, as it takes a parsing script to see what it is.
package main

import (
	"log/slog"
	"time"

	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/event"
	"relink/shared/exchange"
	"relink/shared/message"
	"relink/shared/property"
	"relink/shared/redelivery"
	"relink/shared/script"
	"relink/shared/script/sandbox"
)

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	h := assemble(p.Store, new(sandbox.Pool), p.Log, nil)
	h.handTo(p.Rules)
	return h, nil
}

// handTo has what is stored handed to the rule engine. It is called before the first batch.
func (h *handler) handTo(rules *message.Sender) {
	h.posts.properties.HandTo(rules)
	h.posts.events.Rules = rules
}

// stores is where everything is that a post needs.
type stores interface {
	property.Stores
	event.Stores
	script.Stores
}

func assemble(s stores, scripts *sandbox.Pool, log *slog.Logger, now func() time.Time) *handler {
	return &handler{
		scripts: script.New(s, scripts, log, now),
		posts: posts{
			properties: property.New(s, log, now),
			events:     &exchange.Desk{Families: event.New(s, log, now).Families(), Log: log, Again: redelivery.New(s.Receipts())},
		},
	}
}
