package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"relink/shared/iot"
)

// A CachedScript is the submitted script of a product, without the draft. It is shared: nobody changes it.
type CachedScript struct {
	Type     string
	Source   string
	Version  string // names this text among all: its SHA-256
	Revision int64
}

// CachedScripts reads the script of a product at most every two seconds.
type CachedScripts struct{ cache *cache[*CachedScript] }

// NewCachedScripts makes a cache in front of scripts. now is the clock, time.Now if nil.
func NewCachedScripts(scripts Scripts, now func() time.Time) *CachedScripts {
	if now == nil {
		now = time.Now
	}
	load := func(ctx context.Context, key string, old *CachedScript) (*CachedScript, error) {
		return loadScript(ctx, scripts, iot.ProductKey(key), old)
	}
	return &CachedScripts{newCache(load, now)}
}

func loadScript(ctx context.Context, scripts Scripts, key iot.ProductKey, old *CachedScript) (*CachedScript, error) {
	// A script may have 128 KB, twice with its draft: it is read whole only if it has changed.
	if r, ok := scripts.(interface {
		revision(ctx context.Context, key iot.ProductKey) (int64, error)
	}); ok && old != nil {
		if revision, err := r.revision(ctx, key); err != nil || revision == old.Revision {
			return old, err
		}
	}
	s, err := scripts.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return new(CachedScript), nil
	}
	c := &CachedScript{Type: s.Type, Source: s.Source, Revision: s.Revision}
	if c.Source != "" {
		c.Version = ScriptVersion(c.Source)
	}
	return c, nil
}

// ScriptVersion names a text of a script.
func ScriptVersion(source string) string {
	sum := sha256.Sum256([]byte(source))
	return hex.EncodeToString(sum[:])
}

// Get answers the script that runs, with an empty Source if none was submitted; Throttled, Unavailable.
func (c *CachedScripts) Get(ctx context.Context, key iot.ProductKey) (*CachedScript, error) {
	return c.cache.get(ctx, string(key))
}

// Forget makes the next Get read again.
func (c *CachedScripts) Forget(key iot.ProductKey) {
	c.cache.mu.Lock()
	defer c.cache.mu.Unlock()
	delete(c.cache.entries, string(key))
}
