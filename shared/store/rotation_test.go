package store

import (
	"testing"

	"relink/shared/config"
)

// Secrets that were written before the key was replaced are read with RELINK_OLD_SECRET_KEYS, and new ones need it no more.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	open := func(current config.Key, old ...config.Key) *sealer {
		t.Helper()
		cloud := config.Cloud{AccessKeyID: "id", AccessKeySecret: "secret", TablestoreEndpoint: "http://127.0.0.1:1", TablestoreInstance: "relink",
			SecretKey: current, OldSecretKeys: old}
		s, err := Open(FromConfig(cloud, config.Store{}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s.seal
	}
	before, during, after := open(config.Key{1}), open(config.Key{2}, config.Key{1}), open(config.Key{2})
	old, renewed := before.seal("s3cret", "place"), during.seal("s3cret", "place")
	for name, c := range map[string]struct {
		s    *sealer
		data []byte
		ok   bool
	}{
		"old_row_during":   {during, old, true},
		"new_row_during":   {during, renewed, true},
		"new_row_after":    {after, renewed, true},
		"old_row_after":    {after, old, false},
		"new_row_too_soon": {before, renewed, false},
	} {
		if got, err := c.s.open(c.data, "place"); (err == nil) != c.ok || c.ok && got != "s3cret" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
