package dispatch

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// counters are those of one function, written once per batch.
type counters struct {
	decided, undecided, deadLetters atomic.Uint64 // records; dead letters are among the decided
	stored                          atomic.Uint64 // records that were answered 200, among the decided
	batches                         atomic.Uint64 // invocations
	retries                         atomic.Uint64 // records that went back to be invoked again
	bisections                      atomic.Uint64
	functionErrors, serviceErrors   atomic.Uint64 // invocations
	blocked                         atomic.Uint64 // Submit calls that had to wait for the lane
}

// A Snapshot is the state of one function's lanes. Accepted = Decided + Undecided + Pending, when nothing moves.
type Snapshot struct {
	Accepted       uint64 // records that are or were in a lane
	Decided        uint64 // records that got a result, dead letters among them
	Stored         uint64 // records that were answered 200
	Undecided      uint64 // records that got an error
	DeadLetters    uint64
	Batches        uint64 // invocations
	Retries        uint64 // records that went back to be invoked again
	Bisections     uint64 // batches that were halved
	FunctionErrors uint64 // invocations
	ServiceErrors  uint64 // invocations
	Blocked        uint64 // Submit calls that had to wait for room in a lane
	Queued         int    // records that wait in the lanes, or are held for a retry
	Waiting        int    // Submit calls that wait now for room in a lane
	Bytes          int64  // accepted and not decided, of this function's own reserve
	SharedBytes    int64  // the same, of what all functions share (of all functions)
}

// Snapshot tells the state by function.
func (d *Dispatcher) Snapshot() map[string]Snapshot {
	m := make(map[string]Snapshot, len(d.functions))
	for name, f := range d.functions {
		c := &f.counters
		accepted, queued, waiting := f.load()
		m[name] = Snapshot{
			Accepted: accepted, Stored: c.stored.Load(), Decided: c.decided.Load(), Undecided: c.undecided.Load(), DeadLetters: c.deadLetters.Load(), Batches: c.batches.Load(),
			Retries: c.retries.Load(), Bisections: c.bisections.Load(), FunctionErrors: c.functionErrors.Load(),
			ServiceErrors: c.serviceErrors.Load(), Blocked: c.blocked.Load(), Queued: queued, Waiting: waiting,
			Bytes: f.reserve.used.Load(), SharedBytes: d.budget.shared.used.Load(),
		}
	}
	return m
}

// load counts what has come into the lanes, and what waits in them and before them.
func (f *function) load() (accepted uint64, queued, waiting int) {
	for _, l := range f.lanes {
		l.mu.Lock()
		accepted += l.accepted
		queued += len(l.queue) - l.head + l.heldNow
		waiting += len(l.waiting)
		l.mu.Unlock()
	}
	return accepted, queued, waiting
}

// measures are the distributions of one function.
type measures struct {
	size, duration, wait prometheus.Histogram
}

func newMeasures(function string) measures {
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "relink", Subsystem: "dispatch", Name: name, Help: help,
			ConstLabels: prometheus.Labels{"function": function}, Buckets: buckets})
	}
	return measures{
		size:     histogram("batch_records", "Records in one invocation.", []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}),
		duration: histogram("invoke_seconds", "Time of one invocation.", prometheus.ExponentialBuckets(0.0005, 2, 16)),
		wait:     histogram("wait_seconds", "Time from Submit to the invocation, of the first record of each batch.", prometheus.ExponentialBuckets(0.0001, 2, 20)),
	}
}

// observe is called once per batch; times are nanoseconds.
func (m *measures) observe(records int, duration, wait int64) {
	m.size.Observe(float64(records))
	m.duration.Observe(float64(duration) / 1e9)
	m.wait.Observe(float64(wait) / 1e9)
}

func (d *Dispatcher) register(r prometheus.Registerer) {
	for name, f := range d.functions {
		c := &f.counters
		counter := func(metric, help, label, value string, read func() float64) {
			labels := prometheus.Labels{"function": name}
			if label != "" {
				labels[label] = value
			}
			r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "relink", Subsystem: "dispatch", Name: metric, Help: help, ConstLabels: labels}, read))
		}
		of := func(u *atomic.Uint64) func() float64 { return func() float64 { return float64(u.Load()) } }
		const records = "Records by outcome."
		counter("records_total", records, "outcome", "result", func() float64 { return float64(c.decided.Load() - min(c.decided.Load(), c.deadLetters.Load())) })
		counter("records_total", records, "outcome", "dead_letter", of(&c.deadLetters))
		counter("records_total", records, "outcome", "undecided", of(&c.undecided))
		counter("batches_total", "Invocations.", "", "", of(&c.batches))
		const failures = "Invocations without a result."
		counter("failures_total", failures, "of", "function", of(&c.functionErrors))
		counter("failures_total", failures, "of", "service", of(&c.serviceErrors))
		counter("retries_total", "Records that went back to be invoked again.", "", "", of(&c.retries))
		counter("bisections_total", "Batches that were halved because the function failed.", "", "", of(&c.bisections))
		counter("blocked_total", "Records that had to wait before they were accepted.", "", "", of(&c.blocked))
		gauge := func(metric, help string, read func() float64) {
			r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "relink", Subsystem: "dispatch", Name: metric, Help: help,
				ConstLabels: prometheus.Labels{"function": name}}, read))
		}
		gauge("queue_records", "Records that wait for an invocation.", func() float64 { _, queued, _ := f.load(); return float64(queued) })
		gauge("blocked_records", "Records that wait to be accepted.", func() float64 { _, _, waiting := f.load(); return float64(waiting) })
		gauge("reserve_bytes", "Bytes accepted and not decided, of the function's own reserve.", func() float64 { return float64(f.reserve.used.Load()) })
		r.MustRegister(f.measures.size, f.measures.duration, f.measures.wait)
	}
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "relink", Subsystem: "dispatch", Name: "shared_bytes",
		Help: "Bytes accepted and not decided, of what all functions share."}, func() float64 { return float64(d.budget.shared.used.Load()) }))
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "relink", Subsystem: "dispatch", Name: "budget_waiting",
		Help: "Records that wait for bytes to be accepted."}, func() float64 { return float64(d.budget.waiting.Load()) }))
}
