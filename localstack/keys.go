package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// keys are the secrets of one data directory, made at its first start.
type keys struct {
	AccessKeyID     string `json:"accessKeyId"`
	AccessKeySecret string `json:"accessKeySecret"`
	SecretKey       string `json:"secretKey"`   // encrypts device and product secrets at rest
	InternalKey     string `json:"internalKey"` // signs calls to the connector's internal API
}

// loadKeys reads dir/keys.json, or makes it.
func loadKeys(dir string) (keys, error) {
	path := filepath.Join(dir, "keys.json")
	var k keys
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(data, &k); err != nil || k.AccessKeyID == "" || len(k.SecretKey) != 64 || len(k.InternalKey) != 64 {
			return k, fmt.Errorf("%s is damaged: without it the secrets in this data directory cannot be read", path)
		}
		return k, nil
	case !errors.Is(err, fs.ErrNotExist):
		return k, err
	}
	if _, err := os.Stat(filepath.Join(dir, "tablestore")); err == nil {
		return k, fmt.Errorf("%s is missing: without it the secrets in this data directory cannot be read", path)
	}
	k = keys{
		AccessKeyID:     "LTAI" + randomHex(8),
		AccessKeySecret: randomHex(15),
		SecretKey:       randomHex(32),
		InternalKey:     randomHex(32),
	}
	data, err = json.MarshalIndent(k, "", "  ")
	if err != nil {
		return k, err
	}
	return k, writeDurably(path, append(data, '\n'), 0o600)
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// writeDurably replaces a file so that a crash leaves the old or the new one, whole.
func writeDurably(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename there is nothing left to remove
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
