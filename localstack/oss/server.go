package oss

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"relink/localstack/counted"
	"relink/localstack/pebblelog"
)

// The key pair of a server whose Options name none.
const (
	DefaultAccessKeyID     = "localstack"
	DefaultAccessKeySecret = "localstack-secret"
)

// Options of a server. The zero value keeps everything in a temporary directory
// that Close removes, accepts the default key pair, uses the wall clock and logs
// nothing.
type Options struct {
	Dir             string // directory of data and metadata; empty: temporary
	AccessKeyID     string
	AccessKeySecret string
	Clock           func() time.Time
	Logger          *slog.Logger
	Region          string // of new buckets; "cn-hangzhou" if empty
	Domain          string // BUCKET.Domain names a bucket; "localhost" if empty
}

// Faults are troubles a server makes on demand. The zero value makes none.
type Faults struct {
	Fail  float64       // fraction of requests answered 503 without doing anything
	Lose  float64       // fraction of requests whose work is done and whose answer is a cut connection
	Delay time.Duration // before each request is handled
}

// Stats are counters since Open.
type Stats struct {
	Requests int64
	Errors   int64 // answers of 400 and above
	BytesIn  int64 // request bodies
	BytesOut int64 // response bodies
}

// A Server is one emulated region of OSS. It is safe for concurrent use.
type Server struct {
	keyID, keySecret string // set by Open; read-only after
	region, domain   string
	clock            func() time.Time
	log              *slog.Logger
	db               *pebble.DB
	blobs            *blobStore
	commit           *pebble.WriteOptions // NoSync in a temporary directory
	temporary        string               // directory to remove on Close

	stats  struct{ requests, errors, bytesIn, bytesOut atomic.Int64 }
	faults atomic.Pointer[Faults]
	stop   context.Context
	cancel context.CancelFunc
	life   sync.RWMutex // held for reading by every request
	closed bool         // under life

	// Lock order: the lock of an upload, mu, the lock of an object. mu is held for
	// reading while an object or upload is named, so that its bucket stays.
	uploads [64]sync.Mutex // by hash of the upload's id
	mu      sync.RWMutex
	buckets map[string]*bucketInfo // under mu
	objects [64]sync.RWMutex       // by hash of bucket and key
}

// Open starts a server on its directory. The caller closes it.
func Open(o Options) (*Server, error) {
	s := &Server{keyID: o.AccessKeyID, keySecret: o.AccessKeySecret, clock: o.Clock, log: o.Logger, region: o.Region, domain: o.Domain, commit: pebble.Sync}
	if s.keyID == "" {
		s.keyID, s.keySecret = DefaultAccessKeyID, DefaultAccessKeySecret
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.region == "" {
		s.region = "cn-hangzhou"
	}
	if s.domain == "" {
		s.domain = "localhost"
	}
	s.faults.Store(new(Faults))
	dir := o.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "oss-"); err != nil {
			return nil, fmt.Errorf("open object store: %w", err)
		}
		s.temporary, s.commit = dir, pebble.NoSync
	}
	if err := s.open(dir); err != nil {
		return nil, fmt.Errorf("open object store: %w", errors.Join(err, s.removeTemporary()))
	}
	s.stop, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

func (s *Server) open(dir string) (err error) {
	if s.blobs, err = openBlobs(dir, s.temporary == ""); err != nil {
		return err
	}
	cache := pebble.NewCache(8 << 20)
	defer cache.Unref()
	s.db, err = pebble.Open(filepath.Join(dir, "meta"), &pebble.Options{Cache: cache, Logger: pebblelog.New(s.log, "object metadata store")})
	if err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

func (s *Server) removeTemporary() error {
	if s.temporary == "" {
		return nil
	}
	return os.RemoveAll(s.temporary)
}

// Close waits for the requests in progress and releases the directory. Later
// requests are answered 503.
func (s *Server) Close() error {
	s.cancel()
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return errors.Join(s.db.Close(), s.removeTemporary())
}

// SetFaults replaces the faults in force.
func (s *Server) SetFaults(f Faults) { s.faults.Store(&f) }

// Stats returns the counters of now.
func (s *Server) Stats() Stats {
	return Stats{s.stats.requests.Load(), s.stats.errors.Load(), s.stats.bytesIn.Load(), s.stats.bytesOut.Load()}
}

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

// ServeHTTP answers one request of the OSS API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := s.faults.Load()
	cw := &counted.Writer{ResponseWriter: w}
	h := w.Header()
	h.Set("x-oss-request-id", requestID())
	h.Set("Server", "AliyunOSS")
	s.stats.requests.Add(1)
	defer func() {
		s.stats.bytesOut.Add(cw.Bytes)
		if cw.Status >= 400 {
			s.stats.errors.Add(1)
		}
	}()
	s.life.RLock()
	defer s.life.RUnlock()
	if s.closed || s.stop.Err() != nil || !s.delay(r.Context(), f.Delay) || f.Fail > 0 && mrand.Float64() < f.Fail {
		writeError(cw, r, fail(ServiceUnavailable))
		return
	}
	if f.Lose > 0 && mrand.Float64() < f.Lose {
		cw.Mute = true
		defer panic(http.ErrAbortHandler) // net/http cuts the connection
	}
	if err := s.serve(cw, r); err != nil {
		if cw.Status != 0 { // the answer has begun; only a cut tells the client
			s.log.Error("object answer cut", "method", r.Method, "path", r.URL.Path, "error", err)
			panic(http.ErrAbortHandler)
		}
		s.logError(r, err)
		writeError(cw, r, err)
	}
}

// logError tells the operator of answers that mean a fault of the emulator or of
// the program that uses it.
func (s *Server) logError(r *http.Request, err error) {
	var e *Error
	attrs := []any{slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.String("host", r.Host), slog.Any("error", err)}
	switch {
	case !errors.As(err, &e):
		s.log.Error("request failed", attrs...)
	case e.Code == NotImplemented || e.Code == MethodNotAllowed:
		s.log.Warn("unknown operation", append(attrs, slog.String("operation", e.NotImplemented))...)
	default:
		s.log.Info("request refused", append(attrs, slog.String("code", string(e.Code)))...)
	}
}

// requestID returns an id in the form of the service: 24 hex digits.
func requestID() string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%X", b[:])
}
