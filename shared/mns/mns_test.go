package mns_test

import (
	"net/http/httptest"
	"testing"

	ali "github.com/aliyun/aliyun-mns-go-sdk"

	emulator "relink/localstack/mns"
	"relink/shared/iot"
	"relink/shared/mns"
)

func start(t *testing.T) *mns.Client {
	t.Helper()
	e, err := emulator.Open(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	c, err := mns.New(mns.Config{Endpoint: server.URL + "/acct.local", AccessKeyID: emulator.DefaultAccessKeyID, AccessKeySecret: emulator.DefaultAccessKeySecret})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestQueues(t *testing.T) {
	t.Parallel()
	c, ctx := start(t), t.Context()
	exists := func(want bool) {
		t.Helper()
		if got, err := c.Exists(ctx, "aliyun-iot-a1"); err != nil || got != want {
			t.Errorf("exists: %t, %v", got, err)
		}
	}
	exists(false)
	for range 2 {
		if err := c.Create(ctx, "aliyun-iot-a1"); err != nil {
			t.Fatal(err)
		}
		exists(true)
	}
	if err := ali.NewMNSQueueManager(c.SDK()).SetQueueAttributesWithOptions("aliyun-iot-a1", ali.WithVisibilityTimeout(77)); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(ctx, "aliyun-iot-a1"); err != nil {
		t.Errorf("create a queue that its owner has changed: %v", err)
	}
	for range 2 {
		if err := c.Delete(ctx, "aliyun-iot-a1"); err != nil {
			t.Fatal(err)
		}
		exists(false)
	}
	if err := c.SetCredentials("nobody", "x", ""); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(ctx, "q"); !iot.Is(err, iot.Unavailable) {
		t.Errorf("with a wrong key: %v", err)
	}
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	c, err := mns.New(mns.Config{})
	if c != nil || err != nil {
		t.Errorf("without an endpoint: %v, %v", c, err)
	}
	if err := c.Create(t.Context(), "q"); !iot.Is(err, iot.Unavailable) {
		t.Errorf("without the service: %v", err)
	}
	if _, err := mns.New(mns.Config{Endpoint: "http://localhost:1"}); err == nil {
		t.Error("an endpoint that the SDK does not take is taken")
	}
}
