// Package tables keeps the credentials of a function's tables fresh: those in the environment date from the start of the
// instance and expire in one that lives long, those that come with an invocation do not ("Environment and credentials in an
// instance" of the cloud services).
package tables

import (
	"context"

	"relink/functions/internal/fcrun"
	"relink/shared/iot"
	"relink/shared/store"
)

// Fresh is h with the credentials of each invocation set in s before.
func Fresh(s *store.Store, h fcrun.Handler) fcrun.Handler {
	return fcrun.HandlerFunc(func(ctx context.Context, event []byte) ([]byte, error) {
		if c, ok := fcrun.CredentialsFrom(ctx); ok {
			s.SetCredentials(c.AccessKeyID, iot.Secret(c.AccessKeySecret), iot.Secret(c.SecurityToken))
		}
		return h.Invoke(ctx, event)
	})
}
