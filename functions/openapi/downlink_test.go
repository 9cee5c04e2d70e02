package main

import (
	"context"
	"testing"
	"time"

	"relink/shared/config"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/refusal"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	i := newIDs(func() time.Time { return time.UnixMilli(1767225600000) })
	i.alink.Store(1<<31 - 3)
	for _, want := range []string{"2147483646", "2147483647", "1", "2"} { // never 0, never above 2147483647
		if got := i.request(); got != want {
			t.Errorf("request id %s, want %s", got, want)
		}
	}
	last := ""
	for range 1000 {
		id := i.message()
		if len(id) != 19 || id <= last {
			t.Fatalf("message id %s after %s", id, last)
		}
		last = id
	}
}

func TestConfig(t *testing.T) {
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "a")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "b")
	t.Setenv("RELINK_API_KEYS", "id:secret,id2:secret2")
	var cfg Config
	if err := config.Read(&cfg); err != nil || cfg.Keys.Len() != 2 || cfg.Cloud.Region != "cn-shanghai" || cfg.Limits != openapi.LimitsDocumented {
		t.Errorf("%+v, %v", cfg, err)
	}
	t.Setenv("RELINK_API_LIMITS", "off")
	cfg = Config{}
	if err := config.Read(&cfg); err != nil || cfg.Limits != openapi.LimitsOff {
		t.Errorf("limits %q, %v", cfg.Limits, err)
	}
	t.Setenv("RELINK_API_KEYS", "nonsense")
	if err := config.Read(new(Config)); err == nil {
		t.Error("malformed keys are accepted")
	}
}

type outcome downlink.State

func (o outcome) Command(context.Context, downlink.Command) (downlink.Outcome, error) {
	return downlink.Outcome{State: downlink.State(o)}, nil
}

// A full queue is refused with its cause, and its time of sending is set, which is its place in the queue.
func TestPublishToAFullQueue(t *testing.T) {
	t.Parallel()
	p := downlink.Publish{Topic: "/pk1/dn01/user/get", QoS: 1}
	_, err := publish(t.Context(), outcome(downlink.QueueFull), &p)
	if refusal.CauseOf(err) != refusal.OfflineQueueFull || !iot.Is(err, iot.QuotaExceeded) || p.At == 0 {
		t.Errorf("%v, %+v", err, p)
	}
}
