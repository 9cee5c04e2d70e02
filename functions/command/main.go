// Command is the function on the way down: it finds the connector that holds a device and hands it a message, or the order to
// drop the connection. Synchronous calls wait in it for the device's answer. What devices answer to asynchronous ones comes to it as
// batches of records.
package main

import (
	"maps"

	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/command"
	"relink/shared/config"
	"relink/shared/downlink"
	"relink/shared/exchange"
	"relink/shared/offline"
	"relink/shared/redelivery"
	"relink/shared/script"
	"relink/shared/script/sandbox"
	"relink/shared/service"
)

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	if p.Cloud.InternalKey.IsZero() {
		return nil, downlink.ErrNoKey
	}
	var cfg struct{ Bounds offline.Bounds }
	if err := config.Read(&cfg); err != nil {
		return nil, err
	}
	scripts := script.New(p.Store, new(sandbox.Pool), p.Log, nil)
	history := service.New(p.Store.Calls(), nil)
	families := history.Families()
	maps.Copy(families, scripts.Families(history.Replied))
	return &handler{
		commands: command.New(p.Store, downlink.NewClient(p.Cloud.InternalKey), cfg.Bounds, nil),
		answers:  &exchange.Desk{Families: families, Log: p.Log, Rules: p.Rules, Again: redelivery.New(p.Store.Receipts())},
	}, nil
}
