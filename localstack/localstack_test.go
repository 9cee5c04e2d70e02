package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFlags(t *testing.T) {
	t.Parallel()
	c, err := parseFlags([]string{"--data", "d", "--port-offset", "7", "--host", "0.0.0.0"}, io.Discard)
	if err != nil || c.data != "d" || c.offset != 7 || c.host != "0.0.0.0" || c.file != "s.yaml" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, args := range [][]string{{"--port-offset", "60000"}, {"--port-offset", "x"}, {"--host", "example"}, {"--data", "d", "--ephemeral"}, {"extra"}, {"--nope"}} {
		if _, err := parseFlags(args, io.Discard); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v, want one line", args, err)
		}
	}
}

// The MNS SDK takes an endpoint with exactly four dots only.
func TestMNSEndpoint(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "10.1.2.3", "localhost", "::1"} {
		if e := mnsEndpoint(addresses{host: host, offset: 3}); strings.Count(e, ".") != 4 || !strings.Contains(e, ":9007/"+accountID+".") {
			t.Errorf("host %s: %s", host, e)
		}
	}
}

func TestFirstComplaint(t *testing.T) {
	t.Parallel()
	fallback := errors.New("exit status 1")
	for output, want := range map[string]string{
		"":                                       "exit status 1",
		"# relink/x\nx/a.go:3:5: undefined: y\n": "x/a.go:3:5: undefined: y",
		"go: downloading a v1\n# relink/x\nx/a.go:1: b\nx/c.go:2: d\n": "x/a.go:1: b (and 1 more lines: go vet ./... shows them)",
	} {
		if got := firstComplaint(output, fallback); got != want {
			t.Errorf("%q: %q, want %q", output, got, want)
		}
	}
}

func TestFaultDurations(t *testing.T) {
	t.Parallel()
	var f faultSet
	const text = `{"fc":{"throttle":0.3,"delay":"50ms","crash":{"relink-property":"1s"}}}`
	if err := json.Unmarshal([]byte(text), &f); err != nil || time.Duration(f.FC.Delay) != 50*time.Millisecond || time.Duration(f.FC.Crash["relink-property"]) != time.Second {
		t.Fatalf("%+v, %v", f.FC, err)
	}
	again, err := json.Marshal(f)
	if err != nil || !strings.Contains(string(again), `"delay":"50ms"`) {
		t.Errorf("%s, %v", again, err)
	}
	if err := json.Unmarshal([]byte(`{"mns":{"throttle":0.1,"fail":0.2,"lose":0.3,"delay":"1s"}}`), &f); err != nil || f.MNS.Throttle != 0.1 || f.MNS.Lose != 0.3 || time.Duration(f.MNS.Delay) != time.Second {
		t.Errorf("%+v, %v", f.MNS, err)
	}
	for _, bad := range []string{`{"fc":{"delay":50}}`, `{"fc":{"delay":"soon"}}`, `{"fc":{"delay":"-1s"}}`} {
		if err := json.Unmarshal([]byte(bad), new(faultSet)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

// Keys and certificates are made once and found again; a damaged key file is told, never replaced.
func TestSecretsOfADataDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := loadKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := loadKeys(dir); err != nil || again != first {
		t.Errorf("%+v, %v, want %+v", again, err, first)
	}
	path := filepath.Join(dir, "keys.json")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	now := time.Now()
	tls := filepath.Join(dir, "tls")
	if _, err := loadCertificates(tls, "127.0.0.1", now); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(tls, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	ca, server := read("ca.pem"), read("server.pem")
	if _, err := loadCertificates(tls, "127.0.0.1", now.AddDate(0, 6, 0)); err != nil || read("ca.pem") != ca || read("server.pem") != server {
		t.Errorf("half a year later: %v, or something was made anew", err)
	}
	if _, err := loadCertificates(tls, "10.1.2.3", now); err != nil || read("ca.pem") != ca || read("server.pem") == server {
		t.Errorf("another host: %v; want the same authority and a new server certificate", err)
	}
	if _, err := loadCertificates(tls, "10.1.2.3", now.AddDate(2, 0, 0)); err != nil || read("ca.pem") != ca {
		t.Errorf("two years later: %v; want the same authority", err)
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadKeys(dir); err == nil {
		t.Error("a damaged key file is accepted")
	}
}
