package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

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
	dev, userErr := sign.ParseUsername(string(pk.Connect.Username)) // first: whoever looks for the device in the log shall find it
	id, err := sign.ParseClientID(pk.Connect.ClientIdentifier)
	if err == nil {
		err = userErr
	}
	if err != nil {
		if e, ok := errors.AsType[*refusal.Error](err); ok && userErr == nil {
			return &loginRefused{why: e, device: dev}
		}
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
	case !s.opts.Connects.Take(dev):
		return refuse(refusal.RateLimitedDevice, "")
	}
	granted := false
	defer func() {
		if !granted {
			s.opts.Connects.GiveBack(dev)
		}
	}()
	c.will = willOf(pk)
	c.clean, c.expiry = pk.Connect.Clean, 0
	if c.version == 5 && pk.Properties.SessionExpiryIntervalFlag {
		c.expiry = pk.Properties.SessionExpiryInterval
	}
	c.maxPacket = int(pk.Properties.MaximumPacketSize)
	c.window = noWindow
	if n := int(pk.Properties.ReceiveMaximum); c.version == 5 && n > 0 {
		c.window = n
	}
	started := s.now()
	c.began = started
	login := device.Login{
		Protocol: "mqtt", Version: c.version, Transport: c.transport, RemoteAddr: c.remote.String(),
		ClientID: pk.Connect.ClientIdentifier, Username: string(pk.Connect.Username), Password: string(pk.Connect.Password),
		KeepAlive: pk.Connect.Keepalive, CleanStart: pk.Connect.Clean, Expiry: c.expiry, Node: s.opts.Node, At: started.UnixMilli(),
	}
	result, err := s.ask(dev, &login)
	if err != nil && s.stopping.Load() {
		return refuse(refusal.NodeStopping, "")
	}
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
	s.journal.Record(session.Event{
		Device: dev, IotID: grant.IotID, Operation: session.OpAuth, Code: 200, RemoteAddr: login.RemoteAddr,
		LatencyMS: s.now().Sub(started).Milliseconds(), RequestID: result.RequestID,
	})
	granted = true
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
	ctx, cancel := context.WithTimeout(s.accepting, s.opts.LoginTimeout)
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
