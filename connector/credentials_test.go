package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"relink/shared/iot"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestCredentialsAreReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "credentials.json")
	write(t, path, `{"accessKeyId":"one","accessKeySecret":"s1","securityToken":"t1","expiration":"2099-01-02T03:04:05+08:00"}`)
	var mu sync.Mutex
	var got []string
	k := keyring{func(id string, secret, token iot.Secret) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, fmt.Sprint(id, " ", secret.Reveal(), " ", token.Reveal()))
		return nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	var task sync.WaitGroup
	task.Go(func() { k.keep(ctx, path, time.Millisecond, slog.New(slog.DiscardHandler)) })
	await := func(want ...string) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
			mu.Lock()
			now := strings.Join(got, ", ")
			mu.Unlock()
			if now == strings.Join(want, ", ") {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("set %s, want %s", now, want)
			}
		}
	}
	await("one s1 t1")
	for _, broken := range []string{"", `{"accessKeyId":"two"}`, "nonsense"} {
		write(t, path, broken)
	}
	write(t, path, `{"accessKeyId":"three","accessKeySecret":"s3"}`)
	await("one s1 t1", "three s3 ")
	cancel()
	task.Wait()
}

func TestCredentialsOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials.json")
	env(t, map[string]string{"RELINK_CREDENTIALS_FILE": path, "ALIBABA_CLOUD_ACCESS_KEY_ID": "", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "", "ALIBABA_CLOUD_SECURITY_TOKEN": ""})
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "RELINK_CREDENTIALS_FILE") {
		t.Errorf("no file: %v", err)
	}
	write(t, path, `{"accessKeyId":"one","accessKeySecret":"s1","securityToken":"t1"}`)
	s, err := read()
	if err != nil {
		t.Fatal(err)
	}
	if s.AccessKeyID != "one" || s.AccessKeySecret.Reveal() != "s1" || s.SecurityToken.Reveal() != "t1" {
		t.Errorf("%s %s", s.AccessKeyID, s.AccessKeySecret)
	}
}
