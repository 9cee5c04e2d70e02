// Package tables is what functions that work on the platform's tables have in common: they read where the tables are, open them,
// and keep their credentials fresh. Those in the environment date from the start of the instance and expire in one that lives
// long, those that come with an invocation do not ("Environment and credentials in an instance" of the cloud services).
package tables

import (
	"context"
	"log/slog"

	"relink/functions/internal/fcrun"
	"relink/shared/config"
	"relink/shared/iot"
	"relink/shared/store"
)

// Parts are what a handler is made of.
type Parts struct {
	Store *store.Store
	Cloud config.Cloud
	Log   *slog.Logger // with the function's name and, given the context of an invocation, its request id
}

// Main runs a function on the tables until its instance is stopped; it does not return (fcrun.Main).
func Main(handler func(Parts) (fcrun.Handler, error)) {
	fcrun.Main(func(ctx context.Context) (fcrun.Handler, error) { return assemble(ctx, handler) })
}

func assemble(ctx context.Context, handler func(Parts) (fcrun.Handler, error)) (fcrun.Handler, error) {
	var cfg struct {
		Cloud config.Cloud
		Store config.Store
	}
	if err := config.Read(&cfg); err != nil {
		return nil, err
	}
	s, err := store.Open(store.FromConfig(cfg.Cloud, cfg.Store))
	if err != nil {
		return nil, err
	}
	h, err := handler(Parts{Store: s, Cloud: cfg.Cloud, Log: fcrun.Logger(ctx)})
	if err != nil {
		return nil, err
	}
	return fresh(s, h), nil
}

// fresh is h with the credentials of each invocation set in s before.
func fresh(s *store.Store, h fcrun.Handler) fcrun.Handler {
	return fcrun.HandlerFunc(func(ctx context.Context, event []byte) ([]byte, error) {
		if c, ok := fcrun.CredentialsFrom(ctx); ok {
			s.SetCredentials(c.AccessKeyID, iot.Secret(c.AccessKeySecret), iot.Secret(c.SecurityToken))
		}
		return h.Invoke(ctx, event)
	})
}
