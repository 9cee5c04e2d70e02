// Topology is the function that serves gateways: which sub-devices they have, and which of these are logged in.
package main

import (
	"time"

	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/command"
	"relink/shared/config"
	"relink/shared/exchange"
	"relink/shared/redelivery"
	"relink/shared/topology"
)

// Config is what the function reads beside the places of the tables.
type Config struct {
	GrantFor time.Duration `env:"RELINK_GRANT_FOR,default=24h"` // as the function auth
	Limits   topology.Limits
}

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	var cfg Config
	if err := config.Read(&cfg); err != nil {
		return nil, err
	}
	s := topology.New(p.Store, topology.Options{Commander: command.Remote{FC: p.FC}, Limits: cfg.Limits, GrantFor: cfg.GrantFor, Log: p.Log})
	return &exchange.Desk{Log: p.Log, Rules: p.Rules, Families: s.Families(), Again: redelivery.New(p.Store.Receipts())}, nil
}
