package dtls

import (
	"container/heap"
	"container/list"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"relink/connector/limits"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/refusal"
)

// Protocol is what tokens over this transport are issued for.
const Protocol = "coaps"

// Options configure a Server. Handle, Openings and Budget are required.
type Options struct {
	// Certificate gives the certificate of the installation, with an RSA key; it is asked for each handshake. nil, or if it gives nil:
	// only clients with a pre-shared key are served.
	Certificate func() *tls.Certificate
	// Key asks for the key that belongs to a PSK identity. An error with a cause of package refusal is an answer too: the identity is
	// refused; any other says that nothing was decided. nil: only the certificate is offered.
	Key func(ctx context.Context, identity string, remote netip.AddrPort) (Key, error)
	// Handle takes what a client sent. It must not block, and must not keep the datagram.
	Handle func(c *Conn, datagram []byte)
	// Ended is told that a connection that was established is gone; nil: nobody is.
	Ended func(c *Conn)
	// Failed is told of a handshake that failed; nil: nobody is.
	Failed func(Failure)

	Openings *limits.Openings // bounds connections of which no device has proved its identity
	Budget   *limits.Budget   // of failed handshakes per address

	MaxConnections   int           // of devices that proved their identity; beyond, the one that was silent longest is closed. 0: 100,000
	MaxLookups       int           // keys that are asked for at the same time; 0: 512
	IdleTimeout      time.Duration // silence after which a connection is forgotten; 0: 15 minutes
	ProofTimeout     time.Duration // from the handshake to the proof of a device; 0: a minute
	HandshakeTimeout time.Duration // 0: 20 s
	LookupTimeout    time.Duration // of Key; 0: 8 s
	MTU              int           // bytes of the datagrams of a handshake; 0: 1200

	Logger  *slog.Logger          // nil: slog.Default
	Metrics prometheus.Registerer // nil: not registered
	Now     func() time.Time      // nil: time.Now
}

// A Key is the pre-shared key of an identity, and whose it is.
type Key struct {
	Key    []byte
	Device iot.DeviceRef
}

// A Failure is a handshake that came to nothing.
type Failure struct {
	Remote   netip.AddrPort
	Identity string // of a pre-shared key; empty: none was named
	Err      error  // has a cause of package refusal
}

// A Server speaks DTLS on one or more sockets. It is safe for concurrent use.
type Server struct {
	opts    Options
	log     *slog.Logger
	now     func() time.Time
	cookies cookieKey
	decoys  cookieKey // of identities without a key
	meter   *meter
	buffers sync.Pool
	jobs    chan func() // RSA, bounded; when full the datagram is dropped, and the client sends it again
	lookups chan struct{}
	stop    chan struct{}
	halt    context.CancelFunc
	ctx     context.Context // of lookups
	tasks   sync.WaitGroup
	stopped atomic.Bool

	mu       sync.Mutex // taken after Conn.mu
	sockets  []*net.UDPConn
	pending  map[netip.AddrPort]*Conn
	conns    map[netip.AddrPort]*Conn // established
	cids     map[[cidLen]byte]*Conn
	unproven *list.List // of *Conn, oldest first
	proven   *list.List // silent longest first
	timers   timers
}

// New makes a Server. Its tasks run until Shutdown.
func New(o Options) *Server {
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	def(&o.IdleTimeout, 15*time.Minute)
	def(&o.ProofTimeout, time.Minute)
	def(&o.HandshakeTimeout, 20*time.Second)
	def(&o.LookupTimeout, 8*time.Second)
	for n, to := range map[*int]int{&o.MaxConnections: 100_000, &o.MaxLookups: 512, &o.MTU: 1200} {
		if *n == 0 {
			*n = to
		}
	}
	s := &Server{
		opts: o, log: o.Logger, now: o.Now, cookies: newCookieKey(), decoys: newCookieKey(),
		jobs: make(chan func(), 1024), lookups: make(chan struct{}, o.MaxLookups), stop: make(chan struct{}),
		pending: map[netip.AddrPort]*Conn{}, conns: map[netip.AddrPort]*Conn{}, cids: map[[cidLen]byte]*Conn{},
		unproven: list.New(), proven: list.New(),
	}
	s.buffers.New = func() any { b := make([]byte, 0, 2048); return &b }
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.meter = newMeter(o.Metrics, s)
	s.ctx, s.halt = context.WithCancel(context.Background())
	for range runtime.GOMAXPROCS(0) {
		s.tasks.Go(s.work)
	}
	s.tasks.Go(s.watch)
	return s
}

