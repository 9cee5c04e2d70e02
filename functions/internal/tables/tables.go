// Package tables is what functions that work on the platform's tables have in common: they read where the tables are, open them,
// and keep their credentials fresh. Those in the environment date from the start of the instance and expire in one that lives
// long, those that come with an invocation do not ("Environment and credentials in an instance" of the cloud services).
package tables

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"relink/functions/internal/fcrun"
	"relink/shared/config"
	"relink/shared/fc"
	"relink/shared/interest"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/message"
	"relink/shared/objects"
	"relink/shared/store"
)

// Parts are what a handler is made of.
type Parts struct {
	Store *store.Store
	Files *objects.Store  // the bucket
	FC    *fc.Client      // to have commands carried out: command.Remote
	Rules *message.Sender // takes what rules and subscriptions want to see
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
	client, err := fc.New(fc.Config{Endpoint: cfg.Cloud.FCEndpoint, Region: cfg.Cloud.Region, AccessKeyID: cfg.Cloud.AccessKeyID,
		Secret: cfg.Cloud.AccessKeySecret, SecurityToken: cfg.Cloud.SecurityToken, Prefix: cfg.Cloud.FunctionPrefix})
	if err != nil {
		return nil, err
	}
	files, err := objects.Open(cfg.Cloud)
	if err != nil {
		return nil, err
	}
	log := fcrun.Logger(ctx)
	rules := message.NewSender(interest.NewWatch(s.RuleIndex(), nil), client, strings.TrimPrefix(os.Getenv("FC_FUNCTION_NAME"), cfg.Cloud.FunctionPrefix), nil)
	h, err := handler(Parts{Store: s, Files: files, FC: client, Rules: rules, Cloud: cfg.Cloud, Log: log})
	if err != nil {
		return nil, err
	}
	return fresh(s, files, client, log, h), nil
}

// fresh is h with the credentials of each invocation set before.
func fresh(s *store.Store, files *objects.Store, client *fc.Client, log *slog.Logger, h fcrun.Handler) fcrun.Handler {
	return fcrun.HandlerFunc(func(ctx context.Context, event []byte) ([]byte, error) {
		if c, ok := fcrun.CredentialsFrom(ctx); ok {
			s.SetCredentials(c.AccessKeyID, iot.Secret(c.AccessKeySecret), iot.Secret(c.SecurityToken))
			files.SetCredentials(c.AccessKeyID, iot.Secret(c.AccessKeySecret), iot.Secret(c.SecurityToken))
			if err := client.SetCredentials(c.AccessKeyID, iot.Secret(c.AccessKeySecret), iot.Secret(c.SecurityToken)); err != nil {
				log.LogAttrs(ctx, slog.LevelError, "credentials not renewed", logs.Err(err))
			}
		}
		return h.Invoke(ctx, event)
	})
}
