package store

import (
	"context"

	"relink/shared/iot"
)

// A RemoteConfig is the remote configuration of one product: a row of the table `remote_config`. The files themselves are objects.
type RemoteConfig struct {
	ProductKey iot.ProductKey  `json:"-"`
	Off        bool            `json:"off,omitempty"`      // devices are told that it is switched off
	Draft      *ConfigVersion  `json:"draft,omitempty"`    // being edited; nil if there is none
	Versions   []ConfigVersion `json:"versions,omitempty"` // published, newest last; the last is in force
	Revision   int64           `json:"-"`                  // of the row; 0 if there is none yet
}

// A ConfigVersion is one file of configuration.
type ConfigVersion struct {
	ID          string `json:"id"` // configId: new for each content
	Size        int    `json:"size"`
	Sign        string `json:"sign"` // SHA-256, lower-case hex
	Description string `json:"description,omitempty"`
	At          int64  `json:"at"`                  // saved or published
	FromDraft   bool   `json:"fromDraft,omitempty"` // published as the draft, without content of the call's own
}

// RemoteConfigs is the table `remote_config`.
type RemoteConfigs interface {
	Get(ctx context.Context, pk iot.ProductKey) (*RemoteConfig, error) // without versions and draft if there is none
	// Put writes over the revision that was read and advances it in c; Conflict if somebody else did.
	Put(ctx context.Context, c *RemoteConfig) error
}

const tableRemoteConfig = "remote_config" // key: product_key

type remoteConfigs struct{ client *client }

// RemoteConfigs is the table `remote_config`.
func (s *Store) RemoteConfigs() RemoteConfigs { return remoteConfigs{s.client} }

func (r remoteConfigs) Get(ctx context.Context, pk iot.ProductKey) (*RemoteConfig, error) {
	c := &RemoteConfig{ProductKey: pk}
	var err error
	c.Revision, err = getDocument(ctx, r.client, tableRemoteConfig, productKey(pk), c)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (r remoteConfigs) Put(ctx context.Context, c *RemoteConfig) error {
	return putDocument(ctx, r.client, tableRemoteConfig, productKey(c.ProductKey), c, &c.Revision)
}
