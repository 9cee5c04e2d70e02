// Package mqtt is the MQTT face of the connector: listeners that take what shipped devices send (plain, TLS and WebSocket on the
// same port), the login, and the packets of a session, in MQTT 3.1, 3.1.1 and 5.0 ("MQTT CONNECT" to "MQTT 5.0" in the device
// protocol).
//
// The broker library mochi-mqtt does the opening of a connection: it reads CONNECT, asks this package who may connect, and
// answers CONNACK (opening.go). Then the connection leaves it. Kept inside, an idle one costs 25 KB (two goroutines, the stack of
// its packet handling), measured, against 5 KB here; its subscription tree is what this platform must not have, because no device
// reaches another; and its hooks cannot hold back a reader or an acknowledgement. Its codec serves for the properties of 5.0.
package mqtt

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	broker "github.com/mochi-mqtt/server/v2"

	"relink/connector/gateway"
	"relink/connector/limits"
	"relink/connector/session"
	"relink/connector/uplink"
	"relink/shared/device"
	"relink/shared/refusal"
)

// Options configure a Server. The first group is required.
type Options struct {
	Dispatcher session.Dispatcher
	Router     *uplink.Router
	Registry   *session.Registry
	Presence   *session.Presence
	Journal    session.Journal
	Meter      Meter
	Logger     *slog.Logger

	TLS            *tls.Config         // nil: TLS is refused
	Budget         *limits.Budget      // of failures; nil: DefaultBudget
	Drops          *session.Drops      // devices disabled or deleted while they log in; nil: none is noticed
	Connects       *limits.Connects    // of one device; nil: no limit
	Node           string              // id of this node
	Superseded     func(*device.Grant) // tells Grant.Previous to drop its session; must not block; may be nil
	MaxConnections int                 // 100,000
	MaxOpening     int                 // not logged in yet; 10,000
	MaxPerSource   int                 // of these, from one address; 1,000
	ExemptLoopback bool                // from MaxPerSource
	OpenTimeout    time.Duration       // from accept to the end of CONNECT, login included; 10 s
	LoginTimeout   time.Duration       // of the login alone; 8 s
	WriteTimeout   time.Duration       // a device that takes nothing for so long is disconnected; 10 s
	SettleTimeout  time.Duration       // at the stop, for messages that are taken and not answered; 1.5 s
	ResendAfter    time.Duration       // a QoS 1 message without PUBACK is sent again (3.x); 10 s
	MaxPending     int                 // bytes that wait for one device; 512 KB
	RegisterTLS    bool                // dynamic registration over TLS only ("MQTT: CONNECT" of dynamic registration)
	HTTP           Handler             // takes over connections that begin with an HTTP POST; nil: they are refused
	// RegistrationStay is when a connection that only registers is closed; 15 s.
	RegistrationStay time.Duration
	Rates            limits.Rates  // of messages; the zero value has no limits
	MinKeepAlive     time.Duration // 30 s
	MaxKeepAlive     time.Duration // 1200 s
	Now              func() time.Time
}

// A Handler serves HTTP on a connection until one of them ends it. transport is tcp or tls.
type Handler interface {
	Serve(c net.Conn, remote netip.AddrPort, transport string)
}

// A Meter counts what happens to connections.
type Meter interface {
	Accepted(transport string)
	Refused(cause refusal.Cause)
	Established(version byte, took time.Duration)
	Ended(cause refusal.Cause)
	Received(bytes int)
	Sent(bytes int)
	Panicked()
}

