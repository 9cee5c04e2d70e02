// Package devicelog writes what happens to devices into the logstore `device` of Log Service: one row per login, message,
// downlink and change of state, with the field names of shared/logs. It is what an operator asks when one device out of many
// cannot connect (DESIGN.md, "Observability").
//
// It is the second exception to the rule that only shared/store imports cloud SDKs: rows are sent with the official SDK,
// github.com/aliyun/aliyun-log-go-sdk (PutLogs, LZ4).
//
// Writing never blocks and never fails for the caller. Rows wait in bounded buffers, one for successes and one for failures, so
// that no flood of successes crowds out a refusal; what does not fit is counted.
package devicelog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sls "github.com/aliyun/aliyun-log-go-sdk"
	"github.com/prometheus/client_golang/prometheus"

	"relink/shared/iot"
	"relink/shared/logs"
)

// An Entry is one row. Empty fields are left out. Texts that come from a device may hold anything: control characters are
// escaped and long texts cut before they are written.
type Entry struct {
	At        int64 // Unix milliseconds; 0: now
	Device    iot.DeviceRef
	IotID     iot.IotID
	MessageID string
	Operation string // see logs.FieldOperation
	Topic     string
	Code      int // 200 or 0: success; anything else is a failure
	Reason    string
	Detail    string
	Signed    string // the string that the server signed, of a refused login; never the secret
	LatencyMS float64
	RequestID string
	Remote    string
	Bytes     int  // of the payload
	QoS       byte // written where there is a topic

	sampled int // this row stands for so many; 0 is 1
}

func (e *Entry) failed() bool { return e.Code != 0 && e.Code != 200 }

// Options configure a Writer. Endpoint, Project and the key pair are required.
type Options struct {
	Endpoint      string // URL; the SDK puts the project before its host
	Dial          string // host:port to dial whatever the host's name; empty: as it resolves
	Project       string
	Logstore      string // logs.StoreDevice if empty
	AccessKeyID   string
	Secret        iot.Secret
	SecurityToken iot.Secret // of temporary credentials; empty otherwise
	Node          string     // the connector's node id; in every row

	// Success says which successes are written: "all", "none", or "auto" (also if empty): up to 200 a second all, and above that
	// one of N, with N in the field `sampled`. Failures are always written, up to 2,000 a second, above that sampled likewise; those
	// of who is over a limit up to 10 a second.
	Success string

	Registerer prometheus.Registerer // nothing is registered without; New panics if the names are taken
	Logger     *slog.Logger          // for troubles of the Writer itself; silent without
}

const (
	groupRows  = 4096    // rows in one request
	groupBytes = 3 << 20 // bytes in one request; the service takes 5 MB

	flushEvery = 200 * time.Millisecond

	maxSuccesses = 8192  // that wait
	maxFailures  = 16384 // that wait

	retryFor = time.Minute // one request, all tries together
)

// A Writer writes rows. The nil Writer discards them.
type Writer struct {
	log      *slog.Logger
	node     string
	project  string
	logstore string
	client   *sls.Client
	http     *http.Transport

	mu        sync.Mutex
	closed    bool
	sampler   sampler       // of successes
	refusals  sampler       // of failures
	limited   sampler       // of those for which a limit was exceeded
	successes []Entry       // at most maxSuccesses; a row that finds no room is dropped
	failures  []Entry       // at most maxFailures; the same
	spare     [2][]Entry    // buffers of the flusher, when it is not writing
	wake      chan struct{} // 1: something waits
	full      chan struct{} // 1: a whole request waits

	stop     chan struct{} // closed by Close
	hard     context.Context
	abort    context.CancelFunc // ends requests under way
	finished chan struct{}      // closed when the flusher has ended
	counts   counts
}

type counts struct{ written, sampledOut, droppedSuccesses, droppedFailures, lost, requests, retries atomic.Uint64 }

// Stats are counters of rows since New.
type Stats struct {
	Written          uint64
	SampledOut       uint64 // left out on purpose
	DroppedSuccesses uint64 // the buffer was full
	DroppedFailures  uint64 // the buffer was full
	Lost             uint64 // the service did not take them
	Requests         uint64 // to the service, without retries
	Retries          uint64
}

