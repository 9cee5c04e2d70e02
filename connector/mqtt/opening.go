package mqtt

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"relink/shared/refusal"
)

// errHandedOver ends the broker's reading when CONNACK is sent: from there the connection is ours.
var errHandedOver = errors.New("connection is handed over")

// newBroker makes the broker that opens connections. It gets no listeners and no event loop, and forgets each connection when it
// is handed over. Qualities of service, wills and retained messages are let pass here and dealt with by gate.
func newBroker(s *Server) *broker.Server {
	b := broker.New(&broker.Options{
		ClientNetReadBufferSize:  16,
		ClientNetWriteBufferSize: 16,
		Logger:                   slog.New(slog.DiscardHandler), // it would log whole packets, passwords included
	})
	b.Options.Capabilities.MaximumClientWritesPending = 1
	b.Options.Capabilities.ReceiveMaximum = maxInFlight
	if err := b.AddHook(&gate{srv: s}, nil); err != nil {
		panic(err) // Init of gate cannot fail
	}
	return b
}

// A gate is how the broker asks who may connect.
type gate struct {
	broker.HookBase
	srv    *Server
	serial atomic.Uint64
}

// ID names the hook.
func (g *gate) ID() string { return "relink" }

// Provides says which questions are answered.
func (g *gate) Provides(b byte) bool {
	switch b {
	case broker.OnConnectAuthenticate, broker.OnPacketEncode, broker.OnSessionEstablish, broker.OnSessionEstablished,
		broker.OnACLCheck, broker.OnPublish:
		return true
	}
	return false
}

// OnACLCheck refuses: no device reaches the broker's topics.
func (g *gate) OnACLCheck(*broker.Client, string, bool) bool { return false }

// OnPublish refuses: nothing is ever published through the broker.
func (g *gate) OnPublish(_ *broker.Client, pk packets.Packet) (packets.Packet, error) {
	return pk, packets.ErrRejectPacket
}

// OnConnectAuthenticate decides a login.
func (g *gate) OnConnectAuthenticate(cl *broker.Client, pk packets.Packet) bool {
	o := cl.Net.Conn.(*opening)
	o.version = pk.ProtocolVersion
	if o.err = g.srv.login(o, pk); o.err != nil {
		return false
	}
	// The broker keys its clients by id and lets them inherit from each other. Sessions are the registry's: here each is alone.
	cl.ID = strconv.FormatUint(g.serial.Add(1), 36)
	cl.Properties.Clean = true
	cl.Properties.Props.SessionExpiryInterval = 0
	return true
}

// OnSessionEstablish takes the will away: the broker would publish it without asking for permission.
func (g *gate) OnSessionEstablish(cl *broker.Client, pk packets.Packet) {
	cl.Properties.Will = broker.Will{}
}

// OnSessionEstablished is called when CONNACK is sent.
func (g *gate) OnSessionEstablished(cl *broker.Client, _ packets.Packet) {
	cl.Net.Conn.(*opening).established = true
}

// OnPacketEncode makes the CONNACK that this platform sends.
func (g *gate) OnPacketEncode(cl *broker.Client, pk packets.Packet) packets.Packet {
	if pk.FixedHeader.Type != packets.Connack {
		return pk
	}
	o := cl.Net.Conn.(*opening)
	version := cl.Properties.ProtocolVersion
	pk.SessionPresent = o.sessionPresent(version)
	if pk.ReasonCode != 0 {
		if o.err == nil { // the broker's own verdict
			cause := refusal.ConnectMalformed
			switch pk.Properties.ReasonString {
			case packets.ErrProtocolViolationProtocolVersion.Reason, packets.ErrProtocolViolationProtocolName.Reason,
				packets.ErrUnsupportedProtocolVersion.Reason:
				cause = refusal.ProtocolVersion
			}
			o.err = refusal.New(cause, pk.Properties.ReasonString)
		}
		if version != 3 && version != 5 {
			version = 4
		}
		pk.ReasonCode = connackOf(refusal.CauseOf(o.err), version)
		pk.Properties = packets.Properties{}
		return pk
	}
	p := &pk.Properties // 5.0 only ("MQTT 5.0"): what is not offered is announced, because its absence would mean that it is
	p.MaximumQos, p.MaximumQosFlag = 1, true
	p.RetainAvailable, p.RetainAvailableFlag = 0, true
	p.SharedSubAvailable, p.SharedSubAvailableFlag = 0, true
	p.SubIDAvailable, p.SubIDAvailableFlag = 0, true
	p.WildcardSubAvailable, p.WildcardSubAvailableFlag = 1, true
	p.TopicAliasMaximum = maxAlias
	p.MaximumPacketSize = MaxPayload
	p.ReceiveMaximum = uint16(inFlight(o.grant))
	p.ServerKeepAlive, p.ServerKeepAliveFlag = uint16(o.keepAlive/time.Second), true
	p.SessionExpiryInterval, p.SessionExpiryIntervalFlag = o.expiry, true
	return pk
}

