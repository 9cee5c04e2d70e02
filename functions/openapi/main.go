// Openapi is the function that serves the vendor's OpenAPI ("Iot", 2018-01-20) to applications: their SDKs need another
// endpoint and nothing else. It is an HTTP function; callers sign as they did, with the access keys of RELINK_API_KEYS. What
// goes down to a device goes through the function `command`.
package main

import (
	"context"
	"time"

	"relink/functions/internal/fcrun"
	"relink/shared/command"
	"relink/shared/config"
	"relink/shared/download"
	"relink/shared/fc"
	"relink/shared/interest"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/message"
	"relink/shared/mns"
	"relink/shared/objects"
	"relink/shared/openapi"
	"relink/shared/script/sandbox"
	"relink/shared/store"
	"relink/shared/topology"
)

// Config is the function's environment.
type Config struct {
	Cloud    config.Cloud
	Store    config.Store
	Keys     openapi.Keys        `env:"RELINK_API_KEYS"`                      // id:secret, several with commas: who may call the API
	Limits   openapi.LimitPolicy `env:"RELINK_API_LIMITS,default=documented"` // documented or off: calls per second of one key
	Topology topology.Limits
}

func main() { fcrun.Main(newHandler) }

func newHandler(ctx context.Context) (fcrun.Handler, error) {
	var cfg Config
	if err := config.Read(&cfg); err != nil {
		return nil, err
	}
	state, err := store.Open(store.FromConfig(cfg.Cloud, cfg.Store))
	if err != nil {
		return nil, err
	}
	client, err := fc.New(fc.Config{Endpoint: cfg.Cloud.FCEndpoint, Region: cfg.Cloud.Region, AccessKeyID: cfg.Cloud.AccessKeyID,
		Secret: cfg.Cloud.AccessKeySecret, SecurityToken: cfg.Cloud.SecurityToken, Prefix: cfg.Cloud.FunctionPrefix})
	if err != nil {
		return nil, err
	}
	log := fcrun.Logger(ctx)
	if cfg.Keys.Len() == 0 {
		log.Error("no access keys (RELINK_API_KEYS): every call will be refused")
	}
	fresh := &renewal{set: []func(id string, secret, token iot.Secret) error{
		func(id string, secret, token iot.Secret) error { state.SetCredentials(id, secret, token); return nil },
		client.SetCredentials,
	}}
	var audit sink = noSink{}
	if cfg.Cloud.SLSEndpoint != "" {
		s, err := newSLSSink(cfg.Cloud)
		if err != nil {
			return nil, err
		}
		audit, fresh.set = s, append(fresh.set, s.setCredentials)
	}
	files, err := objects.Open(cfg.Cloud)
	if err != nil {
		return nil, err
	}
	urls, err := download.NewSigner(cfg.Cloud.DownloadURL, cfg.Cloud.InternalKey, time.Now)
	if err != nil {
		return nil, err
	}
	fresh.set = append(fresh.set, func(id string, secret, token iot.Secret) error { files.SetCredentials(id, secret, token); return nil })
	rules := message.NewSender(interest.NewWatch(state.RuleIndex(), nil), client, "openapi", nil)
	queues, err := mns.New(mns.Config{Endpoint: cfg.Cloud.MNSEndpoint, AccessKeyID: cfg.Cloud.AccessKeyID, AccessKeySecret: cfg.Cloud.AccessKeySecret,
		SecurityToken: cfg.Cloud.SecurityToken})
	if err != nil {
		return nil, err
	}
	fresh.set = append(fresh.set, queues.SetCredentials)
	api := assemble(parts{
		rules:     rules,
		tables:    tablesOf(state),
		delivery:  newDelivery(state, files, urls, time.Now),
		commander: command.Remote{FC: client}, runner: new(sandbox.Pool), sink: audit, keys: cfg.Keys, limits: cfg.Limits, topology: cfg.Topology, region: cfg.Cloud.Region, account: cfg.Cloud.AccountID, queues: queues, functions: client, now: time.Now, log: log,
	})
	return handler{fresh.before(api, func(err error) { log.Error("credentials not renewed", logs.Err(err)) })}, nil
}