// New makes a Writer and starts its flusher, which Close ends.
func New(o Options) (*Writer, error) {
	if o.Endpoint == "" || o.Project == "" || o.AccessKeyID == "" || o.Secret == "" {
		return nil, errors.New("device log: endpoint, project and key pair are required")
	}
	if !strings.Contains(o.Endpoint, "://") {
		o.Endpoint = "https://" + o.Endpoint
	}
	if u, err := url.Parse(o.Endpoint); err != nil || u.Host == "" {
		return nil, fmt.Errorf("device log: endpoint %q is not a URL", o.Endpoint)
	}
	if o.Logstore == "" {
		o.Logstore = logs.StoreDevice
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Writer{
		log:      o.Logger,
		node:     o.Node,
		project:  o.Project,
		logstore: o.Logstore,
		wake:     make(chan struct{}, 1),
		full:     make(chan struct{}, 1),
		stop:     make(chan struct{}),
		finished: make(chan struct{}),
		refusals: sampler{limit: failuresPerSecond},
		limited:  sampler{limit: limitedPerSecond},
	}
	switch o.Success {
	case "", "auto":
		w.sampler.limit = successesPerSecond
	case "all":
	case "none":
		w.sampler.none = true
	default:
		return nil, fmt.Errorf("device log: success is %q, want all, none or auto", o.Success)
	}
	w.hard, w.abort = context.WithCancel(context.Background())
	w.http = logs.NewTransport(o.Dial)
	w.client = &sls.Client{
		Endpoint:        o.Endpoint,
		AccessKeyID:     o.AccessKeyID,
		AccessKeySecret: o.Secret.Reveal(),
		SecurityToken:   o.SecurityToken.Reveal(),
		UserAgent:       "relink",
		RequestTimeOut:  requestTimeout,
		RetryTimeOut:    2 * time.Second, // the SDK's own retries; ours are around them
		HTTPClient:      &http.Client{Transport: bounded{w.http, w.hard}},
	}
	if o.Registerer != nil {
		w.register(o.Registerer)
	}
	go w.flush()
	return w, nil
}

// limitedPrefix begins the reasons of those who are over a limit (package refusal: rate_limited_source, …_device, …_messages).
const limitedPrefix = "rate_limited_"

const requestTimeout = 10 * time.Second

// bounded gives the SDK's requests, which have no context, one that Close can end.
type bounded struct {
	transport *http.Transport
	hard      context.Context
}

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	return b.transport.RoundTrip(r.WithContext(b.hard))
}

// SetCredentials replaces the credentials of requests that start from now on; temporary ones run out.
func (w *Writer) SetCredentials(accessKeyID string, secret, securityToken iot.Secret) {
	if w != nil {
		w.client.ResetAccessKeyToken(accessKeyID, secret.Reveal(), securityToken.Reveal())
	}
}

// Log takes a row. It neither blocks nor fails; after Close it does nothing.
func (w *Writer) Log(e Entry) {
	if w == nil {
		return
	}
	if e.At == 0 {
		e.At = time.Now().UnixMilli()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	buffer, room, sampler, dropped := &w.successes, maxSuccesses, &w.sampler, &w.counts.droppedSuccesses
	if e.failed() {
		buffer, room, sampler, dropped = &w.failures, maxFailures, &w.refusals, &w.counts.droppedFailures
	}
	if strings.HasPrefix(e.Reason, limitedPrefix) {
		sampler = &w.limited
	}
	keep, one := sampler.keep(e.At)
	switch {
	case !keep:
		w.counts.sampledOut.Add(1)
		return
	case len(*buffer) >= room:
		dropped.Add(1)
		return
	}
	e.sampled = one
	*buffer = append(*buffer, e)
	switch len(w.successes) + len(w.failures) {
	case 1:
		signal(w.wake)
	case groupRows:
		signal(w.full)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close writes what waits. When ctx ends first the rest is given up and counted as lost, and the cause of ctx is returned.
func (w *Writer) Close(ctx context.Context) error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	first := !w.closed
	w.closed = true
	w.mu.Unlock()
	if first {
		close(w.stop)
	}
	defer w.http.CloseIdleConnections()
	defer w.abort()
	select {
	case <-w.finished:
		return nil
	case <-ctx.Done():
		w.abort()
		<-w.finished
		return context.Cause(ctx)
	}
}

// Stats tells the counters.
func (w *Writer) Stats() Stats {
	if w == nil {
		return Stats{}
	}
	c := &w.counts
	return Stats{c.written.Load(), c.sampledOut.Load(), c.droppedSuccesses.Load(), c.droppedFailures.Load(), c.lost.Load(), c.requests.Load(), c.retries.Load()}
}

func (w *Writer) register(r prometheus.Registerer) {
	for outcome, n := range map[string]*atomic.Uint64{"written": &w.counts.written, "sampled_out": &w.counts.sampledOut,
		"dropped_success": &w.counts.droppedSuccesses, "dropped_failure": &w.counts.droppedFailures, "lost": &w.counts.lost} {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "relink", Subsystem: "devicelog", Name: "rows_total",
			Help: "Rows for the device logstore, by outcome.", ConstLabels: prometheus.Labels{"outcome": outcome}}, func() float64 { return float64(n.Load()) }))
	}
	r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "relink", Subsystem: "devicelog", Name: "retries_total",
		Help: "Requests to Log Service that were sent again."}, func() float64 { return float64(w.counts.retries.Load()) }))
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "relink", Subsystem: "devicelog", Name: "waiting_rows",
		Help: "Rows that wait to be written."}, func() float64 {
		w.mu.Lock()
		defer w.mu.Unlock()
		return float64(len(w.successes) + len(w.failures))
	}))
}