// receiveBuffer holds what comes while all readers are busy: a burst of a few thousand datagrams.
const receiveBuffer = 4 << 20

// Serve reads a socket until Shutdown, which closes it.
func (s *Server) Serve(pc *net.UDPConn) {
	if err := pc.SetReadBuffer(receiveBuffer); err != nil { // the kernel cuts it to its own limit without an error
		s.log.LogAttrs(context.Background(), slog.LevelWarn, "receive buffer of the DTLS socket not set", logs.Err(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped.Load() {
		_ = pc.Close() // came too late
		return
	}
	s.sockets = append(s.sockets, pc)
	for range runtime.GOMAXPROCS(0) {
		s.tasks.Go(func() { s.read(pc) })
	}
}

// Shutdown says goodbye to all clients, closes the sockets and waits for all tasks.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.stopped.Swap(true) {
		return nil
	}
	s.mu.Lock()
	all := make([]*Conn, 0, len(s.conns)+len(s.cids)+len(s.pending))
	for _, m := range []map[netip.AddrPort]*Conn{s.conns, s.pending} {
		for _, c := range m {
			all = append(all, c)
		}
	}
	for _, c := range s.cids {
		all = append(all, c)
	}
	sockets := s.sockets
	s.mu.Unlock()
	for _, c := range all {
		s.end(c, endStopping, true)
	}
	close(s.stop)
	s.halt()
	for _, pc := range sockets {
		_ = pc.Close() // what was sent is with the kernel
	}
	done := make(chan struct{})
	go func() { s.tasks.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Len is how many connections are established, and how many are on their way.
func (s *Server) Len() (established, pending int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unproven.Len() + s.proven.Len(), len(s.pending)
}

// datagramSize is more than any that is taken: CoAP messages have at most 1280 bytes, flights of clients less.
const datagramSize = 4096

func (s *Server) read(pc *net.UDPConn) {
	b := make([]byte, datagramSize)
	for {
		n, addr, err := pc.ReadFromUDPAddrPort(b)
		if err != nil {
			if s.stopped.Load() {
				return
			}
			s.log.LogAttrs(context.Background(), slog.LevelWarn, "datagram not read", logs.Err(err))
			select {
			case <-s.stop:
				return
			case <-time.After(10 * time.Millisecond): // an error of the network stack; never one of a client
			}
			continue
		}
		s.take(b[:n], netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), pc)
	}
}

// take takes one datagram. A failure of ours costs no more than it.
func (s *Server) take(b []byte, addr netip.AddrPort, pc *net.UDPConn) {
	defer func() {
		if p := recover(); p != nil {
			s.meter.panics.Inc()
			s.log.LogAttrs(context.Background(), slog.LevelError, "panic over a datagram", slog.Any("panic", p), slog.String("remote", addr.String()),
				slog.String("stack", string(debug.Stack())))
		}
	}()
	for len(b) > 0 {
		r, rest, ok := nextRecord(b)
		if !ok {
			s.meter.dropped.WithLabelValues("malformed").Inc()
			return
		}
		s.record(&r, addr, pc)
		b = rest
	}
}

func (s *Server) record(r *record, addr netip.AddrPort, pc *net.UDPConn) {
	switch {
	case r.cid != nil:
		s.mu.Lock()
		c := s.cids[[cidLen]byte(r.cid)]
		s.mu.Unlock()
		if c == nil || !c.protected(r, addr) {
			s.meter.dropped.WithLabelValues("unauthentic").Inc()
		}
	case r.epoch() == 0:
		s.plain(r, addr, pc)
	case r.epoch() == 1:
		pending, c := s.lookup(addr)
		if c != nil && pending != nil { // a client that began anew, perhaps; opening is in place
			again := *r
			again.body = append([]byte(nil), r.body...)
			if c.protected(&again, addr) {
				return
			}
		}
		if pending != nil {
			c = pending
		}
		if c == nil || !c.protected(r, addr) {
			s.meter.dropped.WithLabelValues("unauthentic").Inc()
		}
	default:
		s.meter.dropped.WithLabelValues("malformed").Inc()
	}
}

func (s *Server) lookup(addr netip.AddrPort) (pending, established *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending[addr], s.conns[addr]
}

// plain takes a record without keys. None touches an established connection (RFC 6347 4.2.8), but through a hello with a cookie.
func (s *Server) plain(r *record, addr netip.AddrPort, pc *net.UDPConn) {
	pending, _ := s.lookup(addr)
	switch r.typ {
	case typeHandshake:
		for b := r.body; len(b) > 0; {
			f, rest, ok := nextFragment(b)
			if !ok {
				s.meter.dropped.WithLabelValues("malformed").Inc()
				return
			}
			b = rest
			switch {
			case f.typ == msgClientHello:
				s.greet(r, &f, addr, pc)
			case pending != nil:
				pending.message(&f)
			}
		}
	case typeAlert:
		if pending != nil && len(r.body) == 2 && r.body[0] == levelFatal {
			pending.fail(0, refusal.New(refusal.TLSFailed, "the client refused: "+alertName(r.body[1])))
		}
	case typeChangeCipherSpec: // says no more than the epoch of what follows
	default:
		s.meter.dropped.WithLabelValues("malformed").Inc()
	}
}

func (s *Server) buffer() *[]byte { return s.buffers.Get().(*[]byte) }

// write sends a datagram. One that cannot be sent is lost, as on the way.
func (s *Server) write(pc *net.UDPConn, b []byte, addr netip.AddrPort) {
	if _, err := pc.WriteToUDPAddrPort(b, addr); err != nil {
		s.meter.dropped.WithLabelValues("not_sent").Inc()
	}
}

// work does what takes RSA.
func (s *Server) work() {
	for {
		select {
		case f := <-s.jobs:
			f()
		case <-s.stop:
			return
		}
	}
}

// try has a job done; false: too many wait.
func (s *Server) try(f func()) bool {
	select {
	case s.jobs <- f:
		return true
	default:
		s.meter.dropped.WithLabelValues("busy").Inc()
		return false
	}
}

// watch sends flights again, and ends what takes too long or is silent.
func (s *Server) watch() {
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for n := 0; ; n++ {
		select {
		case <-s.stop:
			return
		case <-t.C:
		}
		s.retransmit(s.now())
		if n%20 == 0 {
			s.sweep(s.now())
		}
	}
}

func (s *Server) retransmit(now time.Time) {
	for {
		s.mu.Lock()
		if len(s.timers) == 0 || s.timers[0].due.After(now) {
			s.mu.Unlock()
			return
		}
		t := heap.Pop(&s.timers).(timer)
		s.mu.Unlock()
		if due, on := t.conn.tick(now); on {
			s.mu.Lock()
			heap.Push(&s.timers, timer{due, t.conn})
			s.mu.Unlock()
		}
	}
}

// sweep ends connections that are silent, or did not say in time whose they are.
func (s *Server) sweep(now time.Time) {
	for {
		var c *Conn
		s.mu.Lock()
		if e := s.unproven.Front(); e != nil && now.Sub(e.Value.(*Conn).heard) >= s.opts.ProofTimeout {
			c = e.Value.(*Conn)
		} else if e := s.proven.Front(); e != nil && now.Sub(e.Value.(*Conn).heard) >= s.opts.IdleTimeout {
			c = e.Value.(*Conn)
		}
		s.mu.Unlock()
		if c == nil {
			return
		}
		s.end(c, endIdle, true)
	}
}

// A timer is the next look at a handshake. There is one for each that is on its way.
type timer struct {
	due  time.Time
	conn *Conn
}

type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = timer{}
	*t = old[:len(old)-1]
	return last
}
