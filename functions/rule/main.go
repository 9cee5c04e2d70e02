// Rule is the function that runs the rules: it takes messages in batches, asks the rules and subscriptions of their products, and tries
// once to deliver what they make of them. What does not arrive it hands to the function forward.
package main

import (
	"context"
	"log/slog"

	"relink/functions/internal/destinations"
	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/custom"
	"relink/shared/forward"
	"relink/shared/interest"
	"relink/shared/logs"
	"relink/shared/message"
	"relink/shared/redelivery"
	"relink/shared/rule"
	"relink/shared/script"
	"relink/shared/script/sandbox"
)

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	d, err := destinations.New(p)
	if err != nil {
		return nil, err
	}
	watch := interest.NewWatch(p.Store.RuleIndex(), nil)
	h := &handler{
		rules: rule.NewCache(watch, p.Store.Rules(), p.Store.Subscriptions(), p.Log),
		tags:  p.Store.DeviceInfos(),
		custom: &custom.Desk{Rules: message.NewSender(watch, p.FC, message.Rule, nil), Scripts: script.New(p.Store, new(sandbox.Pool), p.Log, nil), Log: p.Log,
			Again: redelivery.New(p.Store.Receipts())},
		router: &forward.Router{Destinations: d.ByType, Patience: destinations.Patience, Breakers: &forward.Breakers{Slow: slow}},
		fc:     p.FC, ledger: p.Store.Ledger(), deads: p.Store.ForwardDeads(), log: p.Log,
	}
	return fcrun.HandlerFunc(func(ctx context.Context, event []byte) ([]byte, error) {
		if err := d.Refresh(ctx); err != nil {
			p.Log.LogAttrs(ctx, slog.LevelError, "credentials not renewed", logs.Err(err))
		}
		return h.Invoke(ctx, event)
	}), nil
}
