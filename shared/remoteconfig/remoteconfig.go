// Package remoteconfig is remote configuration: one JSON file per product, in versions, which devices fetch when they ask for it or when
// they are told that there is a new one ("Remote configuration" of the device protocol). The files are objects, everything else is one
// row per product.
package remoteconfig

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/objects"
	"relink/shared/refusal"
	"relink/shared/store"
)

// Limits.
const (
	MaxSize     = 64 << 10  // bytes of a file
	maxVersions = 50        // that are kept
	validFor    = time.Hour // of the URL that a device is given
	tries       = 5         // of a change that others make at the same time
)

// Codes of this conversation alone.
const (
	codeNone = 6710
	codeOff  = 6713
)

// What a device is told that asks in vain.
var (
	ErrNone = &alink.Error{Code: codeNone, Cause: refusal.ConfigMissing, Message: "no data", Kind: iot.Internal}
	ErrOff  = &alink.Error{Code: codeOff, Cause: refusal.ConfigOff, Message: "remote config is switched off", Kind: iot.NotPermitted}
)

// ErrNoVersion is what an application is told that asks for a version that there is not.
var ErrNoVersion = iot.Errorf(iot.InvalidParams, "the product has no such version of its configuration")

// A URLs makes the URLs at which devices fetch objects; *download.Signer is one.
type URLs interface {
	URL(key string, valid time.Duration) (string, error)
}

// A Service is all that can be done with configurations. Make it with New; it is safe for concurrent use.
type Service struct {
	rows  store.RemoteConfigs
	files objects.Bucket
	urls  URLs
	now   func() time.Time
}

// New makes a service. now is the clock.
func New(rows store.RemoteConfigs, files objects.Bucket, urls URLs, now func() time.Time) *Service {
	return &Service{rows: rows, files: files, urls: urls, now: now}
}

// Config is the product's configuration with its versions; without any if there is none.
func (s *Service) Config(ctx context.Context, pk iot.ProductKey) (*store.RemoteConfig, error) {
	return s.rows.Get(ctx, pk)
}

// Content reads a version, or the draft, by its id.
func (s *Service) Content(ctx context.Context, pk iot.ProductKey, id string) ([]byte, error) {
	content, err := s.files.Read(ctx, object(pk, id), 0, MaxSize)
	if errors.Is(err, objects.ErrNotFound) {
		return nil, ErrNoVersion
	}
	return content, err
}

// object is the key of a version's file. It is part of URLs, which are short.
func object(pk iot.ProductKey, id string) string { return "config/" + string(pk) + "/" + id }

