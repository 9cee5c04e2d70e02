package main

import (
	"net"
	"strings"
	"testing"
	"time"
)

// env is the least that a connector needs.
func env(t *testing.T, more map[string]string) {
	t.Helper()
	set := map[string]string{
		"ALIBABA_CLOUD_ACCESS_KEY_ID": "id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret", "TABLESTORE_ENDPOINT": "http://127.0.0.1:1",
		"RELINK_FC_ENDPOINT": "http://127.0.0.1:1", "RELINK_SECRET_KEY": strings.Repeat("11", 32), "RELINK_INTERNAL_KEY": strings.Repeat("22", 32),
		"RELINK_LISTEN_MQTT": "127.0.0.1:0", "RELINK_LISTEN_MQTTS": "", "RELINK_LISTEN_WS": "", "RELINK_LISTEN_WSS": "", "RELINK_LISTEN_HTTP": "", "RELINK_LISTEN_HTTPS": "",
		"RELINK_LISTEN_INTERNAL": "127.0.0.1:0", "RELINK_TLS_CERT": "", "RELINK_TLS_KEY": "", "SLS_ENDPOINT": "", "RELINK_NODE_ID": "", "RELINK_CREDENTIALS_FILE": "",
	}
	for k, v := range more {
		set[k] = v
	}
	for k, v := range set {
		t.Setenv(k, v)
	}
}

func TestSettings(t *testing.T) {
	env(t, nil)
	s, err := read()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.NodeID) != 16 || s.InternalURL != "http://127.0.0.1:0" || s.MinKeepAlive != 30*time.Second || s.Lease != 15*time.Second {
		t.Errorf("%+v", s)
	}
	other, err := read()
	if err != nil || other.NodeID == s.NodeID {
		t.Errorf("two starts have one node id, %s: %v", s.NodeID, err)
	}
}

func TestSettingsRefused(t *testing.T) {
	for variable, value := range map[string]string{
		"RELINK_INTERNAL_KEY": "", "RELINK_TLS_CERT": "only.pem", "RELINK_LEASE": "10ms", "RELINK_KEEPALIVE_MIN": "9999s", "RELINK_SECRET_KEY": "short",
	} {
		t.Run(variable, func(t *testing.T) {
			env(t, map[string]string{variable: value})
			if _, err := read(); err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s=%q: %v, want an error of one line", variable, value, err)
			}
		})
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	env(t, map[string]string{"RELINK_LISTEN_MQTT": l.Addr().String()})
	s, err := read()
	if err != nil {
		t.Fatal(err)
	}
	_, err = listen(s)
	if err == nil || !strings.HasPrefix(err.Error(), l.Addr().String()+" is in use: ") || !strings.Contains(err.Error(), "RELINK_LISTEN_MQTT") {
		t.Errorf("error %v", err)
	}
}
