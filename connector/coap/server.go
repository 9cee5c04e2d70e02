package coap

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"relink/connector/download"
	"relink/connector/limits"
	"relink/connector/session"
	"relink/connector/uplink"
	"relink/shared/refusal"
)

// Options configure a Server. The first group is required.
type Options struct {
	Keeper     Keeper
	Sealer     Opener
	Router     *uplink.Router
	Dispatcher session.Dispatcher // for dynamic registration
	Journal    session.Journal
	Meter      Meter
	Metrics    prometheus.Registerer
	Budget     *limits.Budget // of failed authentications over DTLS, shared with the other faces
	Logger     *slog.Logger

	// Forgeable is Budget for addresses that anybody can write on a datagram: with one budget a stranger could lock those out who connect
	// from there. nil: the default.
	Forgeable *limits.Budget

	Connects *limits.Connects // of dynamic registrations of one device, shared with the other faces; nil: no limit
	Files    download.Source  // where downloads are; nil: there are none
	URLs     download.Opener  // of downloads

	LoginTimeout  time.Duration // of function auth; 8 s
	MaxTokens     int           // that are known at the same time; 100,000
	MaxRemembered int           // messages whose replies are kept for retransmissions; 400,000
	MaxReplies    int           // bytes of these replies; 64 MB
	MaxBodies     int64         // bytes of bodies that come or go in blocks; 64 MB
	MaxReadAhead  int           // bytes of files that are kept for the next blocks; 32 MB
	MaxLogins     int           // authentications at the same time; 1024
	Now           func() time.Time
}

// A Meter counts what happens.
type Meter interface {
	Accepted(transport string)
	Refused(cause refusal.Cause)
	Received(bytes int)
	Sent(bytes int)
	Panicked()
}

