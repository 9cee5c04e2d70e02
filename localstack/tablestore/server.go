package tablestore

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The access key pair of a server whose Options name none.
const (
	DefaultAccessKeyID     = "localstack"
	DefaultAccessKeySecret = "localstack-secret"
)

// Options configure a Server. The zero value is a server in memory with the default access key pair.
type Options struct {
	Dir             string           // Pebble directory, locked while open; "" keeps everything in memory
	AccessKeyID     string           // the one key that may sign requests; "" = DefaultAccessKeyID
	AccessKeySecret string           // "" = DefaultAccessKeySecret
	Instances       []string         // names of instances that exist; empty = any well-formed name does
	Clock           func() time.Time // time of cell versions, TTL and the signature window; nil = time.Now
	Logger          *slog.Logger     // nil discards
	Faults          Faults           // what to break from the start; SetFaults changes it
	TableReadyDelay time.Duration    // how long a new table answers OTSTableNotReady, as the service does for some seconds
	SweepInterval   time.Duration    // pause between removals of expired rows; 0 = an hour, negative = never
	MaxConcurrent   int              // requests worked on at once, the rest wait; 0 = 64. Bounds memory with the 5 MB body limit

	fs vfs.FS // set by tests that crash the disk; nil = by Dir
}

// A Server answers the Tablestore protocol. It is an http.Handler for any number of instances, each with its own tables.
type Server struct {
	opts    Options
	log     *slog.Logger
	db      *pebble.DB
	catalog *catalog
	auth    *authenticator
	stats   counters
	faults  atomic.Pointer[faultState]

	seed      maphash.Seed
	stripes   [stripeCount]stripe // see package comment for the order
	slots     chan struct{}       // one per request at work
	requests  sync.Pool           // of *request
	idPrefix  string              // of request ids, unique per process
	idCounter atomic.Uint64

	life   sync.RWMutex // read-held by requests
	closed bool         // guarded by life

	stopSweep chan struct{}
	sweeping  sync.WaitGroup
}

// Open opens or creates the store. It fails if another process holds the directory.
func Open(opts Options) (*Server, error) {
	if opts.AccessKeyID == "" {
		opts.AccessKeyID = DefaultAccessKeyID
	}
	if opts.AccessKeySecret == "" {
		opts.AccessKeySecret = DefaultAccessKeySecret
	}
	if opts.Clock == nil {
		opts.Clock = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.MaxConcurrent <= 0 {
		opts.MaxConcurrent = 64
	}
	if opts.SweepInterval == 0 {
		opts.SweepInterval = time.Hour
	}
	s := &Server{
		opts:      opts,
		log:       opts.Logger,
		auth:      newAuthenticator(opts),
		seed:      maphash.MakeSeed(),
		slots:     make(chan struct{}, opts.MaxConcurrent),
		stopSweep: make(chan struct{}),
	}
	s.requests.New = func() any { return &request{server: s} }
	if err := s.SetFaults(opts.Faults); err != nil {
		return nil, err
	}
	id := make([]byte, 8)
	rand.Read(id)
	s.idPrefix = hex.EncodeToString(id)

	db, err := openDB(opts)
	if err != nil {
		return nil, err
	}
	s.db = db
	if s.catalog, err = loadCatalog(db, opts); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if opts.SweepInterval > 0 {
		s.sweeping.Go(s.sweepLoop)
	}
	return s, nil
}

// Close waits for requests at work, refuses further ones and closes the store. A second Close does nothing.
func (s *Server) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.stopSweep)
	s.sweeping.Wait()
	return s.db.Close()
}

// A request is one call and the memory it needs; it is reused.
type request struct {
	server   *Server
	op       string
	instance string
	now      int64 // ms
	body     []byte
	out      []byte
	write    writeSet
	cells    []cell
	key      []byte
	readCU   int
	writeCU  int
}

// keepMemory bounds the buffers that a pooled request carries on.
const keepMemory = 1 << 20

func (rq *request) release() {
	if cap(rq.body) > keepMemory {
		rq.body = nil
	}
	if cap(rq.out) > keepMemory {
		rq.out = nil
	}
	if cap(rq.cells) > keepMemory/64 {
		rq.cells = nil
	}
	rq.cells = rq.cells[:0]
	rq.write.reset()
	rq.server.requests.Put(rq)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op := strings.TrimPrefix(r.URL.Path, "/")
	hit := s.faults.Load().request(op)
	if hit.delay > 0 { // before a slot is taken, so that it slows nobody else
		t := time.NewTimer(hit.delay)
		select {
		case <-t.C:
		case <-r.Context().Done():
			t.Stop()
		}
	}
	s.slots <- struct{}{}
	defer func() { <-s.slots }()
	s.life.RLock()
	defer s.life.RUnlock()

	rq := s.requests.Get().(*request)
	defer rq.release()
	rq.op, rq.out, rq.readCU, rq.writeCU = op, rq.out[:0], 0, 0
	requestID := s.idPrefix + "-" + strconv.FormatUint(s.idCounter.Add(1), 16)

	f := s.serve(rq, r, hit.failure)
	s.stats.count(rq, f)
	if hit.lose {
		s.log.Info("response lost on purpose", "request_id", requestID, "operation", rq.op)
		panic(http.ErrAbortHandler)
	}
	status := http.StatusOK
	if f != nil {
		status = f.status
		rq.out = appendBytesField(rq.out[:0], 1, f.name)
		rq.out = appendBytesField(rq.out, 2, f.text)
		s.logFailure(r, rq, requestID, f)
	}
	s.respond(w, rq, requestID, status)
}

// serve authenticates and dispatches. planned, if not nil, is the fault to answer with instead of doing the work.
func (s *Server) serve(rq *request, r *http.Request, planned *failure) *failure {
	rq.body = rq.body[:0]
	if s.closed {
		return fail(codeServerUnavailable)
	}
	if r.Method != http.MethodPost {
		return fail(codeMethodNotAllowed)
	}
	op := operations[rq.op]
	if op == nil {
		return &failure{codeUnsupportOperation, fmt.Sprintf("Unsupported operation: '%s'.", rq.op)}
	}
	now := s.opts.Clock()
	rq.now = now.UnixMilli()
	var f *failure
	if rq.instance, f = s.auth.verify(r, now); f != nil {
		return f
	}
	if rq.body, f = readBody(rq.body, r); f != nil {
		return f
	}
	sum := md5.Sum(rq.body)
	if !equalBase64(sum[:], r.Header.Get("X-Ots-Contentmd5")) {
		return &failure{codeAuthFailed, "Mismatch between MD5 value of request body and x-ots-contentmd5 in header."}
	}
	if planned != nil {
		return planned
	}
	if op.handle == nil {
		return unsupported(rq.op)
	}
	f, err := op.handle(s, rq)
	if err != nil {
		s.log.Error("operation failed", "operation", rq.op, "error", err)
		return fail(codeInternalServerError)
	}
	return f
}
