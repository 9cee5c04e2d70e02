package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/sign"
)

// functionAuth is the function that decides logins.
const functionAuth = "auth"

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
	pk.SessionPresent = false // C4 takes a 1 for a broken packet in 5.0, and nothing is kept for 3.x
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
	p.ServerKeepAlive, p.ServerKeepAliveFlag = uint16(o.keepAlive/time.Second), true
	p.SessionExpiryInterval, p.SessionExpiryIntervalFlag = 0, true
	return pk
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
	o.frame = append(appendHeader(nil, first, len(body)), body...)
	return nil
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

// A loginRefused is a refusal with what is known of the login, for the log.
type loginRefused struct {
	why    *refusal.Error
	device iot.DeviceRef
	signed string
}

func (l *loginRefused) Error() string { return l.why.Error() }
func (l *loginRefused) Unwrap() error { return l.why }

// login decides a login that is a proper CONNECT: what is malformed is refused here, the rest is the function's ("Decision
// procedure and CONNACK").
func (s *Server) login(o *opening, pk packets.Packet) error {
	c := o.conn
	c.keepAlive = time.Duration(pk.Connect.Keepalive) * time.Second
	id, err := sign.ParseClientID(pk.Connect.ClientIdentifier)
	if err != nil {
		return err
	}
	dev, err := sign.ParseUsername(string(pk.Connect.Username))
	if err != nil {
		return err
	}
	refuse := func(cause refusal.Cause, detail string) error {
		return &loginRefused{why: refusal.New(cause, detail), device: dev}
	}
	registering := id.AuthType == "register" || id.AuthType == "regnwl"
	switch {
	case pk.Properties.AuthenticationMethod != "":
		return refuse(refusal.AuthTypeUnsupported, "enhanced authentication")
	case !registering && (c.keepAlive < s.opts.MinKeepAlive || c.keepAlive > s.opts.MaxKeepAlive):
		return refuse(refusal.KeepAliveOutOfRange, strconv.Itoa(int(pk.Connect.Keepalive))+" s")
	case !s.opts.Budget.Allows(c.remote.Addr()):
		return refuse(refusal.RateLimitedSource, "")
	case s.stopping.Load():
		return refuse(refusal.NodeStopping, "")
	case s.Connections() >= s.opts.MaxConnections:
		return refuse(refusal.NodeFull, "")
	}
	c.will = willOf(pk)
	c.maxPacket = int(pk.Properties.MaximumPacketSize)
	c.window = maxUnacked
	if n := int(pk.Properties.ReceiveMaximum); n > 0 {
		c.window = min(n, maxUnacked)
	}
	started := s.now()
	login := device.Login{
		Protocol: "mqtt", Version: c.version, Transport: c.transport, RemoteAddr: c.remote.String(),
		ClientID: pk.Connect.ClientIdentifier, Username: string(pk.Connect.Username), Password: string(pk.Connect.Password),
		KeepAlive: pk.Connect.Keepalive, CleanStart: pk.Connect.Clean, Node: s.opts.Node, At: started.UnixMilli(),
	}
	result, err := s.ask(dev, &login)
	if err != nil {
		return refuse(refusal.BackendUnavailable, err.Error())
	}
	if result.Code != 200 {
		return declined(dev, &result)
	}
	var grant device.Grant
	if err := json.Unmarshal(result.Data, &grant); err != nil {
		return refuse(refusal.BackendUnavailable, "grant is not understood: "+err.Error())
	}
	if grant.Ref() != dev {
		return refuse(refusal.BackendUnavailable, "grant is for another device")
	}
	grant.Topics = s.classes.share(&grant)
	c.grant = &grant
	s.meter.Established(c.version, s.now().Sub(started))
	return nil
}

// declined reads the function's refusal.
func declined(dev iot.DeviceRef, result *record.Result) error {
	var r device.Refusal
	if err := json.Unmarshal(result.Data, &r); err != nil || r.Cause == "" {
		r = device.Refusal{Cause: result.Reason}
	}
	cause := refusal.Cause(r.Cause)
	if _, known := connackCodes[cause]; !known {
		return &loginRefused{why: refusal.New(refusal.BackendUnavailable, "refused for an unknown cause: "+r.Cause), device: dev}
	}
	return &loginRefused{why: refusal.New(cause, r.Detail), device: dev, signed: r.Signed}
}

// ask brings the login to the function and waits for its answer.
func (s *Server) ask(dev iot.DeviceRef, login *device.Login) (record.Result, error) {
	payload, err := json.Marshal(login)
	if err != nil {
		return record.Result{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.opts.LoginTimeout)
	defer cancel()
	type outcome struct {
		result record.Result
		err    error
	}
	answer := make(chan outcome, 1) // so that a late one finds room
	err = s.opts.Dispatcher.Submit(ctx, functionAuth, record.Record{
		MessageID: s.router.IDs.Next(login.At), Device: dev, Topic: device.TopicLogin, Payload: payload, ReceivedAt: login.At,
	}, func(r record.Result, err error) { answer <- outcome{r, err} })
	if err != nil {
		return record.Result{}, err
	}
	select {
	case o := <-answer:
		return o.result, o.err
	case <-ctx.Done():
		return record.Result{}, errors.New("function auth did not answer in time")
	}
}

func willOf(pk packets.Packet) *will {
	if !pk.Connect.WillFlag || pk.ProtocolVersion < 5 {
		return nil
	}
	return &will{topic: pk.Connect.WillTopic, payload: append([]byte(nil), pk.Connect.WillPayload...), qos: min(pk.Connect.WillQos, 1)}
}

// establish makes a session of a connection that is granted, and has it read by a goroutine of its own.
func (s *Server) establish(c *conn) {
	if err := c.sock.SetDeadline(time.Time{}); err != nil {
		s.refused(c, openError(err, refusal.HandshakeTimeout))
		c.close()
		return
	}
	now := s.now()
	c.in.limit = maxBody
	c.slots = make(chan struct{}, maxInFlight)
	c.lastSeen.Store(int64(s.uptime()))
	c.expires = s.expiry(c.grant.ExpiresAt, now)
	c.sess = session.New(c.grant, c, c.remote.String(), now)
	if !s.registry.Put(c.sess) {
		c.End(refusal.TakenOver, "a newer connection was faster")
	}
	s.remember(c)
	if s.stopping.Load() {
		c.End(refusal.Shutdown, "")
	}
	if c.grant.Previous != nil && s.opts.Superseded != nil {
		s.opts.Superseded(c.grant)
	}
	s.presence.Online(connContext{c}, c.sess)
	s.conns.Go(c.serve)
}

// expiry is when a grant ends, since the server started. One that is over as it comes is of a clock that differs from ours: it gets
// a minute.
func (s *Server) expiry(at int64, now time.Time) time.Duration {
	if at == 0 {
		return 0
	}
	left := time.Duration(at-now.UnixMilli()) * time.Millisecond
	if left <= 0 {
		left = time.Minute
	}
	return s.uptime() + left
}
