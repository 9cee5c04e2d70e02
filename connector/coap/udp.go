package coap

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"

	"relink/shared/iot"
	"relink/shared/logs"
)

const (
	readBuffer  = 9 << 10 // a datagram that is larger is cut, and refused like one that is larger than maxDatagram
	kernelQueue = 4 << 20 // what may wait in the kernel while the reader works; the kernel may grant less
)

// A socket is a UDP port: one Transport with many addresses.
type socket struct {
	srv  *Server
	conn *net.UDPConn
}

// Listen opens a UDP socket.
func Listen(address string) (*net.UDPConn, error) {
	pc, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp", address)
	if err != nil {
		return nil, err
	}
	conn := pc.(*net.UDPConn)
	_ = conn.SetReadBuffer(kernelQueue) // less only means that more are lost in a burst
	_ = conn.SetWriteBuffer(kernelQueue)
	return conn, nil
}

// ServeUDP answers the datagrams of a socket until Shutdown, which closes it.
func (s *Server) ServeUDP(conn *net.UDPConn) {
	c := &socket{srv: s, conn: conn}
	s.mu.Lock()
	closing := s.closing
	if !closing {
		s.sockets = append(s.sockets, c)
		s.tasks.Go(c.read)
	}
	s.mu.Unlock()
	if closing {
		_ = conn.Close() // nothing was said yet
	}
}

func (c *socket) read() {
	buffer := make([]byte, readBuffer)
	for {
		n, from, err := c.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // an ICMP error of an earlier response
		}
		c.receive(buffer[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
	}
}

// receive shields the reader from a failure on one datagram.
func (c *socket) receive(datagram []byte, from netip.AddrPort) {
	defer func() {
		if p := recover(); p != nil {
			c.srv.opts.Meter.Panicked()
			c.srv.log.LogAttrs(context.Background(), slog.LevelError, "panic on a datagram", slog.Any(logs.FieldError, p), slog.String("stack", string(debug.Stack())))
		}
	}()
	c.srv.Receive(Peer{Transport: c, Addr: from}, datagram)
}

// Send writes one datagram. That the kernel has no room is as if it were lost on its way.
func (c *socket) Send(to netip.AddrPort, datagram []byte) {
	_, _ = c.conn.WriteToUDPAddrPort(datagram, to)
}

func (c *socket) Protocol() string      { return ProtocolCoAP }
func (c *socket) Device() iot.DeviceRef { return iot.DeviceRef{} }
func (c *socket) Verified() bool        { return false }
