// Command is the function on the way down: it finds the connector that holds a device and hands it a message, or the order to
// drop the connection. Synchronous calls wait in it for the device's answer.
package main

import (
	"context"

	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/command"
	"relink/shared/config"
	"relink/shared/downlink"
	"relink/shared/store"
)

// Config is the function's environment.
type Config struct {
	Cloud config.Cloud
	Store config.Store
}

func main() { fcrun.Main(newHandler) }

func newHandler(context.Context) (fcrun.Handler, error) {
	var cfg Config
	if err := config.Read(&cfg); err != nil {
		return nil, err
	}
	if cfg.Cloud.InternalKey.IsZero() {
		return nil, downlink.ErrNoKey
	}
	s, err := store.Open(store.FromConfig(cfg.Cloud, cfg.Store))
	if err != nil {
		return nil, err
	}
	return tables.Fresh(s, &handler{commands: command.New(s, downlink.NewClient(cfg.Cloud.InternalKey), nil)}), nil
}
