package mqtt

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"time"

	"relink/connector/session"
	"relink/shared/logs"
	"relink/shared/refusal"
)

// Serve accepts connections on a TCP listener until Shutdown. What a connection speaks is found out by its first byte, whatever
// the port ("Names and ports").
func (s *Server) Serve(l net.Listener) {
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	stopping := s.stopping.Load()
	s.mu.Unlock()
	if stopping {
		_ = l.Close() // came too late
		return
	}
	s.tasks.Go(func() { s.accept(l) })
}

func (s *Server) accept(l net.Listener) {
	pause := time.Duration(0)
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second) // out of file descriptors, most likely
			s.log.LogAttrs(context.Background(), slog.LevelWarn, "connection not accepted", logs.Err(err), slog.Duration("pause", pause))
			select {
			case <-time.After(pause):
			case <-s.stop:
				return
			}
			continue
		}
		pause = 0
		tc, ok := nc.(*net.TCPConn)
		if !ok {
			_ = nc.Close() // only TCP listeners are given
			continue
		}
		if err := tc.SetWriteBuffer(sendBuffer); err != nil {
			_ = nc.Close() // it was closed by the peer
			continue
		}
		s.conns.Go(func() { s.open(tc) })
	}
}

// sendBuffer bounds what the kernel keeps for a device that does not read; by itself it would grow to megabytes.
const sendBuffer = 64 << 10

// open carries one connection from accept to its session, and then lets go of it.
func (s *Server) open(tc *net.TCPConn) {
	remote := addrPort(tc.RemoteAddr())
	c := s.newConn(remote)
	entry := s.openings.Enter(remote.Addr(), func() {
		c.evicted.Store(true)
		_ = tc.Close() // wakes whoever reads
	})
	if entry == nil {
		why := refusal.New(refusal.RateLimitedSource, "too many connections without a login")
		if s.stopping.Load() {
			why = refusal.New(refusal.NodeStopping, "")
		}
		s.turnedAway(remote, why)
		_ = tc.Close() // nothing was said yet
		return
	}
	defer s.openings.Leave(entry)
	k, err := newSock(tc, s.opts.WriteTimeout, &s.drains)
	if err == nil {
		err = tc.SetReadDeadline(time.Now().Add(s.opts.OpenTimeout)) // writing never waits
	}
	if err != nil {
		_ = tc.Close() // it is broken
		return
	}
	c.on(k)
	defer func() {
		if p := recover(); p != nil {
			s.panicked(c, p, debug.Stack())
			if c.sess != nil {
				s.registry.Remove(c.sess)
				s.forget(c)
			}
			s.refused(c, refusal.New(refusal.InternalError, ""))
			c.close()
		}
	}()
	if err := s.find(c); err != nil {
		if err != errSilent {
			s.refused(c, err)
		}
		c.close()
		return
	}
	s.meter.Accepted(c.transport)
	if c.http {
		s.handOver(c, entry)
		return
	}
	if err := s.handshake(c); err != nil {
		s.refused(c, err)
		linger(tc)
		c.close()
		return
	}
	c.tls = nil
	if c.registered {
		s.stay(c)
		c.close()
		return
	}
	s.openings.Leave(entry)
	s.establish(c)
}

// errSilent is a connection that was closed without a word: a health check of a load balancer. It is not worth a line in the log.
var errSilent = errors.New("closed without a word")

// find finds out what a connection speaks, and puts the layers on top of the socket.
func (s *Server) find(c *conn) error {
	first, err := c.peek()
	if errors.Is(err, io.EOF) {
		return errSilent
	}
	if err != nil {
		return openError(err, refusal.HandshakeTimeout)
	}
	if first == 0x16 {
		if s.opts.TLS == nil {
			return refusal.New(refusal.TLSFailed, "no certificate is configured")
		}
		if !s.opts.Budget.Allows(c.remote.Addr()) { // before the expensive part
			return refusal.New(refusal.RateLimitedSource, "")
		}
		tc := tls.Server(&prefixed{Conn: c.sock, prefix: c.in.take()}, s.opts.TLS)
		if err := tc.Handshake(); err != nil {
			return openError(err, refusal.TLSFailed)
		}
		c.stream, c.transport, c.tls = tc, "tls", tc
		if first, err = c.peek(); err != nil {
			return openError(err, refusal.HandshakeTimeout)
		}
	}
	switch first {
	case typeConnect << 4:
		return nil
	case 'G':
		return s.upgrade(c)
	case 'P':
		if s.opts.HTTP != nil {
			c.http = true
			return nil
		}
	}
	if kind := first >> 4; kind >= typeConnack && kind <= typeAuth && first != 'P' && (first < 'A' || first > 'Z') {
		return refusal.New(refusal.ConnectExpected, "")
	}
	return refusal.New(refusal.FirstByteUnknown, "")
}

// peek reads the first byte of the stream and leaves it in the input.
func (c *conn) peek() (byte, error) {
	if c.in.w == c.in.r {
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	return c.in.buf[c.in.r], nil
}

// take takes what has been read.
func (in *input) take() []byte {
	b := append([]byte(nil), in.buf[in.r:in.w]...)
	in.r, in.w, in.streaming = 0, 0, false
	return b
}

// A prefixed connection begins with bytes that were read already. Its deadlines are those of whoever accepted it.
type prefixed struct {
	net.Conn
	prefix []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) > 0 {
		n := copy(b, p.prefix)
		if p.prefix = p.prefix[n:]; len(p.prefix) == 0 {
			p.prefix = nil
		}
		return n, nil
	}
	return p.Conn.Read(b)
}

func (p *prefixed) SetDeadline(time.Time) error      { return nil }
func (p *prefixed) SetReadDeadline(time.Time) error  { return nil }
func (p *prefixed) SetWriteDeadline(time.Time) error { return nil }

// openError gives an error of the opening its cause.
func openError(err error, cause refusal.Cause) error {
	if refusal.CauseOf(err) != "" {
		return err
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return refusal.New(refusal.HandshakeTimeout, "")
	}
	detail := readError(err)
	if detail == "" {
		detail = "closed by the client"
	}
	return refusal.New(cause, detail)
}

// codeSilent is the code, in the log, of a refusal that was not told to the client: there was no CONNECT to answer.
const codeSilent = 400

// refused notes why a connection did not become a session.
func (s *Server) refused(c *conn, err error) {
	switch {
	case c.evicted.Load() && s.stopping.Load():
		err = refusal.New(refusal.NodeStopping, "")
	case c.evicted.Load():
		err = refusal.New(refusal.NodeFull, "too many connections without a login, and this one was the oldest")
	}
	cause := refusal.CauseOf(err)
	if cause == "" {
		cause = refusal.InternalError
	}
	s.meter.Refused(cause)
	e := session.Event{Operation: session.OpAuth, Code: int(connackOf(cause, 4)), Reason: cause, RemoteAddr: c.remote.String()}
	if r, ok := errors.AsType[*loginRefused](err); ok {
		e.Operation = cmp.Or(r.operation, e.Operation)
		e.Device, e.Signed, e.Detail = r.device, r.signed, r.why.Detail
	} else if r, ok := errors.AsType[*refusal.Error](err); ok {
		e.Detail = r.Detail
	}
	if session.Blames(e.Operation, cause) {
		s.opts.Budget.Fail(c.remote.Addr())
	}
	if silentCauses[cause] {
		e.Code = codeSilent
	}
	s.journal.Record(e)
}

// turnedAway notes a connection that was not even looked at.
func (s *Server) turnedAway(remote netip.AddrPort, err *refusal.Error) {
	s.meter.Refused(err.Cause)
	s.journal.Record(session.Event{Operation: session.OpAuth, Code: codeSilent, Reason: err.Cause, Detail: err.Detail, RemoteAddr: remote.String()})
}

// linger lets the client read the CONNACK: closing at once, with bytes of it unread, would reset the connection.
func linger(tc *net.TCPConn) {
	if tc.CloseWrite() != nil || tc.SetReadDeadline(time.Now().Add(500*time.Millisecond)) != nil {
		return
	}
	var sink [512]byte
	for range 128 {
		if _, err := tc.Read(sink[:]); err != nil {
			return
		}
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		p := t.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}
