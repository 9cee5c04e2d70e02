package store

import (
	"sync/atomic"

	"github.com/aliyun/aliyun-tablestore-go-sdk/common"

	"relink/shared/iot"
)

// credentials are asked by the SDK before every request; they can be replaced while it works.
type credentials struct {
	current atomic.Pointer[common.DefaultCredentials]
}

func newCredentials(id string, secret, token iot.Secret) *credentials {
	c := new(credentials)
	c.set(id, secret, token)
	return c
}

func (c *credentials) set(id string, secret, token iot.Secret) {
	old := c.current.Load()
	if old != nil && old.AccessKeyID == id && old.AccessKeySecret == secret.Reveal() && old.SecurityToken == token.Reveal() {
		return
	}
	c.current.Store(&common.DefaultCredentials{AccessKeyID: id, AccessKeySecret: secret.Reveal(), SecurityToken: token.Reveal()})
}

// GetCredentials is what the SDK calls.
func (c *credentials) GetCredentials() common.Credentials { return c.current.Load() }

// SetCredentials replaces the credentials for all requests from now on; temporary ones expire while a store is in use.
func (s *Store) SetCredentials(accessKeyID string, secret, token iot.Secret) {
	s.client.credentials.set(accessKeyID, secret, token)
}
