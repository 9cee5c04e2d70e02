package mqtt

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
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

	operation string // session.OpAuth if empty
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
	certificate := c.certificate()
	unnamed := userErr != nil && nameless(&id, err, &pk, certificate)
	if userErr == nil && err != nil && bare(&pk, err) && certificate != nil && len(pk.Connect.Password) == 0 {
		err = nil // a certificate needs no parameters
	}
	if user := string(pk.Connect.Username); (user == "" || user == "&") && len(pk.Connect.Password) == 0 && certificate == nil && (err == nil || bare(&pk, err)) {
		return refusal.New(refusal.CertificateMissing, "")
	}
	if unnamed {
		err = nil
	} else if err == nil {
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
	registering := id.Registers()
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
	case registering:
		return s.register(o, pk, &id, dev)
	case !unnamed && !s.opts.Connects.Take(dev):
		return refuse(refusal.RateLimitedDevice, "")
	}
	granted := unnamed
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
		KeepAlive: pk.Connect.Keepalive, CleanStart: pk.Connect.Clean, Expiry: c.expiry, Certificate: certificate, Node: s.opts.Node,
		At: started.UnixMilli(),
	}
	result, err := s.ask(dev, device.TopicLogin, &login, login.At)
	if err != nil && s.stopping.Load() {
		return refuse(refusal.NodeStopping, "")
	}
	if err != nil {
		return refuse(refusal.BackendUnavailable, err.Error())
	}
	if result.Code != 200 {
		return declined(dev, &result, session.OpAuth)
	}
	var grant device.Grant
	if err := json.Unmarshal(result.Data, &grant); err != nil {
		return refuse(refusal.BackendUnavailable, "grant is not understood: "+err.Error())
	}
	if unnamed {
		dev = grant.Ref()
		granted = s.opts.Connects.Take(dev)
		if !granted {
			granted = true // nothing was taken, so nothing is given back
			return refuse(refusal.RateLimitedDevice, "")
		}
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
	if w := grant.Warning; w != nil {
		s.journal.Record(session.Event{
			Device: dev, IotID: grant.IotID, Operation: session.OpAuth, Code: codeWarning, Reason: refusal.Cause(w.Cause), Detail: w.Detail,
			RemoteAddr: login.RemoteAddr, RequestID: result.RequestID,
		})
	}
	c.greeting = result.Replies
	granted = true
	s.meter.Established(c.version, s.now().Sub(started))
	return nil
}

// declined reads the function's refusal.
func declined(dev iot.DeviceRef, result *record.Result, operation string) error {
	r := session.RefusalOf(result)
	cause := refusal.Cause(r.Cause)
	if _, known := connackCodes[cause]; !known {
		return &loginRefused{why: refusal.New(refusal.BackendUnavailable, "refused for an unknown cause: "+r.Cause), device: dev, operation: operation}
	}
	if dev.IsZero() { // who it is was found out by its certificate or its IotId
		dev = iot.DeviceRef{ProductKey: r.ProductKey, DeviceName: r.DeviceName}
	}
	return &loginRefused{why: refusal.New(cause, r.Detail), device: dev, signed: r.Signed, operation: operation}
}

// codeWarning is the code, in the log, of a login that was granted although something is wrong.
const codeWarning = 299

// bare reports whether a client id was refused only because it has no parameters.
func bare(pk *packets.Packet, err error) bool {
	return refusal.CauseOf(err) == refusal.ClientIDMalformed && !strings.Contains(pk.Connect.ClientIdentifier, "|")
}

// nameless reports whether a login need not name its device: one with a certificate ("X.509"), and one whose user name is an IotId
// ("Pre-authentication and bootstrap"). err is that of the client id.
func nameless(id *sign.ClientID, err error, pk *packets.Packet, certificate []byte) bool {
	if err != nil && !bare(pk, err) {
		return false
	}
	user, password := string(pk.Connect.Username), string(pk.Connect.Password)
	if user == "" || user == "&" {
		return certificate != nil && password == ""
	}
	return password != "" && !strings.Contains(user, "&") && (err != nil || id.PreAuthenticated())
}

// certificate is the client's certificate, if it showed one.
func (c *conn) certificate() []byte {
	if c.tls == nil {
		return nil
	}
	if certs := c.tls.ConnectionState().PeerCertificates; len(certs) > 0 {
		return certs[0].Raw
	}
	return nil
}

func willOf(pk packets.Packet) *will {
	if !pk.Connect.WillFlag || pk.ProtocolVersion < 5 {
		return nil
	}
	return &will{topic: pk.Connect.WillTopic, payload: append([]byte(nil), pk.Connect.WillPayload...), qos: min(pk.Connect.WillQos, 1)}
}
