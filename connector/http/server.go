// Package http is the HTTP face of the connector: what devices ask for before they connect ("Pre-authentication and bootstrap" and
// "Dynamic registration" in the device protocol), and devices that speak nothing else ("HTTP(S) device access"): they get a token
// (POST /auth) and publish with it (POST /topic/…), which is answered when what they sent is stored. It shares its ports with package mqtt, which hands it the connections that begin
// with a POST, plain or inside TLS. It holds no business rule: who gets what is decided by function auth.
package http

import (
	"context"
	"log/slog"
	"net"
	nethttp "net/http"
	"net/netip"
	"sync"
	"time"

	"relink/connector/limits"
	"relink/connector/session"
	"relink/connector/token"
	"relink/connector/uplink"
	"relink/shared/refusal"
)

// Bounds of one request.
const (
	maxHeader = 8 << 10
	maxBody   = 4 << 10
)

// Options configure a Server. The first group is required.
type Options struct {
	Dispatcher session.Dispatcher
	Journal    session.Journal
	Budget     *limits.Budget            // of failures, shared with the other faces
	Connects   *limits.Connects          // of one device, shared with the other faces; nil: no limit
	NextID     func(at int64) string     // message ids
	Refused    func(cause refusal.Cause) // counts
	Logger     *slog.Logger

	// Tokens and Router are for devices that publish over HTTP; without them there is no /auth and no /topic.
	Tokens *token.Keeper
	Router *uplink.Router

	MaxPosts      int           // that are read or wait for their answer at a time; others wait, and are not read; 2,000
	BodyTimeout   time.Duration // of the body of a post, whose sender is known by then; 60 s
	AnswerTimeout time.Duration // from the last byte of a post to its answer; 30 s

	LoginTimeout time.Duration // of function auth; 8 s
	ReadTimeout  time.Duration // of one request; 10 s
	IdleTimeout  time.Duration // between requests of one connection; 15 s
	// Advertise is host:port of MQTT, for replies that name it; empty: the host and port that the request itself was sent to, because
	// every port takes MQTT.
	Advertise string
	Now       func() time.Time
}

// A Server answers devices. Make it with New, give it connections with Serve, and end it with Shutdown.
type Server struct {
	opts   Options
	server *nethttp.Server
	conns  *queue
	now    func() time.Time
	slots  chan struct{} // posts under way
	ended  chan struct{}
}

// New makes a server and starts its goroutine.
func New(o Options) *Server {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.LoginTimeout, 8*time.Second)
	def(&o.ReadTimeout, 10*time.Second)
	def(&o.IdleTimeout, 15*time.Second)
	def(&o.BodyTimeout, time.Minute)
	def(&o.AnswerTimeout, 30*time.Second)
	if o.MaxPosts == 0 {
		o.MaxPosts = 2000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{opts: o, conns: &queue{conns: make(chan net.Conn), closed: make(chan struct{})}, now: o.Now, slots: make(chan struct{}, o.MaxPosts), ended: make(chan struct{})}
	s.server = &nethttp.Server{
		Handler: s.handler(), ReadHeaderTimeout: o.ReadTimeout, ReadTimeout: o.ReadTimeout, IdleTimeout: o.IdleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug), // what strangers send is no news
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			c.(*conn).origin.conn = c.(*conn).Conn
			return context.WithValue(ctx, originKey{}, c.(*conn).origin)
		},
	}
	go func() {
		defer close(s.ended)
		_ = s.server.Serve(s.conns) // ends with Shutdown, and says so
	}()
	return s
}

// Serve takes over a connection; it is closed when it has been served. It does not wait for that.
func (s *Server) Serve(c net.Conn, remote netip.AddrPort, transport string) {
	s.conns.put(&conn{Conn: c, origin: origin{remote: remote, transport: transport}})
}

// Shutdown refuses new connections and waits for requests under way; when ctx ends first they are cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = s.server.Close()
	}
	<-s.ended
	return err
}

// An origin is where a connection came from.
type origin struct {
	remote    netip.AddrPort
	transport string // tcp, tls
	conn      net.Conn
}

// protocol is the name of the protocol in the log and in tokens.
func (o *origin) protocol() string {
	if o.transport == "tls" {
		return "https"
	}
	return "http"
}

// verified tells whoever accepted the connection that a known device is at its other end.
func (o *origin) verified() {
	if v, ok := o.conn.(interface{ Verified() }); ok {
		v.Verified()
	}
}

type originKey struct{}

func originOf(r *nethttp.Request) origin {
	o, _ := r.Context().Value(originKey{}).(origin)
	return o
}

type conn struct {
	net.Conn
	origin origin
}

func (c *conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.origin.remote) }

// A queue is the listener of a server whose connections are accepted elsewhere.
type queue struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (q *queue) put(c net.Conn) {
	select {
	case q.conns <- c:
	case <-q.closed:
		_ = c.Close() // nothing was said yet
	}
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

func (q *queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

func (q *queue) Addr() net.Addr { return &net.TCPAddr{} }