func (o *Options) defaults() {
	def := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	def(&o.MaxTokens, 100_000)
	def(&o.MaxRemembered, 400_000)
	def(&o.MaxReplies, 64<<20)
	def(&o.MaxReadAhead, 32<<20)
	def(&o.MaxLogins, 1024)
	if o.MaxBodies == 0 {
		o.MaxBodies = 64 << 20
	}
	if o.LoginTimeout == 0 {
		o.LoginTimeout = 8 * time.Second
	}
	if o.Budget == nil {
		o.Budget = limits.NewBudget(limits.DefaultBudget())
	}
	if o.Forgeable == nil {
		o.Forgeable = limits.NewBudget(limits.DefaultBudget())
	}
	if o.Connects == nil {
		o.Connects = limits.NewConnects(0, 0, 0, nil)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Bounds of one peer, and of what waits.
const (
	perPeer      = 64       // messages that are remembered
	bytesPerPeer = 16 << 10 // of their replies
	maxLookups   = 1024     // requests that wait for function auth, or for room in a function's queue, at the same time
	maxReads     = 64       // reads of the object storage at the same time
	sweepEvery   = 10 * time.Second
)

// A Server is the exchange layer. Make it with New; it is safe for concurrent use.
type Server struct {
	opts    Options
	log     *slog.Logger
	now     func() time.Time
	seed    maphash.Seed
	tokens  *tokens
	peers   *peers // of requests with a token
	logins  *peers // of authentications: strangers can cause them, so they push nothing else out
	files   *files // nil: there are no downloads
	bodies  atomic.Int64
	mid     atomic.Uint32 // of NON responses
	lines   *rate.Limiter // of the device log, for what strangers can cause
	sealed  *rate.Limiter // and for what who has seen a token can
	counts  counts
	authing chan struct{} // semaphores
	looking chan struct{}

	mu      sync.Mutex
	closing bool
	flight  int           // exchanges that will be answered
	idle    chan struct{} // closed when closing and flight is 0
	sockets []*socket

	ctx   context.Context // of what is done apart from the readers
	end   context.CancelFunc
	tasks sync.WaitGroup
}

// New makes a server and starts its goroutine, which forgets what is too old. End it with Shutdown.
func New(o Options) *Server {
	o.defaults()
	ctx, end := context.WithCancel(context.Background())
	s := &Server{
		opts: o, log: o.Logger, now: o.Now, seed: maphash.MakeSeed(), tokens: newTokens(o.MaxTokens),
		peers:  newPeers(peersLimit{perPeer, bytesPerPeer, o.MaxRemembered, o.MaxReplies}),
		logins: newPeers(peersLimit{8, 4 << 10, 16 << 10, 8 << 20}),
		lines:  rate.NewLimiter(20, 200), sealed: rate.NewLimiter(100, 1000), authing: make(chan struct{}, o.MaxLogins), looking: make(chan struct{}, maxLookups),
		idle: make(chan struct{}), ctx: ctx, end: end,
	}
	if o.Files != nil && o.URLs != nil {
		s.files = newFiles(o.Files, o.MaxReadAhead)
	}
	s.counts.register(o.Metrics, s)
	s.tasks.Go(s.sweep)
	return s
}

// Receive takes one datagram of a peer. It does not block, and does not keep the datagram.
func (s *Server) Receive(p Peer, datagram []byte) {
	s.opts.Meter.Received(len(datagram))
	r := requests.Get().(*request)
	defer requests.Put(r)
	err := r.decode(datagram)
	switch {
	case err == errJunk:
		s.counts.add(countJunk)
		return
	case r.kind == message.Acknowledgement || r.kind == message.Reset:
		s.counts.add(countUnasked) // the server asks nothing
		return
	case err != nil || r.code>>5 != 0: // malformed, or no request
		s.counts.add(countJunk)
		s.reset(p, r)
		return
	case r.code == codes.Empty:
		s.counts.add(countPing)
		s.reset(p, r)
		return
	}
	r.hash = maphash.Bytes(s.seed, datagram)
	s.serve(p, r, nil)
}

// Gone forgets a peer whose connection has ended.
func (s *Server) Gone(p Peer) {
	s.peers.gone(p)
	s.logins.gone(p)
}

// serve answers a request, or drops it. known is the session of its token if that was asked for apart.
func (s *Server) serve(p Peer, r *request, known *session.Session) {
	if !s.enter() {
		return
	}
	x := &Exchange{srv: s, peer: p, kind: r.kind, mid: r.mid, tokenLen: byte(len(r.token)), hash: r.hash, block1: r.block1, block2: r.block2}
	copy(x.token[:], r.token)
	switch {
	case r.bad != 0:
		if r.kind == message.NonConfirmable { // RFC 7252, 5.4.1
			x.drop(countJunk)
			return
		}
		x.stranger(refusal.New(refusal.CoAPOptionUnknown, optionName(r.bad)))
	case r.proxy:
		x.respondCode(codes.ProxyingNotSupported)
	case r.size > maxDatagram:
		x.stranger(refusal.New(refusal.BlockTooLarge, "the datagram is larger than 1600 bytes; use blocks"))
	default:
		s.route(x, r, known)
	}
}

const topicPrefix = "/topic/"

func (s *Server) route(x *Exchange, r *request, known *session.Session) {
	path := r.path
	download := s.files != nil && hasPrefix(path, downloadPrefix)
	switch {
	case string(path) == "/.well-known/core":
		x.respondCode(codes.NotFound)
	case download && r.code == codes.GET:
		s.download(x, r)
	case download || r.code != codes.POST:
		x.stranger(refusal.New(refusal.CoAPMethod, r.code.String()+" "+clipped(path)))
	case hasPrefix(path, topicPrefix), string(path) == pathPull:
		s.take(x, r, known)
	case string(path) == "/auth":
		s.login(x, r)
	case string(path) == "/auth/register/device":
		s.register(x, r)
	default:
		x.stranger(refusal.New(refusal.CoAPPathUnknown, clipped(path)))
	}
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

func clipped(b []byte) string { return string(b[:min(len(b), 64)]) }

// reset rejects a confirmable message (RFC 7252, 4.2); others are ignored.
func (s *Server) reset(p Peer, r *request) {
	if r.kind != message.Confirmable {
		return
	}
	r.small = append(r.small[:0], 1<<6|byte(message.Reset)<<4, 0, byte(r.mid>>8), byte(r.mid))
	s.send(p, r.small)
}

func (s *Server) send(p Peer, datagram []byte) {
	s.opts.Meter.Sent(len(datagram))
	p.Transport.Send(p.Addr, datagram)
}

// enter counts an exchange; false when the server takes no more.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.flight++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight--
	if s.closing && s.flight == 0 {
		close(s.idle)
	}
}

// apart does what may wait in a goroutine of its own, if fewer than the semaphore has do so already. The reader is never held up.
func (s *Server) apart(semaphore chan struct{}, do func(context.Context)) bool {
	select {
	case semaphore <- struct{}{}:
	default:
		return false
	}
	s.tasks.Go(func() {
		defer func() { <-semaphore }()
		do(s.ctx)
	})
	return true
}

// Shutdown takes no more requests and waits for the answers that are due; when ctx ends first they are not sent, and devices try again
// elsewhere. It closes the server's sockets.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closing
	s.closing = true
	if first && s.flight == 0 {
		close(s.idle)
	}
	s.mu.Unlock()
	var err error
	select {
	case <-s.idle:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.end()
	s.mu.Lock()
	sockets := s.sockets
	s.sockets = nil
	s.mu.Unlock()
	for _, c := range sockets {
		_ = c.conn.Close() // the reader ends by it
	}
	s.tasks.Wait()
	return err
}
