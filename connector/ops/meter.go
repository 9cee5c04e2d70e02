// Package ops is what an operator sees of a connector: Prometheus metrics and a health endpoint, on the internal port
// ("Observability" in the design).
package ops

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"relink/shared/downlink"
	"relink/shared/refusal"
	"relink/shared/topic"
)

// A Meter counts what the connector does. All labels are of closed lists.
type Meter struct {
	accepted    *prometheus.CounterVec
	refused     *prometheus.CounterVec
	established *prometheus.CounterVec
	logins      prometheus.Histogram
	ended       *prometheus.CounterVec
	received    prometheus.Counter
	sent        prometheus.Counter
	panics      prometheus.Counter
	downlinks   *prometheus.CounterVec
	takeovers   *prometheus.CounterVec
	rejected    *prometheus.CounterVec
	took        prometheus.Histogram
	families    [topic.FamilyCount]prometheus.Counter // at hand: a look-up by label for each message would be seen
}

// Gauges are read when metrics are.
type Gauges struct {
	Sessions, Opening, Sources func() int
	Untold                     func() (waiting int, forgotten uint64) // ends of sessions that the platform does not know of
}

// NewMeter registers the connector's metrics.
func NewMeter(r prometheus.Registerer, g Gauges) *Meter {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "relink", Subsystem: "connector", Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "relink", Subsystem: "connector", Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	gauge := func(name, help string, f func() int) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "relink", Subsystem: "connector", Name: name, Help: help},
			func() float64 { return float64(f()) }))
	}
	gauge("sessions", "Sessions of devices.", g.Sessions)
	gauge("opening", "Connections that have not logged in yet.", g.Opening)
	gauge("failing_sources", "Source addresses with failures that are not forgiven.", g.Sources)
	gauge("untold_ends", "Ends of sessions that could not be told yet, so that their devices seem to be online.", func() int { waiting, _ := g.Untold(); return waiting })
	r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "relink", Subsystem: "connector", Name: "untold_ends_forgotten_total",
		Help: "Ends of sessions that will not be told, because too many waited."}, func() float64 { _, forgotten := g.Untold(); return float64(forgotten) }))
	m := &Meter{
		accepted:    vector("accepted_total", "Connections whose protocol was found out.", "transport"),
		refused:     vector("refused_total", "Connections that did not become sessions.", "cause"),
		established: vector("logins_total", "Logins that were granted.", "version"),
		ended:       vector("ended_total", "Sessions that ended.", "cause"),
		received:    counter("received_bytes_total", "Bytes read from devices."),
		sent:        counter("sent_bytes_total", "Bytes written to devices."),
		panics:      counter("panics_total", "Connections that were closed because the connector failed."),
		downlinks:   vector("downlinks_total", "Requests of the internal API.", "path", "state"),
		takeovers:   vector("takeovers_total", "Sessions that another node was to drop because the device connected here.", "outcome"),
		rejected:    vector("uplinks_rejected_total", "Messages of devices that were not taken, or not wholly.", "cause"),
		logins: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "relink", Subsystem: "connector", Name: "login_seconds", Help: "Time that auth took, its queue included.",
			Buckets: []float64{.001, .003, .01, .03, .1, .3, 1, 3, 8},
		}),
	}
	uplinks := vector("uplinks_total", "Messages of devices that were answered.", "family")
	m.took = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "relink", Subsystem: "connector", Name: "uplink_seconds", Help: "Time from a message's last byte to its answer.",
		Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .3, 1, 3, 10, 60},
	})
	r.MustRegister(m.logins, m.took)
	for f := range topic.FamilyCount {
		if f == topic.None || f.Uplink() {
			m.families[f] = uplinks.WithLabelValues(f.String())
		}
	}
	return m
}

// Accepted counts a connection whose protocol was found out.
func (m *Meter) Accepted(transport string) { m.accepted.WithLabelValues(transport).Inc() }

// Refused counts a connection that did not become a session.
func (m *Meter) Refused(cause refusal.Cause) { m.refused.WithLabelValues(string(cause)).Inc() }

// Established counts a granted login.
func (m *Meter) Established(version byte, took time.Duration) {
	m.established.WithLabelValues(strconv.Itoa(int(version))).Inc()
	m.logins.Observe(took.Seconds())
}

// Ended counts the end of a session.
func (m *Meter) Ended(cause refusal.Cause) { m.ended.WithLabelValues(string(cause)).Inc() }

// Received counts bytes.
func (m *Meter) Received(bytes int) { m.received.Add(float64(bytes)) }

// Sent counts bytes.
func (m *Meter) Sent(bytes int) { m.sent.Add(float64(bytes)) }

// Panicked counts a failure of the connector.
func (m *Meter) Panicked() { m.panics.Inc() }

// Downlink counts a request of the internal API.
func (m *Meter) Downlink(path string, state downlink.State) {
	m.downlinks.WithLabelValues(path, string(state)).Inc()
}

// Takeover counts a session that another node was to drop: told, failed, or overflow, because too many waited.
func (m *Meter) Takeover(outcome string) { m.takeovers.WithLabelValues(outcome).Inc() }

// Uplink counts a message that was answered.
func (m *Meter) Uplink(f topic.Family, reason refusal.Cause, took time.Duration) {
	if f >= topic.FamilyCount || m.families[f] == nil {
		f = topic.None
	}
	m.families[f].Inc()
	m.took.Observe(took.Seconds())
	if reason == "" {
		return
	}
	if _, known := refusal.Explain(reason); !known {
		reason = "other" // a function of another release; labels stay bounded
	}
	m.rejected.WithLabelValues(string(reason)).Inc()
}
