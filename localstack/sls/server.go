package sls

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"relink/localstack/counted"
	"relink/localstack/pebblelog"
)

// The key pair of a server whose Options name none.
const (
	DefaultAccessKeyID     = "localstack"
	DefaultAccessKeySecret = "localstack-secret"
)

// Intervals of the background work.
const (
	syncEvery   = 100 * time.Millisecond // of the write-ahead log
	expireEvery = time.Minute            // of logs past their TTL
)

// Options of a server. The zero value keeps everything in memory, accepts the
// default key pair, uses the wall clock and logs nothing.
type Options struct {
	Dir             string // directory of the store; empty: memory
	AccessKeyID     string
	AccessKeySecret string
	Clock           func() time.Time
	Logger          *slog.Logger
}

// Faults are troubles a server makes on demand. The zero value makes none.
type Faults struct {
	Fail  float64       // fraction of requests answered 503 ServerBusy without doing anything
	Lose  float64       // fraction of requests whose work is done and whose answer is a cut connection
	Delay time.Duration // before each request is handled
}

// Stats are counters since Open.
type Stats struct {
	Requests int64 // HTTP requests and calls of Append
	Errors   int64 // HTTP answers other than 200
	BytesIn  int64 // request bodies as sent, and encoded logs of Append
	BytesOut int64 // response bodies
	Logs     int64 // logs written
}

// A Server is one emulated region of Log Service. It is safe for concurrent use.
type Server struct {
	keyID, keySecret string // set by Open; read-only after
	clock            func() time.Time
	log              *slog.Logger
	db               *pebble.DB

	stats struct{ requests, errors, bytesIn, bytesOut, logs atomic.Int64 }

	faults    atomic.Pointer[Faults]
	seq       atomic.Uint64 // last arrival number handed out
	unsynced  atomic.Bool   // the store has writes since the last sync
	syncing   sync.Mutex    // held while a sync runs
	stop      context.Context
	cancel    context.CancelFunc
	workers   sync.WaitGroup // background goroutines
	life      sync.RWMutex   // held for reading while db is in use by a caller
	closed    bool           // under life
	mu        sync.RWMutex   // guards projects and the maps in them; never held during I/O of logs
	projects  map[string]*project
	nextStore uint32 // under mu: number of the next logstore
}

// Open starts a server on its directory. The caller closes it.
func Open(o Options) (*Server, error) {
	s := &Server{keyID: o.AccessKeyID, keySecret: o.AccessKeySecret, clock: o.Clock, log: o.Logger, projects: make(map[string]*project)}
	if s.keyID == "" {
		s.keyID, s.keySecret = DefaultAccessKeyID, DefaultAccessKeySecret
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.faults.Store(new(Faults))
	cache := pebble.NewCache(16 << 20)
	defer cache.Unref()
	po := &pebble.Options{
		Cache:                       cache,
		MemTableSize:                16 << 20,
		MemTableStopWritesThreshold: 4,
		Logger:                      pebblelog.New(s.log, "log store"),
	}
	dir := o.Dir
	if dir == "" {
		po.FS, dir = vfs.NewMem(), "sls"
	}
	db, err := pebble.Open(dir, po)
	if err != nil {
		return nil, fmt.Errorf("open log store: %w", err)
	}
	s.db = db
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("load projects: %w", closeAfter(err, db))
	}
	s.stop, s.cancel = context.WithCancel(context.Background())
	s.workers.Go(s.syncLoop)
	s.workers.Go(s.expireLoop)
	return s, nil
}

func closeAfter(err error, db *pebble.DB) error {
	if cerr := db.Close(); cerr != nil {
		return fmt.Errorf("%w; close: %w", err, cerr)
	}
	return err
}

// Close waits for the requests in progress, makes everything durable and
// releases the directory. Later requests are answered 503.
func (s *Server) Close() error {
	s.cancel()
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.workers.Wait()
	if err := s.sync(); err != nil {
		return fmt.Errorf("sync log store: %w", closeAfter(err, s.db))
	}
	return s.db.Close()
}

// SetFaults replaces the faults in force.
func (s *Server) SetFaults(f Faults) { s.faults.Store(&f) }

// Stats returns the counters of now.
func (s *Server) Stats() Stats {
	return Stats{
		Requests: s.stats.requests.Load(),
		Errors:   s.stats.errors.Load(),
		BytesIn:  s.stats.bytesIn.Load(),
		BytesOut: s.stats.bytesOut.Load(),
		Logs:     s.stats.logs.Load(),
	}
}

func (s *Server) now() time.Time { return s.clock() }

// enter keeps the store open until leave; it fails after Close.
func (s *Server) enter() error {
	s.life.RLock()
	if s.closed || s.stop.Err() != nil {
		s.life.RUnlock()
		return fail(ServerBusy)
	}
	return nil
}

func (s *Server) leave() { s.life.RUnlock() }

// delay waits for the injected delay; false if the client or the server left.
func (s *Server) delay(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-s.stop.Done():
	}
	return false
}

// ServeHTTP answers one request of the SLS API, addressed to a host name or, as
// to a proxy, in absolute form.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := s.faults.Load()
	cw := &counted.Writer{ResponseWriter: w}
	w.Header().Set("x-log-requestid", requestID())
	w.Header().Set("Server", "nginx")
	s.stats.requests.Add(1)
	defer func() {
		s.stats.bytesOut.Add(cw.Bytes)
		if cw.Status != http.StatusOK {
			s.stats.errors.Add(1)
		}
	}()
	if err := s.enter(); err != nil {
		writeError(cw, err)
		return
	}
	defer s.leave()
	if !s.delay(r.Context(), f.Delay) || f.Fail > 0 && mrand.Float64() < f.Fail {
		writeError(cw, fail(ServerBusy))
		return
	}
	if f.Lose > 0 && mrand.Float64() < f.Lose {
		cw.Mute = true
		defer panic(http.ErrAbortHandler) // net/http cuts the connection
	}
	if err := s.serve(cw, r); err != nil {
		s.logError(r, err)
		writeError(cw, err)
	}
}

// requestID returns an id in the form of the service: 24 hex digits.
func requestID() string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%X", b[:])
}

func hexUpper(b []byte) string {
	dst := make([]byte, hex.EncodedLen(len(b)))
	hex.Encode(dst, b)
	for i, c := range dst {
		if c >= 'a' {
			dst[i] = c - 'a' + 'A'
		}
	}
	return string(dst)
}
