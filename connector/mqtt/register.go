package mqtt

import (
	"encoding/json"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/sign"
)

// registrationStay is how long a connection that only registers may stay ("MQTT: result").
const registrationStay = 15 * time.Second

// register decides a dynamic registration. What the device gets stays with the connection until CONNACK is sent.
func (s *Server) register(o *opening, pk packets.Packet, id *sign.ClientID, dev iot.DeviceRef) error {
	c := o.conn
	refuse := func(cause refusal.Cause, detail string) error {
		return &loginRefused{why: refusal.New(cause, detail), device: dev, operation: session.OpRegister}
	}
	if s.opts.RegisterTLS && c.transport != "tls" && c.transport != "wss" {
		return refuse(refusal.TLSRequired, "authType="+id.AuthType)
	}
	if !s.opts.Connects.Take(dev) {
		return refuse(refusal.RateLimitedDevice, "")
	}
	done := false
	defer func() {
		if !done {
			s.opts.Connects.GiveBack(dev)
		}
	}()
	started := s.now()
	result, err := s.ask(dev, device.TopicRegister, &device.Registration{
		Protocol: "mqtt", Transport: c.transport, RemoteAddr: c.remote.String(), ProductKey: string(dev.ProductKey),
		DeviceName: string(dev.DeviceName), Random: id.Random, SignMethod: id.SignMethod.String(), Sign: string(pk.Connect.Password),
		New: id.AuthType == sign.AuthRegisterNew, At: started.UnixMilli(),
	}, started.UnixMilli())
	switch {
	case err != nil && s.stopping.Load():
		return refuse(refusal.NodeStopping, "")
	case err != nil:
		return refuse(refusal.BackendUnavailable, err.Error())
	case result.Code != 200:
		return declined(dev, &result, session.OpRegister)
	case len(result.Replies) == 0:
		return refuse(refusal.BackendUnavailable, "the registration has no result")
	}
	done = true
	c.registered = true
	c.greeting = result.Replies
	s.journal.Record(session.Event{
		Device: dev, Operation: session.OpRegister, Code: 200, RemoteAddr: c.remote.String(), LatencyMS: s.now().Sub(started).Milliseconds(),
		RequestID: result.RequestID,
	})
	return nil
}

// stay tells a registered device what it got and keeps the connection for a moment, so that the device is the one to leave. It never
// becomes a session: whatever is published or subscribed on it is read and ignored.
func (s *Server) stay(c *conn) {
	defer c.in.release()
	if c.sock.SetReadDeadline(time.Now().Add(s.opts.RegistrationStay)) != nil {
		return
	}
	if _, err := c.stream.Write(c.greet(nil)); err != nil {
		return
	}
	c.in.limit = maxLogin
	for {
		first, _, err := c.next()
		switch {
		case err != nil:
			return
		case first == typeDisconnect<<4:
			return
		case first == typePingreq<<4:
			if _, err := c.stream.Write([]byte{typePingresp << 4, 0}); err != nil {
				return
			}
		}
	}
}

// greet appends what is published to the device right after CONNACK, without a subscription.
func (c *conn) greet(dst []byte) []byte {
	for i := range c.greeting {
		dst = appendPublish(dst, c.version, c.greeting[i].Topic, c.greeting[i].Payload, 0, 0, false)
	}
	c.greeting = nil
	return dst
}

// ask brings a request for credentials to the function and waits for its answer.
func (s *Server) ask(dev iot.DeviceRef, topic string, request any, at int64) (record.Result, error) {
	payload, err := json.Marshal(request)
	if err != nil {
		return record.Result{}, err
	}
	return session.Ask(s.accepting, s.opts.Dispatcher, functionAuth, s.opts.LoginTimeout, record.Record{
		MessageID: s.router.IDs.Next(at), Device: dev, Topic: topic, Payload: payload, ReceivedAt: at,
	})
}
