package coap

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// A count is what became of a datagram that was not decided.
type count int

const (
	countJunk     count = iota // no message, or one that is malformed
	countUnasked               // ACK and RST
	countPing                  // answered with RST
	countRepeated              // came again, and heard the same again
	countAbsorbed              // came again while it was being decided
	countBusy                  // dropped, because too much is under way; the device sends it again
	countKinds
)

var countNames = [countKinds]string{"junk", "unasked", "ping", "repeated", "absorbed", "busy"}

type counts struct {
	n          [countKinds]atomic.Uint64
	downloaded atomic.Uint64 // bytes
}

func (c *counts) add(k count) { c.n[k].Add(1) }

func (c *counts) register(r prometheus.Registerer, s *Server) {
	if r == nil {
		return
	}
	for k := range countKinds {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "relink", Subsystem: "coap", Name: "datagrams_total", Help: "Datagrams that were not decided, by what they were.",
			ConstLabels: prometheus.Labels{"outcome": countNames[k]},
		}, func() float64 { return float64(c.n[k].Load()) }))
	}
	r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: "relink", Subsystem: "coap", Name: "download_bytes_total", Help: "Bytes of files that were sent to devices.",
	}, func() float64 { return float64(c.downloaded.Load()) }))
	gauge := func(name, help string, f func() int) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "relink", Subsystem: "coap", Name: name, Help: help},
			func() float64 { return float64(f()) }))
	}
	gauge("tokens", "Tokens that this node knows.", s.tokens.len)
	gauge("remembered", "Messages whose replies are kept for retransmissions.", func() int { _, n, _ := s.peers.size(); return n })
	gauge("remembered_bytes", "Bytes of these replies.", func() int { _, _, n := s.peers.size(); return n })
	gauge("body_bytes", "Bytes of bodies that come or go in blocks.", func() int { return int(s.bodies.Load()) })
	gauge("in_flight", "Requests that will be answered.", func() int { s.mu.Lock(); defer s.mu.Unlock(); return s.flight })
}

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }
