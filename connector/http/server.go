// Package http is the HTTP face of the connector: what devices ask for before they connect ("Pre-authentication and bootstrap" and
// "Dynamic registration" in the device protocol). It shares its ports with package mqtt, which hands it the connections that begin
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
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{opts: o, conns: &queue{conns: make(chan net.Conn), closed: make(chan struct{})}, now: o.Now, ended: make(chan struct{})}
	s.server = &nethttp.Server{
		Handler: s.handler(), ReadHeaderTimeout: o.ReadTimeout, ReadTimeout: o.ReadTimeout, IdleTimeout: o.IdleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug), // what strangers send is no news
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
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
	s.conns.put(&conn{Conn: c, origin: origin{remote, transport}})
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
