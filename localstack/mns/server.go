package mns

import (
	"context"
	"crypto/rand"
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
)

// The key pair and the account of a server whose Options name none.
const (
	DefaultAccessKeyID     = "localstack"
	DefaultAccessKeySecret = "localstack-secret"
	DefaultAccountID       = "1000000000000000"
)

// DefaultMaxStored is the Options.MaxStored of a server whose Options name none.
const DefaultMaxStored = 8 << 30

// Intervals of the background work, in real time.
const (
	tickEvery  = 20 * time.Millisecond // looks for messages that waiting receivers may have by now, and notifications that are due
	sweepEvery = time.Minute           // of messages past their retention
)

// maxWaiting bounds the receivers that wait at once; others are answered QpsLimitExceeded.
const maxWaiting = 10_000

// Options of a server. The zero value keeps everything in memory, accepts the default key pair, uses the wall clock and logs
// nothing.
type Options struct {
	Dir             string // directory of the store, locked while open; empty: memory
	AccessKeyID     string
	AccessKeySecret string
	AccountID       string           // 16 digits, owner of all queues and topics
	URL             string           // where subscribers find the certificate that notifications are signed with; empty: where Subscribe was sent to
	Clock           func() time.Time // of delays, visibility, retention, retries and the signature window; how long a receiver waits is real time
	Logger          *slog.Logger
	MaxStored       int64 // bytes of messages and notifications that are kept; sending more is answered InternalError. 0: DefaultMaxStored

	fs vfs.FS // set by tests that crash the disk; nil: by Dir
}

// A Server is one account in one region. It is an http.Handler and safe for concurrent use.
type Server struct {
	keyID, keySecret string // set by Open; read-only after
	account, url     string
	clock            func() time.Time
	log              *slog.Logger
	db               *pebble.DB
	maxStored        int64
	pusher           *http.Client

	stats   counters
	faults  atomic.Pointer[Faults]
	lastID  atomic.Uint64 // last message id handed out
	stored  atomic.Int64  // bytes of messages and notifications
	waiting atomic.Int64  // receivers that wait
	pushing atomic.Int64  // notifications under way
	pending atomic.Int64  // notifications in the store

	stop    context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup // background goroutines
	kick    chan struct{}  // holds one: notifications may be due

	life   sync.RWMutex // held for reading while db is in use by a caller
	closed bool         // under life

	signing sync.Mutex // guards signer, and making it
	signer  *signer    // nil until it is needed or found

	mu         sync.RWMutex // guards what follows
	queues     map[string]*queue
	topics     map[string]*topic
	nextNumber uint32
}

// Open starts a server on its directory. The caller closes it.
func Open(o Options) (*Server, error) {
	s := &Server{
		keyID: o.AccessKeyID, keySecret: o.AccessKeySecret, account: o.AccountID, url: o.URL, clock: o.Clock, log: o.Logger, maxStored: o.MaxStored,
		kick: make(chan struct{}, 1), queues: map[string]*queue{}, topics: map[string]*topic{}, pusher: newPusher(),
	}
	if s.keyID == "" {
		s.keyID, s.keySecret = DefaultAccessKeyID, DefaultAccessKeySecret
	}
	if s.account == "" {
		s.account = DefaultAccountID
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.maxStored <= 0 {
		s.maxStored = DefaultMaxStored
	}
	s.faults.Store(new(Faults))
	var err error
	if s.db, err = openDB(o, s.log); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		err = fmt.Errorf("load queues: %w", err)
		if cerr := s.db.Close(); cerr != nil {
			err = fmt.Errorf("%w; close: %w", err, cerr)
		}
		return nil, err
	}
	s.stop, s.cancel = context.WithCancel(context.Background())
	s.workers.Go(s.tickLoop)
	s.workers.Go(s.sweepLoop)
	return s, nil
}

// Close ends waiting receivers and notifications under way, waits for the requests in progress and releases the directory. Later
// requests are answered InternalError.
func (s *Server) Close() error {
	s.cancel()
	s.workers.Wait()
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.pusher.CloseIdleConnections()
	return s.db.Close()
}

// ms is the server's clock in milliseconds.
func (s *Server) ms() int64 { return max(s.clock().UnixMilli(), 0) }

// nextID returns the next message id.
func (s *Server) nextID() uint64 {
	now := uint64(max(s.clock().UnixNano(), 1))
	for {
		last := s.lastID.Load()
		next := max(last+1, now)
		if s.lastID.CompareAndSwap(last, next) {
			return next
		}
	}
}

// ServeHTTP answers one request of the API, and a GET of the certificate.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.life.RLock()
	defer s.life.RUnlock()
	id := requestID()
	w.Header().Set(headerRequestID, id)
	w.Header().Set("X-Mns-Version", version)
	w.Header().Set("Server", "AliyunMQS")
	if s.closed || s.stop.Err() != nil {
		writeError(w, r, fail(InternalError))
		return
	}
	if r.URL.Path == certificatePath && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		s.serveCertificate(w, r)
		return
	}
	cw := &counted.Writer{ResponseWriter: w}
	s.stats.requests.Add(1)
	defer func() {
		s.stats.bytesOut.Add(cw.Bytes)
		if cw.Status >= http.StatusBadRequest {
			s.stats.errors.Add(1)
		}
	}()
	f := s.faults.Load()
	if !s.pause(r.Context(), f.Delay) {
		return // nobody is there
	}
	switch x := mrand.Float64(); {
	case x < f.Throttle:
		writeError(cw, r, fail(QpsLimitExceeded))
		return
	case x < f.Throttle+f.Fail:
		writeError(cw, r, fail(InternalError))
		return
	}
	if f.Lose > 0 && mrand.Float64() < f.Lose {
		cw.Mute = true
		defer panic(http.ErrAbortHandler) // net/http cuts the connection
	}
	if err := s.serve(cw, r); err != nil {
		s.logError(r, err)
		writeError(cw, r, err)
	}
}

// requestID returns an id in the form of the service: 24 hex digits.
func requestID() string {
	var b [12]byte
	rand.Read(b[:]) // never fails
	return fmt.Sprintf("%X", b[:])
}

// tickLoop wakes receivers for which a message has become visible, and starts notifications.
func (s *Server) tickLoop() {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-s.stop.Done():
			return
		case <-s.kick:
		case <-t.C:
			if s.waiting.Load() > 0 {
				s.wakeDue()
			}
		}
		s.push()
	}
}

func (s *Server) sweepLoop() {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-s.stop.Done():
			return
		case <-t.C:
			if _, err := s.sweep(); err != nil {
				s.log.Error("remove expired messages", "error", err)
			}
		}
	}
}
