// Auth is the function that decides who may connect. The connectors send it logins in batches; it answers each with a grant,
// with a refusal that says why, or that it could not tell.
package main

import (
	"context"
	"time"

	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/access"
	"relink/shared/config"
	"relink/shared/logs"
	"relink/shared/store"
)

// Config is the function's environment.
type Config struct {
	Cloud    config.Cloud
	Store    config.Store
	GrantFor time.Duration `env:"RELINK_GRANT_FOR,default=24h"` // after which a connector asks again
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
	return tables.Fresh(s, &handler{access: access.New(s, cfg.GrantFor, nil), log: logs.Stdout()}), nil
}