func (o *Options) defaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	defInt := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	def(&o.OpenTimeout, 10*time.Second)
	def(&o.LoginTimeout, 8*time.Second)
	def(&o.WriteTimeout, 10*time.Second)
	def(&o.SettleTimeout, 1500*time.Millisecond)
	def(&o.ResendAfter, 10*time.Second)
	def(&o.RegistrationStay, registrationStay)
	def(&o.MinKeepAlive, 30*time.Second)
	def(&o.MaxKeepAlive, 1200*time.Second)
	defInt(&o.MaxConnections, 100_000)
	defInt(&o.MaxOpening, 10_000)
	defInt(&o.MaxPerSource, 1_000)
	defInt(&o.MaxPending, 512<<10)
	if o.Budget == nil {
		o.Budget = limits.NewBudget(limits.DefaultBudget())
	}
	if o.Connects == nil {
		o.Connects = limits.NewConnects(0, 0, 0, nil)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// A Server accepts devices. Make it with New, give it listeners with Serve, and end it with Shutdown.
type Server struct {
	opts     Options
	log      *slog.Logger
	registry *session.Registry
	presence *session.Presence
	router   *uplink.Router
	journal  session.Journal
	meter    Meter
	broker   *broker.Server
	flusher  *flusher
	openings *limits.Openings
	classes  classes
	gateways gateway.Node
	now      func() time.Time
	started  time.Time

	stopping  atomic.Bool
	stop      chan struct{}
	accepting context.Context // ends with Shutdown: logins are not waited for
	refuseAll context.CancelFunc
	conns     sync.WaitGroup // connections, opening or established
	drains    sync.WaitGroup // what writes to those that are slow
	tasks     sync.WaitGroup // accept loops, sweep
	flushers  sync.WaitGroup

	mu        sync.Mutex
	listeners []net.Listener
	live      map[*conn]struct{} // established
	posting   map[*conn]struct{} // HTTP connections of known devices
}

// New makes a server and starts its own goroutines.
func New(opts Options) *Server {
	opts.defaults()
	s := &Server{
		opts: opts, log: opts.Logger, registry: opts.Registry, presence: opts.Presence, router: opts.Router, journal: opts.Journal,
		meter: opts.Meter, now: opts.Now, started: time.Now(),
		flusher:  newFlusher(),
		openings: limits.NewOpenings(opts.MaxOpening, opts.MaxPerSource, opts.ExemptLoopback),
		stop:     make(chan struct{}),
		live:     make(map[*conn]struct{}),
	}
	s.accepting, s.refuseAll = context.WithCancel(context.Background())
	s.gateways = gateway.Node{
		Registry: opts.Registry, Teller: session.NewTeller(opts.Presence), Journal: opts.Journal, Drops: opts.Drops,
		Superseded: opts.Superseded, Share: s.classes.share, Expiry: s.expiry, Now: opts.Now,
	}
	s.broker = newBroker(s)
	for range max(2, runtime.GOMAXPROCS(0)) {
		s.flushers.Go(s.flusher.run)
	}
	s.tasks.Go(s.sweep)
	return s
}

// sweep looks after all connections once a second: cheaper than a timer or a deadline for each packet.
func (s *Server) sweep() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		now := s.uptime()
		s.mu.Lock()
		for c := range s.live {
			c.check(now) // never blocks, and never takes s.mu
		}
		s.mu.Unlock()
	}
}

// uptime is the time since the server started; it knows nothing of jumps of the clock.
func (s *Server) uptime() time.Duration { return time.Since(s.started) }

// Connections is the number of established connections.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live) + len(s.posting)
}

// Opening is the number of connections that have not logged in yet.
func (s *Server) Opening() int { return s.openings.Len() }

func (s *Server) remember(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live[c] = struct{}{}
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, c)
	if len(s.live) == 0 {
		s.live = make(map[*conn]struct{}) // a map never shrinks
	}
}

// lastWords is a context for what has to be said after a connection has ended.
func (s *Server) lastWords() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 2*time.Second)
}

// Shutdown stops accepting, closes what has not logged in, waits a moment for what was taken from devices to be answered, ends all sessions, and waits until
// their ends are told. When ctx ends first it returns the cause, and what is left is cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	if !s.stopping.CompareAndSwap(false, true) {
		return nil
	}
	close(s.stop)
	s.refuseAll()
	s.openings.Close()
	s.mu.Lock()
	for _, l := range s.listeners {
		_ = l.Close() // it is only closed here
	}
	all := make([]*conn, 0, len(s.live))
	for c := range s.live {
		all = append(all, c)
	}
	for c := range s.posting {
		_ = c.sock.SetReadDeadline(past) // one that is broken ends anyway
	}
	s.mu.Unlock()
	for _, c := range all {
		if err := c.sock.SetReadDeadline(past); err != nil {
			c.End(refusal.Shutdown, "")
		}
	}
	done := make(chan struct{})
	go func() {
		s.tasks.Wait()
		s.conns.Wait()
		s.gateways.Teller.Close()
		s.flusher.close()
		s.flushers.Wait()
		s.drains.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.live {
		c.End(refusal.Shutdown, "")
		c.close()
	}
	for c := range s.posting {
		c.close()
	}
	return context.Cause(ctx)
}

var _ session.Conn = (*conn)(nil)
