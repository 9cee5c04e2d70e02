package ops

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"relink/shared/downlink"
	"relink/shared/refusal"
	"relink/shared/topic"
)

func get(h http.Handler) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Code, w.Body.String()
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	n := func() int { return 7 }
	m := NewMeter(reg, Gauges{Sessions: n, Opening: n, Sources: n, Untold: func() (int, uint64) { return 4, 9 }})
	m.Accepted("tls")
	m.Refused(refusal.SignMismatch)
	m.Established(5, time.Millisecond)
	m.Ended(refusal.TakenOver)
	m.Received(10)
	m.Sent(20)
	m.Panicked()
	m.Takeover("failed")
	m.Downlink(downlink.PathDrop, downlink.Dropped)
	for f := range topic.FamilyCount { // also those that no device may publish
		m.Uplink(f, "", time.Millisecond)
	}
	m.Uplink(topic.FamilyCount, refusal.TopicNotOwn, 0)
	m.Uplink(topic.PropertyPost, "invented by a function", 0)
	status, text := get(Metrics(reg))
	for _, want := range []string{
		`relink_connector_accepted_total{transport="tls"} 1`, `relink_connector_refused_total{cause="sign_mismatch"} 1`,
		`relink_connector_logins_total{version="5"} 1`, `relink_connector_ended_total{cause="taken_over"} 1`, `relink_connector_sessions 7`,
		`relink_connector_received_bytes_total 10`, `relink_connector_panics_total 1`, `relink_connector_untold_ends 4`, `relink_connector_untold_ends_forgotten_total 9`, `relink_connector_takeovers_total{outcome="failed"} 1`,
		`relink_connector_uplinks_total{family="thing/event/property/post"} 2`,
		`relink_connector_uplinks_rejected_total{cause="other"} 1`, `relink_connector_downlinks_total{path="/v1/drop",state="dropped"} 1`,
	} {
		if status != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("status %d, want %s", status, want)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	ready := false
	h := &Health{Node: "n1", Started: time.Now(), Sessions: func() int { return 3 }, Ready: func() bool { return ready }}
	if status, text := get(h); status != http.StatusServiceUnavailable || !strings.Contains(text, "no lease yet") {
		t.Errorf("%d %s", status, text)
	}
	ready = true
	if status, text := get(h); status != http.StatusOK || !strings.Contains(text, `"sessions":3`) {
		t.Errorf("%d %s", status, text)
	}
	h.Stop()
	if status, text := get(h); status != http.StatusServiceUnavailable || !strings.Contains(text, "stopping") {
		t.Errorf("%d %s", status, text)
	}
}

// After a storm memory is given back, once.
func TestTrimmer(t *testing.T) {
	trimmed := make(chan struct{}, 100)
	tr := &Trimmer{Every: time.Millisecond, AtLeast: 1, AtMost: 1 << 40, trim: func() { trimmed <- struct{}{} }}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { tr.Run(ctx); close(done) }()
	select {
	case <-trimmed:
	case <-time.After(5 * time.Second):
		t.Error("nothing was trimmed")
	}
	cancel()
	<-done
}
