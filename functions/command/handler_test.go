package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"relink/shared/command"
	"relink/shared/config"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/offline"
	"relink/shared/store"
	"relink/shared/store/memory"
)

var key = config.Key{1, 2, 3}

// newTestHandler has one lamp that is connected to a connector, which answers what it was asked to publish.
func newTestHandler(t *testing.T) *handler {
	t.Helper()
	connector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || downlink.Verify(r, key, body, time.Now()) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		outcome := downlink.Outcome{State: downlink.Dropped, Epoch: 7}
		var p downlink.Publish
		if r.URL.Path == downlink.PathPublish && json.Unmarshal(body, &p) == nil {
			outcome = downlink.Outcome{State: downlink.Sent, Epoch: 7, Reply: p.Payload}
		}
		if err := json.NewEncoder(w).Encode(outcome); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(connector.Close)
	s := memory.New()
	if err := s.Nodes().Renew(t.Context(), store.Node{ID: "n1", URL: connector.URL, Until: time.Now().Add(time.Hour).UnixMilli()}); err != nil {
		t.Fatal(err)
	}
	lamp := iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-001"}
	if _, _, errs := s.Sessions().Take(t.Context(), []store.Take{{Ref: lamp, Node: "n1", At: 7}}); errs[0] != nil {
		t.Fatal(errs[0])
	}
	sleeper := iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "sleeper-01"}
	if _, _, errs := s.Sessions().Take(t.Context(), []store.Take{{Ref: sleeper, Node: "n1", At: 7, Persistent: true}}); errs[0] != nil {
		t.Fatal(errs[0])
	}
	if errs := s.Sessions().End(t.Context(), []iot.DeviceRef{sleeper}, []int64{7}, []int64{8}); errs[0] != nil {
		t.Fatal(errs[0])
	}
	client := downlink.NewClient(key)
	t.Cleanup(client.CloseIdle)
	return &handler{commands: command.New(s, client, offline.DefaultBounds(), nil)}
}

func TestInvoke(t *testing.T) {
	t.Parallel()
	h := newTestHandler(t)
	for name, want := range map[string]string{
		"publish.json": `{"state":"sent","epoch":7,"reply":"eyJhIjoxfQ=="}`,
		"drop.json":    `{"state":"dropped","epoch":7}`,
		"offline.json": `{"state":"offline"}`,
		"queued.json":  `{"state":"queued","epoch":7}`,
	} {
		event, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := h.Invoke(t.Context(), event)
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
	for _, event := range []string{"", "{", "{}", "[]", `{"publish":{}}`} {
		if _, err := h.Invoke(t.Context(), []byte(event)); !iot.Is(err, iot.InvalidParams) {
			t.Errorf("%q: %v, want invalid_params", event, err)
		}
	}
}
