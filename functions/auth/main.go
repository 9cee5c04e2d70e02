// Auth is the function that decides who may connect. The connectors send it logins in batches; it answers each with a grant,
// with a refusal that says why, or that it could not tell.
package main

import (
	"time"

	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/access"
	"relink/shared/config"
)

// Config is what the function reads beside the places of the tables.
type Config struct {
	GrantFor time.Duration `env:"RELINK_GRANT_FOR,default=24h"` // after which the connector ends the connection, and the device logs in again
}

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	var cfg Config
	if err := config.Read(&cfg); err != nil {
		return nil, err
	}
	return &handler{access: access.New(p.Store, cfg.GrantFor, nil), log: p.Log}, nil
}
