package ops

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A Health says whether the load balancer should send devices here.
type Health struct {
	Node     string
	Started  time.Time
	Sessions func() int
	Ready    func() bool // this node has its lease
	stopping atomic.Bool
}

// Stop makes the node unhealthy, so that nobody is sent here any more.
func (h *Health) Stop() { h.stopping.Store(true) }

// ServeHTTP answers GET /healthz.
func (h *Health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	status, word := http.StatusOK, "ok"
	if h.stopping.Load() {
		status, word = http.StatusServiceUnavailable, "stopping"
	} else if !h.Ready() {
		status, word = http.StatusServiceUnavailable, "no lease yet"
	}
	body, err := json.Marshal(map[string]any{
		"status": word, "node": h.Node, "sessions": h.Sessions(), "uptimeSeconds": int64(time.Since(h.Started).Seconds()),
	})
	if err != nil {
		http.Error(w, "answer is not encodable", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the prober is gone: nobody to tell
}

// Metrics answers GET /metrics.
func Metrics(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 5 * time.Second})
}
