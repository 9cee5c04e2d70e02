package mqtt

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"relink/connector/limits"
	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/logs"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/topic"
)

// A conn is one connection from accept to its end: first in the hands of the broker library, which reads CONNECT and answers it
// (opening.go), then read by serve until it ends.
type conn struct {
	srv       *Server
	sock      *sock
	stream    io.ReadWriter // sock, or TLS or WebSocket or both on top of it
	transport string        // tcp, tls, ws, wss
	tls       *tls.Conn     // nil without TLS, and once the connection is established
	remote    netip.AddrPort
	done      chan struct{} // closed when the connection has ended
	slots     chan struct{} // one for each published message that is not answered
	lastSeen  atomic.Int64  // when the last byte came from the device, in nanoseconds since the server started
	evicted   atomic.Bool   // closed before its login, to make room

	// Written before serve begins, read-only after.
	version   byte // 3, 4, 5
	keepAlive time.Duration
	maxPacket int       // that the device takes (5.0)
	window    int       // QoS 1 messages that the device takes before it acknowledges (5.0)
	began     time.Time // of the login
	clean     bool      // CleanSession, Clean Start
	expiry    uint32    // Session Expiry Interval (5.0), seconds
	grant     *device.Grant
	sess      *session.Session
	subs      *subDevices // nil unless the device is a gateway
	will      *will

	http       bool           // it speaks HTTP
	registered bool           // it got its credentials and never becomes a session
	greeting   []record.Reply // published right after CONNACK
	expires    time.Duration  // of the grant, since the server started; 0: never

	// Of the goroutine that reads.
	in         input
	bytes      limits.Bucket
	now        int64  // Unix milliseconds of the last read
	lastName   string // of the last message, as it was sent
	lastTopic  string // of it, without ?_rid=…
	lastParsed topic.Uplink
	aliases    []string // of topics (5.0), by number - 1

	out output
}

func (s *Server) newConn(remote netip.AddrPort) *conn {
	return &conn{srv: s, transport: "tcp", remote: remote, done: make(chan struct{})}
}

// on puts the connection on its socket.
func (c *conn) on(k *sock) {
	c.sock, c.stream = k, k
	k.idle, k.failed = c.drained, c.stuck
}

// A connContext is the context of what is done for a connection: it ends with it, and costs nothing while it lives.
type connContext struct{ c *conn }

func (x connContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (x connContext) Done() <-chan struct{}       { return x.c.done }
func (x connContext) Value(any) any               { return nil }
func (x connContext) Err() error {
	select {
	case <-x.c.done:
		return context.Canceled
	default:
		return nil
	}
}

// serve reads packets until the connection ends. It runs on a goroutine of its own, which has carried neither the handshake nor
// anything else deep: while it waits for the device its stack is 2 KB.
func (c *conn) serve() {
	defer c.finish()
	for {
		first, body, err := c.next()
		if err == nil {
			err = c.handle(first, body)
		}
		if err != nil {
			c.ended(err)
			return
		}
	}
}

// ended says why reading stopped.
func (c *conn) ended(err error) {
	if c.srv.stopping.Load() {
		c.settle()
		c.End(refusal.Shutdown, "")
		return
	}
	if cause := refusal.CauseOf(err); cause != "" {
		detail := ""
		if e, ok := err.(*refusal.Error); ok {
			detail = e.Detail
		}
		c.End(cause, detail)
		return
	}
	c.End(refusal.ConnectionClosed, readError(err))
}

// settle waits a moment for the answers to what was taken.
func (c *conn) settle() {
	timer := time.NewTimer(c.srv.opts.SettleTimeout)
	defer timer.Stop()
	for range cap(c.slots) {
		select {
		case c.slots <- struct{}{}:
		case <-timer.C:
			return
		}
	}
}

// finish cleans up after serve, even after a panic: it closes this connection and no other.
func (c *conn) finish() {
	if p := recover(); p != nil {
		c.srv.panicked(c, p, debug.Stack())
		c.End(refusal.InternalError, "")
	}
	s := c.srv
	s.registry.Remove(c.sess)
	s.forget(c)
	cause, detail := c.cause()
	if c.will != nil && cause != refusal.Disconnected {
		c.publishWill()
	}
	c.in.release()
	c.unfinished()
	if c.subs != nil {
		c.subs.Close(s.presence, cause)
	}
	s.presence.Offline(c.sess, cause)
	s.journal.Record(session.Event{
		Device: c.sess.Ref, IotID: c.sess.Grant.IotID, Operation: session.OpOffline, Code: endCode(cause), Reason: cause, Detail: detail, RemoteAddr: c.remote.String(),
	})
	s.meter.Ended(cause)
}

// check is called every second: silence, expiry of the grant, unanswered messages. now is the time since the server started, so
// that a clock that jumps ends no connection.
func (c *conn) check(now time.Duration) {
	switch {
	case now-time.Duration(c.lastSeen.Load()) > c.keepAlive*3/2: // [MQTT-3.1.2-24]
		c.End(refusal.KeepAliveExpired, "")
	case c.expires > 0 && now >= c.expires:
		c.End(refusal.GrantExpired, "")
	default:
		c.resend(now)
		if c.subs != nil {
			c.subs.Check(now)
		}
	}
}

func (s *Server) panicked(c *conn, p any, stack []byte) {
	attrs := []slog.Attr{slog.Any(logs.FieldError, p), slog.String(logs.FieldRemote, c.remote.String()), slog.String("stack", string(stack))}
	if c.grant != nil {
		attrs = append(attrs, logs.Device(c.grant.Ref()))
	}
	s.log.LogAttrs(context.Background(), slog.LevelError, "connection failed and was closed", attrs...)
	s.meter.Panicked()
}

var smallBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}
