// Auth is the function that decides who may connect. The connectors send it logins in batches; it answers each with a grant,
// with a refusal that says why, or that it could not tell.
package main

import (
	"errors"
	"time"

	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/access"
	"relink/shared/config"
	"relink/shared/token"
)

// Config is what the function reads beside the places of the tables.
type Config struct {
	GrantFor time.Duration `env:"RELINK_GRANT_FOR,default=24h"` // after which the connector ends the connection, and the device logs in again
	// Of devices that keep no connection ("HTTP(S) device access", "CoAP device access").
	TokenLife  time.Duration `env:"RELINK_TOKEN_LIFE,default=168h"` // of a token; then the device authenticates again
	AuthWindow time.Duration `env:"RELINK_AUTH_WINDOW,default=0s"`  // how far the timestamp of a POST /auth may be from the clock; 0: it is not looked at
}

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	var cfg Config
	if err := config.Read(&cfg); err != nil {
		return nil, err
	}
	if cfg.TokenLife < time.Second {
		return nil, errors.New("configuration: RELINK_TOKEN_LIFE is shorter than a second")
	}
	sealer, err := token.New(p.Cloud.InternalKey, nil)
	if err != nil {
		return nil, err
	}
	service := access.New(p.Store, cfg.GrantFor, nil)
	return &handler{access: service, tokens: access.NewTokens(service, access.TokenOptions{Sealer: sealer, Life: cfg.TokenLife, Window: cfg.AuthWindow}), log: p.Log}, nil
}
