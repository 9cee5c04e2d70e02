package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/service"
	"relink/shared/store"
	"relink/shared/store/memory"
)

// countedCalls counts how often calls are stored.
type countedCalls struct {
	store.Calls
	puts int
}

func (c *countedCalls) Put(ctx context.Context, list []store.Call) []error {
	c.puts++
	return c.Calls.Put(ctx, list)
}

// What is asked of many devices is stored in one write; a request that could not be stored is not sent, and the others are.
func TestManyAreStoredTogether(t *testing.T) {
	t.Parallel()
	m, commands := memory.New(), new(fakeCommander)
	m.Fault = func(op string, dev iot.DeviceRef) error {
		if op == "calls.put" && dev.DeviceName == "b" {
			return iot.Errorf(iot.Throttled, "busy")
		}
		return nil
	}
	calls := &countedCalls{Calls: m.Calls()}
	recorder := callRecorder{commands, service.New(calls, nil), slog.New(slog.DiscardHandler)}
	a := &api{commander: recorder, recorder: recorder, ids: newIDs(time.Now)}
	refs := []iot.DeviceRef{{ProductKey: "a1", DeviceName: "a"}, {ProductKey: "a1", DeviceName: "b"}, {ProductKey: "a1", DeviceName: "c"}}
	err := a.each(t.Context(), refs, func(dev iot.DeviceRef, id string) *downlink.Publish {
		return propertySet(dev, id, []byte(`{"power":1}`), 0)
	})
	if err != nil || calls.puts != 1 {
		t.Errorf("%d writes, %v; want 1", calls.puts, err)
	}
	sent := commands.take()
	if len(sent) != 2 {
		t.Errorf("sent %+v", sent)
	}
	for _, c := range sent {
		list, _, err := m.Calls().List(t.Context(), c.Publish.Ref(), store.CallQuery{To: 1 << 50, Limit: 9})
		if c.Publish.DeviceName == "b" || err != nil || len(list) != 1 || list[0].MessageID != c.Publish.MessageID {
			t.Errorf("%s: %+v, %v", c.Publish.DeviceName, list, err)
		}
	}
}
