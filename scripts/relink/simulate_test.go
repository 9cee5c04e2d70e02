package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"relink/scripts/load"
)

// Flags that cannot be meant are refused before anything is registered.
func TestFlagsOfSimulateAndBench(t *testing.T) {
	env := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(env, []byte("RELINK_COAP=127.0.0.1:1\nRELINK_HTTPS=https://127.0.0.1:1\nRELINK_CA=/does/not/exist\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"simulate --protocol amqp":                        "mqtt, coap, coaps, http or https",
		"simulate --protocol coap --psk":                  "--psk is of coaps",
		"simulate --protocol coaps":                       "RELINK_COAPS is not set",
		"simulate --protocol https":                       "RELINK_CA",
		"simulate --protocol coap --devices 0":            "--devices",
		"simulate --every 0s":                             "--every",
		"bench --protocol coaps":                          "mqtt, coap or http",
		"bench --protocol coap --window 4":                "one post in flight",
		"bench --protocol coap --bytes 1000":              "one datagram",
		"bench --protocol coap --rate 5 --every 1s":       "[every rate]",
		"bench --protocol coap --devices 10 --every -1s ": "not negative",
	} {
		c := newRoot()
		c.SetArgs(append(strings.Fields(args), "--env", env))
		c.SetOut(new(bytes.Buffer))
		c.SetErr(new(bytes.Buffer))
		if err := c.Execute(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

// A refusal is told once with its code and cure, however many devices have it; --replies tells every answer.
func TestVoice(t *testing.T) {
	var out bytes.Buffer
	v := &voice{w: &out, protocol: load.CoAP}
	d := &load.Device{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-001"}
	refusal := &load.Refusal{Protocol: load.CoAP, Code: "4.03"}
	for range 3 {
		v.heard(load.Answer{Device: d, Code: "4.03", Err: refusal})
	}
	v.heard(load.Answer{Device: d, Err: errors.New("no answer within 1m2s")})
	v.heard(load.Answer{Device: d, Code: "2.05", Reply: []byte(`{}`)})
	const want = "a1B2c3D4e5F lamp-001: refused: 4.03: the device is disabled, or the topic is not one that it may publish; enable the device, or correct the topic; ask: relink why a1B2c3D4e5F lamp-001\n" +
		"a1B2c3D4e5F lamp-001: no answer within 1m2s; is the connector up, and the port reachable?\n"
	if out.String() != want {
		t.Errorf("got %s\nwant %s", out.String(), want)
	}
	out.Reset()
	v.all = true
	v.progress(load.Counts{Sent: 5})
	v.heard(load.Answer{Device: d, Code: "2.05", Reply: []byte(`{"code":200}`)})
	if !strings.Contains(out.String(), `lamp-001: 2.05 {"code":200}`) {
		t.Errorf("got %q", out.String())
	}
}
