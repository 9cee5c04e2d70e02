package registry_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"relink/shared/device/registry"
	"relink/shared/message/messagetest"
)

// TestLifecycleMessages: what is done to a device is told, its secret only when it is created.
func TestLifecycleMessages(t *testing.T) {
	t.Parallel()
	r, _, _ := newRegistry(t)
	e := new(messagetest.Engine)
	r.HandTo(e.Sender())
	e.Fail(errors.New("down"), errors.New("down"))
	d, err := r.Register(t.Context(), registry.Registration{ProductKey: "a1Product00", DeviceName: "dev-1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Disable(t.Context(), d.Ref), r.Enable(t.Context(), d.Ref), r.Delete(t.Context(), d.Ref)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range e.Take() {
		action, _, _ := strings.Cut(strings.TrimPrefix(string(m.Payload), `{"action":"`), `"`)
		got = append(got, action)
		if m.Topic != "/a1Product00/dev-1/thing/lifecycle" || strings.Contains(string(m.Payload), d.Secret.Reveal()) != (action == "create") || m.IotID != d.IotID {
			t.Errorf("%+v %s", m, m.Payload)
		}
	}
	if want := []string{"create", "disable", "enable", "delete"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	e.Unknown = errors.New("table down")
	if _, err := r.Register(t.Context(), registry.Registration{ProductKey: "a1Product00", DeviceName: "dev-2"}); err == nil {
		t.Error("registered while it is not known who wants to hear of it")
	}
}
