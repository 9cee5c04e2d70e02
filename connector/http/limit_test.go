package http

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"relink/connector/limits"
	"relink/shared/refusal"
)

// TestConnects: a device registers so often and no more, and a refused attempt does not count.
func TestConnects(t *testing.T) {
	t.Parallel()
	connects, budget, log := limits.NewConnects(1, 1, 10, nil), limits.NewBudget(limits.DefaultBudget()), new(journal)
	ask := func(f fakeAuth) int {
		s := New(Options{Dispatcher: f, Journal: log, Budget: budget, Connects: connects, NextID: func(int64) string { return "1" }, Logger: slog.New(slog.DiscardHandler)})
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/auth/register/device", strings.NewReader("productKey=a1B2c3D4e5F&deviceName=lamp-001"))
		s.handler().ServeHTTP(w, r)
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		var answer struct{ Code int }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		return answer.Code
	}
	for i, c := range []struct {
		cause refusal.Cause
		want  int
	}{{refusal.RegistrationSignMismatch, 6600}, {"", 200}, {"", 429}} {
		if got := ask(fakeAuth{c.cause}); got != c.want {
			t.Errorf("attempt %d: %d, want %d", i, got, c.want)
		}
	}
	if last := log.events[len(log.events)-1]; last.Reason != refusal.RateLimitedDevice {
		t.Errorf("logged as %q", last.Reason)
	}
}
