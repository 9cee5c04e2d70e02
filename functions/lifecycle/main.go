// Lifecycle is the function that keeps who is online: it ends sessions and renews the leases of connectors.
package main

import (
	"context"

	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/config"
	"relink/shared/logs"
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
	s, err := store.Open(store.FromConfig(cfg.Cloud, cfg.Store))
	if err != nil {
		return nil, err
	}
	return tables.Fresh(s, &handler{devices: s.Devices(), sessions: s.Sessions(), nodes: s.Nodes(), log: logs.Stdout()}), nil
}
