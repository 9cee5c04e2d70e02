package main

import (
	"time"

	"relink/shared/config"
	"relink/shared/iot"
	"relink/shared/store"
)

// tables opens the store for reading what devices posted.
func (a *app) tables() (*store.Store, error) {
	endpoint, err := a.env.need("TABLESTORE_ENDPOINT")
	if err != nil {
		return nil, err
	}
	id, secret, err := a.env.accessKey()
	if err != nil {
		return nil, err
	}
	return store.Open(store.Options{
		Endpoint: endpoint, Instance: or(a.env.get("TABLESTORE_INSTANCE"), "relink"), AccessKeyID: id, AccessKeySecret: iot.Secret(secret),
		Key:            config.Key{1}, // no row with a secret is read or written here
		RequestTimeout: 30 * time.Second, RetryFor: time.Minute,
	})
}
