package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"relink/shared/iot"
	"relink/shared/logs"
)

// A credentialsFile holds temporary credentials, in a file that somebody else replaces before they expire: what the metadata service
// of an ECS instance or the RRSA of ACK gives, for example. It should be replaced as a whole, by a rename.
type credentialsFile struct {
	AccessKeyID     string    `json:"accessKeyId"`
	AccessKeySecret string    `json:"accessKeySecret"`
	SecurityToken   string    `json:"securityToken"` // may be empty
	Expiration      time.Time `json:"expiration"`    // may be left out
}

// credentialsEvery is how often the file is read. Temporary credentials hold for an hour and more.
const credentialsEvery = time.Minute

func readCredentials(path string) (c credentialsFile, err error) {
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err == nil && (c.AccessKeyID == "" || c.AccessKeySecret == "") {
		err = errors.New("accessKeyId or accessKeySecret is missing")
	}
	if err != nil {
		return credentialsFile{}, fmt.Errorf("RELINK_CREDENTIALS_FILE: %w", err)
	}
	c.Expiration = c.Expiration.UTC() // so that equal ones compare equal
	return c, nil
}

// A keyring hands new credentials to the clients of the services.
type keyring []func(accessKeyID string, secret, token iot.Secret) error

func (k keyring) set(c credentialsFile) error {
	var all []error
	for _, set := range k {
		all = append(all, set(c.AccessKeyID, iot.Secret(c.AccessKeySecret), iot.Secret(c.SecurityToken)))
	}
	return errors.Join(all...)
}

// keep reads the file again and again until ctx ends. What cannot be read changes nothing, and is logged as long as it lasts.
func (k keyring) keep(ctx context.Context, path string, every time.Duration, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var current credentialsFile
	for {
		next, err := readCredentials(path)
		if err == nil && next != current {
			if err = k.set(next); err == nil {
				current = next
				log.LogAttrs(ctx, slog.LevelInfo, "credentials replaced", slog.Time("expiration", next.Expiration))
			}
		}
		if err != nil {
			log.LogAttrs(ctx, slog.LevelWarn, "credentials not replaced", logs.Err(err))
		}
		if left := time.Until(current.Expiration); !current.Expiration.IsZero() && left < 2*every {
			log.LogAttrs(ctx, slog.LevelError, "credentials expire and the file has no new ones", slog.Duration("left", left))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