// check makes sure that firmware can take a file, and takes the byte order mark and the space around it off.
func check(content []byte) ([]byte, error) {
	content = bytes.TrimSpace(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")))
	if len(content) > MaxSize {
		return nil, iot.Errorf(iot.QuotaExceeded, "the configuration has %d bytes, %d are the most", len(content), MaxSize)
	}
	if !json.Valid(content) || content[0] != '{' && content[0] != '[' {
		return nil, iot.Errorf(iot.InvalidParams, "the configuration is not JSON")
	}
	return content, nil
}

// SaveDraft keeps content as the draft, in place of the one before. Devices do not see it.
func (s *Service) SaveDraft(ctx context.Context, pk iot.ProductKey, content []byte, description string) (store.ConfigVersion, error) {
	v, err := s.put(ctx, pk, content, description)
	if err != nil {
		return v, err
	}
	old := ""
	err = s.change(ctx, pk, func(c *store.RemoteConfig) error {
		old = "" // what an attempt before saw may be in force by now
		if c.Draft != nil {
			old = c.Draft.ID
		}
		c.Draft = &v
		return nil
	})
	if err == nil && old != "" {
		err = s.files.Delete(ctx, object(pk, old))
	}
	return v, err
}

// errInForce ends a change that was made already.
var errInForce = errors.New("in force already")

// Publish puts content into force, or the draft if content is nil. What is in force already is not published again: its version is
// answered, so that a call may be repeated. So without a draft the version in force is the answer if it was one.
func (s *Service) Publish(ctx context.Context, pk iot.ProductKey, content []byte, description string) (store.ConfigVersion, error) {
	var v store.ConfigVersion
	var err error
	if content != nil {
		if content, err = check(content); err != nil {
			return v, err
		}
		c, err := s.rows.Get(ctx, pk)
		if err != nil {
			return v, err
		}
		if last := current(c); last != nil && last.Sign == sign(content) {
			return *last, nil
		}
		if v, err = s.put(ctx, pk, content, description); err != nil {
			return v, err
		}
	}
	var dropped []store.ConfigVersion
	err = s.change(ctx, pk, func(c *store.RemoteConfig) error {
		if content == nil {
			if last := current(c); c.Draft == nil && last != nil && last.FromDraft {
				v = *last
				return errInForce
			}
			if c.Draft == nil {
				return iot.Errorf(iot.InvalidParams, "there is no draft to publish")
			}
			v, c.Draft = *c.Draft, nil
			v.At, v.FromDraft = s.now().UnixMilli(), true
			if description != "" {
				v.Description = description
			}
		}
		c.Versions = append(slices.Clip(c.Versions), v)
		over := max(len(c.Versions)-maxVersions, 0)
		dropped, c.Versions = c.Versions[:over], c.Versions[over:]
		return nil
	})
	if errors.Is(err, errInForce) {
		return v, nil
	}
	for _, d := range dropped {
		err = errors.Join(err, s.files.Delete(ctx, object(pk, d.ID)))
	}
	return v, err
}

// Switch turns a product's configuration on or off. Off, devices are told so when they ask, and nothing is pushed.
func (s *Service) Switch(ctx context.Context, pk iot.ProductKey, on bool) error {
	return s.change(ctx, pk, func(c *store.RemoteConfig) error {
		c.Off = !on
		return nil
	})
}

// put stores a file under an id of its own, before anything names it.
func (s *Service) put(ctx context.Context, pk iot.ProductKey, content []byte, description string) (store.ConfigVersion, error) {
	content, err := check(content)
	if err != nil {
		return store.ConfigVersion{}, err
	}
	var id [6]byte
	rand.Read(id[:]) // never fails
	v := store.ConfigVersion{ID: hex.EncodeToString(id[:]), Size: len(content), Sign: sign(content), Description: description, At: s.now().UnixMilli()}
	return v, s.files.Put(ctx, object(pk, v.ID), content, "application/json")
}

func sign(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// change reads, changes and writes a row until nobody else was faster.
func (s *Service) change(ctx context.Context, pk iot.ProductKey, f func(c *store.RemoteConfig) error) error {
	var err error
	for range tries {
		c, gerr := s.rows.Get(ctx, pk)
		if gerr != nil {
			return gerr
		}
		if ferr := f(c); ferr != nil {
			return ferr
		}
		if err = s.rows.Put(ctx, c); !iot.Is(err, iot.Conflict) {
			return err
		}
	}
	return err
}

// current is the version in force, nil if there is none.
func current(c *store.RemoteConfig) *store.ConfigVersion {
	if n := len(c.Versions); n > 0 {
		return &c.Versions[n-1]
	}
	return nil
}

// Notice is what a device is told of the configuration in force: members in the order that shipped firmware scans for, with a URL that
// holds for an hour. The error is ErrNone or ErrOff if there is nothing to tell.
func (s *Service) Notice(ctx context.Context, pk iot.ProductKey) ([]byte, error) {
	c, err := s.rows.Get(ctx, pk)
	if err != nil {
		return nil, err
	}
	v := current(c)
	switch {
	case c.Off:
		return nil, ErrOff
	case v == nil:
		return nil, ErrNone
	}
	url, err := s.urls.URL(object(pk, v.ID), validFor)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `{"configId":%q,"configSize":%d,"getType":"file","sign":%q,"signMethod":"Sha256","url":%s}`,
		v.ID, v.Size, v.Sign, alink.AppendString(nil, url)), nil
}
