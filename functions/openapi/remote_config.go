package main

import (
	"context"
	"errors"
	"time"

	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/remoteconfig"
	"relink/shared/store"
)

// The vendor has remote configuration in its console alone. These actions are ours.

// pushFor is how long one call works on a push before it answers where to go on.
const pushFor = 5 * time.Second

// A configVersion is a version as the actions show it.
type configVersion struct {
	ConfigId    string //nolint:revive // the API's spelling
	Size        int
	Sign        string
	Description string `json:",omitempty"`
	UtcCreated  string
	InForce     bool
}

func showConfig(v *store.ConfigVersion, inForce bool) configVersion {
	return configVersion{v.ID, v.Size, v.Sign, v.Description, utc(v.At), inForce}
}

// relinkPublishRemoteConfig puts Content into force, or the draft if there is none; with Draft=true it saves a draft.
func (a *api) relinkPublishRemoteConfig(ctx context.Context, c *openapi.Call) (any, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	description := c.Params.String("Description")
	if len(description) > 1024 {
		return nil, openapi.Invalid("Description")
	}
	draft, err := c.Params.Bool("Draft", false)
	if err != nil {
		return nil, err
	}
	var content []byte
	if c.Params.Has("Content") {
		content = []byte(c.Params.String("Content"))
	}
	var v store.ConfigVersion
	switch {
	case draft && content == nil:
		return nil, openapi.Missing("Content")
	case draft:
		v, err = a.delivery.configs.SaveDraft(ctx, p.Key, content, description)
	default:
		v, err = a.delivery.configs.Publish(ctx, p.Key, content, description)
	}
	if err != nil {
		return nil, err
	}
	return dataAnswer[configVersion]{showConfig(&v, !draft)}, nil
}

// relinkGetRemoteConfig gives a version with its content: the one that ConfigId names, or the one in force, or with Draft=true the draft.
func (a *api) relinkGetRemoteConfig(ctx context.Context, c *openapi.Call) (any, error) {
	p, config, err := a.config(ctx, c)
	if err != nil {
		return nil, err
	}
	draft, err := c.Params.Bool("Draft", false)
	if err != nil {
		return nil, err
	}
	id := c.Params.String("ConfigId")
	v, inForce := config.Draft, false
	if !draft {
		v = nil
		for i := range config.Versions {
			if last := i == len(config.Versions)-1; config.Versions[i].ID == id || id == "" && last {
				v, inForce = &config.Versions[i], last
			}
		}
	}
	answer := struct {
		Enabled bool
		Data    *struct {
			configVersion
			Content string
		} `json:",omitempty"`
	}{Enabled: !config.Off}
	if v == nil {
		if id != "" {
			return nil, remoteconfig.ErrNoVersion
		}
		return answer, nil
	}
	text, err := a.delivery.configs.Content(ctx, p.Key, v.ID)
	if err != nil {
		return nil, err
	}
	answer.Data = &struct {
		configVersion
		Content string
	}{showConfig(v, inForce), string(text)}
	return answer, nil
}

// config gets the product that the call names and its configuration.
func (a *api) config(ctx context.Context, c *openapi.Call) (*store.Product, *store.RemoteConfig, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	config, err := a.delivery.configs.Config(ctx, p.Key)
	return p, config, err
}

// relinkListRemoteConfigVersions lists what was published, newest first.
func (a *api) relinkListRemoteConfigVersions(ctx context.Context, c *openapi.Call) (any, error) {
	_, config, err := a.config(ctx, c)
	if err != nil {
		return nil, err
	}
	n := len(config.Versions)
	var answer struct {
		Enabled bool
		Data    struct{ Version []configVersion }
	}
	answer.Enabled = !config.Off
	answer.Data.Version = list(n, func(i int) configVersion { return showConfig(&config.Versions[n-1-i], i == 0) })
	return answer, nil
}

// relinkSwitchRemoteConfig turns a product's configuration on or off.
func (a *api) relinkSwitchRemoteConfig(ctx context.Context, c *openapi.Call) (any, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	on, err := c.Params.Bool("Enabled", true)
	if err != nil {
		return nil, err
	}
	return nil, a.delivery.configs.Switch(ctx, p.Key, on)
}

// relinkPushRemoteConfig tells the product's online devices of the configuration in force. A call works for some seconds; NextToken is
// where the next one goes on, empty when all devices were looked at.
func (a *api) relinkPushRemoteConfig(ctx context.Context, c *openapi.Call) (any, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	pusher := &remoteconfig.Pusher{
		Service: a.delivery.configs, Devices: a.delivery.stores.ProductDevices(), Sessions: a.sessions, Nodes: a.nodes, Commander: a.commander,
		NextID: a.ids.request, Now: a.now,
	}
	done, err := pusher.Push(ctx, p.Key, c.Params.String("NextToken"), a.now().Add(pushFor))
	switch {
	case errors.Is(err, remoteconfig.ErrNone):
		return nil, iot.Errorf(iot.InvalidParams, "the product has no configuration in force: publish one")
	case errors.Is(err, remoteconfig.ErrOff):
		return nil, iot.Errorf(iot.InvalidParams, "the product's configuration is switched off")
	case err != nil:
		return nil, err
	}
	type pushed struct {
		Devices, Online, Sent, Failed int
		NextToken                     string `json:",omitempty"`
	}
	return dataAnswer[pushed]{pushed{done.Devices, done.Online, done.Sent, done.Failed, done.Next}}, nil
}
