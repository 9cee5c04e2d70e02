package main

import (
	"context"
	"net/http"
	"sync"

	"relink/functions/internal/fcrun"
	"relink/shared/iot"
)

// A renewal gives every client of the function the credentials that came with a call: those in the environment date from the
// start of the instance and expire in one that lives long.
type renewal struct {
	set []func(id string, secret, token iot.Secret) error

	mu   sync.Mutex
	last fcrun.Credentials
}

// renew sets the credentials of a call if they differ from the last ones.
func (r *renewal) renew(ctx context.Context) error {
	c, ok := fcrun.CredentialsFrom(ctx)
	if !ok {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c == r.last {
		return nil
	}
	for _, set := range r.set {
		if err := set(c.AccessKeyID, iot.Secret(c.AccessKeySecret), iot.Secret(c.SecurityToken)); err != nil {
			return err
		}
	}
	r.last = c
	return nil
}

// before is next with the credentials of each call. Credentials that cannot be set leave the older ones, which may still hold.
func (r *renewal) before(next http.Handler, failed func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := r.renew(req.Context()); err != nil {
			failed(err)
		}
		next.ServeHTTP(w, req)
	})
}