// sessionPresent is what CONNACK says of an earlier session. MQTT 3.1 has no such bit. In 5.0 a device hears of it only if it has asked
// for a session that is kept: C4, which never does, takes any bit there for a broken packet.
func (o *opening) sessionPresent(version byte) bool {
	if o.grant == nil || o.clean || !o.grant.Present {
		return false
	}
	return version == 4 || version == 5 && o.expiry > 0
}

// An opening is a connection as the broker sees it: it has one packet to read, the CONNECT, and then ends.
type opening struct {
	*conn
	frame       []byte // what is left of CONNECT
	read        bool
	established bool
	err         error // why the login was refused
}

// Read gives the CONNECT, and nothing of what follows it.
func (o *opening) Read(p []byte) (int, error) {
	if !o.read {
		o.read = true
		if err := o.connectPacket(); err != nil {
			o.err = err
			return 0, err
		}
	}
	if len(o.frame) == 0 {
		if o.established {
			return 0, errHandedOver
		}
		return 0, io.EOF
	}
	n := copy(p, o.frame)
	o.frame = o.frame[n:]
	return n, nil
}

// connectPacket reads the first packet, which must be a CONNECT of a size that a CONNECT can have.
func (o *opening) connectPacket() error {
	o.in.limit = maxLogin
	first, body, err := o.next()
	switch {
	case refusal.CauseOf(err) == refusal.PayloadTooLarge:
		return refusal.New(refusal.PacketTooLargeLogin, err.(*refusal.Error).Detail)
	case refusal.CauseOf(err) != "":
		return refusal.New(refusal.ConnectMalformed, err.(*refusal.Error).Detail)
	case err != nil:
		return openError(err, refusal.HandshakeTimeout)
	case first != typeConnect<<4:
		return refusal.New(refusal.ConnectExpected, "")
	}
	body = withoutEmptyPassword(withoutWill(body))
	o.frame = append(appendHeader(nil, first, len(body)), body...)
	return nil
}

// withoutWill takes the will out of a CONNECT of 3.x, where it is to be ignored whatever it is ("MQTT behaviour after CONNECT"): the
// broker would refuse one with an empty payload. What is not read to its end is left for the broker to judge.
func withoutWill(body []byte) []byte {
	const (
		willFlag  = 0x04
		willFlags = 0x3c // flag, QoS, retain [MQTT-3.1.2]
	)
	_, at, err := fieldAt(body, 0) // protocol name
	if err != nil || len(body) < at+4 || body[at] == 5 || body[at+1]&willFlag == 0 {
		return body
	}
	flags := at + 1
	_, will, err := fieldAt(body, at+4) // client id
	if err != nil {
		return body
	}
	_, end, err := fieldAt(body, will) // topic
	if err == nil {
		_, end, err = fieldAt(body, end) // payload
	}
	if err != nil {
		return body
	}
	out := append(append(make([]byte, 0, len(body)), body[:will]...), body[end:]...)
	out[flags] &^= willFlags
	return out
}

// withoutEmptyPassword takes a password of no bytes out of a CONNECT of 3.x that has no will: devices with a client certificate send one
// ("X.509"), MQTT allows it, and the broker would refuse it.
func withoutEmptyPassword(body []byte) []byte {
	const willFlag, passwordFlag = 0x04, 0x40
	_, at, err := fieldAt(body, 0) // protocol name
	if err != nil || len(body) < at+4 || body[at] == 5 || body[at+1]&willFlag != 0 || body[at+1]&passwordFlag == 0 {
		return body
	}
	flags := at + 1
	_, user, err := fieldAt(body, at+4) // client id
	if err != nil {
		return body
	}
	_, end, err := fieldAt(body, user) // user name
	if err != nil || end+2 != len(body) || body[end] != 0 || body[end+1] != 0 {
		return body
	}
	out := append(make([]byte, 0, end), body[:end]...)
	out[flags] &^= passwordFlag
	return out
}

// Write sends CONNACK at once: nobody else writes yet.
func (o *opening) Write(p []byte) (int, error) {
	return o.stream.Write(p)
}

// Close does nothing: whoever opened the connection closes it, or keeps it.
func (o *opening) Close() error                     { return nil }
func (o *opening) LocalAddr() net.Addr              { return o.sock.LocalAddr() }
func (o *opening) RemoteAddr() net.Addr             { return o.sock.RemoteAddr() }
func (o *opening) SetDeadline(time.Time) error      { return nil } // the whole opening has one
func (o *opening) SetReadDeadline(time.Time) error  { return nil }
func (o *opening) SetWriteDeadline(time.Time) error { return nil }

// handshake lets the broker read and answer CONNECT.
func (s *Server) handshake(c *conn) error {
	o := &opening{conn: c}
	err := s.broker.EstablishConnection("relink", o)
	switch {
	case o.err != nil:
		return o.err
	case o.established:
		return nil
	case err == nil:
		return refusal.New(refusal.ConnectMalformed, "")
	}
	return refusal.New(refusal.ConnectMalformed, err.Error())
}
