package dtls

import "github.com/prometheus/client_golang/prometheus"

// A meter counts what the server does. All labels are of closed lists.
type meter struct {
	dropped     *prometheus.CounterVec
	established *prometheus.CounterVec
	ended       *prometheus.CounterVec
	failed      *prometheus.CounterVec
	verify      prometheus.Counter
	began       prometheus.Counter
	datagrams   prometheus.Counter
	moves       prometheus.Counter
	panics      prometheus.Counter
}

func newMeter(r prometheus.Registerer, s *Server) *meter {
	name := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "relink", Subsystem: "dtls", Name: name, Help: help}
	}
	m := &meter{
		dropped:     prometheus.NewCounterVec(name("dropped_total", "Datagrams and records that were dropped without an answer."), []string{"why"}),
		established: prometheus.NewCounterVec(name("established_total", "Handshakes that succeeded."), []string{"suite"}),
		ended:       prometheus.NewCounterVec(name("ended_total", "Connections that ended."), []string{"why"}),
		failed:      prometheus.NewCounterVec(name("failed_total", "Handshakes that failed."), []string{"cause"}),
		verify:      prometheus.NewCounter(name("hello_verify_total", "Clients that were asked to show that they read what is sent to their address.")),
		began:       prometheus.NewCounter(name("handshakes_total", "Handshakes that began, with a good cookie.")),
		datagrams:   prometheus.NewCounter(name("datagrams_total", "Authentic datagrams of clients.")),
		moves:       prometheus.NewCounter(name("moves_total", "Clients that were followed to another address by their connection id.")),
		panics:      prometheus.NewCounter(name("panics_total", "Datagrams that were dropped because the server failed.")),
	}
	if r == nil {
		return m
	}
	gauge := func(n, help string, f func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "relink", Subsystem: "dtls", Name: n, Help: help}, func() float64 { return float64(f()) })
	}
	r.MustRegister(m.dropped, m.established, m.ended, m.failed, m.verify, m.began, m.datagrams, m.moves, m.panics,
		gauge("connections", "Connections that are established.", func() int { n, _ := s.Len(); return n }),
		gauge("pending", "Handshakes that are on their way.", func() int { _, n := s.Len(); return n }))
	return m
}
