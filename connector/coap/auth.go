package coap

import (
	"context"
	"encoding/json"
	"net/netip"
	"strconv"

	"relink/connector/limits"
	"relink/connector/session"
	"relink/connector/token"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/sign"
)

// functionAuth is the function that decides who gets credentials.
const functionAuth = "auth"

// login is POST /auth. It is never encrypted.
func (s *Server) login(x *Exchange, r *request) {
	params, familiar, ok := s.credentials(x, r)
	if !ok {
		return
	}
	claimed := device.Claimed(params)
	if proved := x.peer.Transport.Device(); !proved.IsZero() && proved != claimed {
		s.failed(x, session.OpAuth, claimed, &device.Refusal{Cause: string(refusal.PSKOtherDevice), Detail: "the connection is of " + proved.String()})
		return
	}
	protocol := x.peer.Transport.Protocol()
	if !s.apart(s.authing, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, s.opts.LoginTimeout)
		defer cancel()
		login := s.opts.Keeper.Login
		if familiar {
			login = s.opts.Keeper.LoginAgain
		}
		t, err := login(ctx, &device.TokenLogin{Protocol: protocol, Params: params, RemoteAddr: x.peer.Addr.String()})
		if err != nil {
			code, _ := codeFor(err) // the Keeper has noted it
			x.respondCode(code)
			return
		}
		s.granted(x, t)
	}) {
		x.drop(countBusy)
	}
}

// granted answers with a token. On 5682 it is known from now on, with its key; elsewhere the key would be of no use.
func (s *Server) granted(x *Exchange, t *token.Ticket) {
	e := &entry{token: t.Token, device: t.Session.Ref, expires: t.ExpiresAt.UnixMilli(), peer: x.peer}
	body := make([]byte, 0, 300)
	if x.peer.Transport.Protocol() == ProtocolCoAP {
		if len(t.Key) != sign.SessionKeySize {
			s.failed(x, session.OpAuth, e.device, &device.Refusal{Cause: string(refusal.FunctionFailed), Detail: "no session key"})
			return
		}
		e.cipher = sign.NewSessionCipher([sign.SessionKeySize]byte(t.Key))
		body = append(append(append(body, `{"random":"`...), t.Random...), `","seqOffset":`...)
		body = append(strconv.AppendInt(body, sequenceOffset, 10), ',')
	} else {
		body = append(body, '{')
	}
	body = append(append(append(body, `"token":"`...), t.Token...), `"}`...)
	s.enlist(e)
	x.proved()
	x.respond(body)
}

// register is POST /auth/register/device ("Dynamic registration", CoAP).
func (s *Server) register(x *Exchange, r *request) {
	params, _, ok := s.credentials(x, r)
	if !ok {
		return
	}
	claimed := device.Claimed(params)
	method := params["signmethod"]
	if method == "" {
		method = params["signMethod"]
	}
	// As over MQTT: a registration counts if it is granted, or strangers could lock a device out.
	limited := !claimed.IsZero()
	if limited && !s.opts.Connects.Take(claimed) {
		s.failed(x, session.OpRegister, claimed, &device.Refusal{Cause: string(refusal.RateLimitedDevice)})
		return
	}
	now := s.now().UnixMilli()
	payload, err := json.Marshal(&device.Registration{
		Protocol: "coap", Transport: x.peer.Transport.Protocol(), RemoteAddr: x.peer.Addr.String(), ProductKey: params["productKey"],
		DeviceName: params["deviceName"], Random: params["random"], SignMethod: method, Sign: params["sign"], At: now,
	})
	if err != nil || !s.apart(s.authing, func(ctx context.Context) {
		result, err := session.Ask(ctx, s.opts.Dispatcher, functionAuth, s.opts.LoginTimeout, record.Record{
			MessageID: s.opts.Router.IDs.Next(now), Device: claimed, Topic: device.TopicRegister, Payload: payload, ReceivedAt: now,
		})
		why := registrationRefusal(result, err)
		if why != nil {
			if limited {
				s.opts.Connects.GiveBack(claimed)
			}
			s.failed(x, session.OpRegister, claimed, why)
			return
		}
		s.opts.Journal.Record(session.Event{
			Device: claimed, Operation: session.OpRegister, Code: 200, RemoteAddr: x.peer.Addr.String(), LatencyMS: s.now().UnixMilli() - now,
		})
		x.respond([]byte(`{"code":200,"data":` + string(result.Data) + `,"message":"success"}`))
	}) {
		if limited {
			s.opts.Connects.GiveBack(claimed)
		}
		x.drop(countBusy)
	}
}

func registrationRefusal(result record.Result, err error) *device.Refusal {
	switch {
	case err != nil:
		return &device.Refusal{Cause: string(refusal.BackendUnavailable), Detail: err.Error()}
	case result.Code != 200:
		return session.RefusalOf(&result)
	}
	var got device.Registered
	if json.Unmarshal(result.Data, &got) != nil || got.DeviceSecret == "" {
		return &device.Refusal{Cause: string(refusal.FunctionFailed), Detail: "no secret in the answer"}
	}
	return nil
}

// credentials reads what is presented, and notes the request as under way: from now on it costs something, which is why the source must
// have failures left. An address is easily forged, so somebody else's failures do not stop a device that has authenticated from there.
func (s *Server) credentials(x *Exchange, r *request) (params map[string]string, familiar, ok bool) {
	if x.seen(s.logins, s.now().UnixMilli()) {
		return nil, false, false
	}
	params, ok = token.ParseParams(r.payload)
	source := x.peer.Addr.Addr()
	if !ok {
		s.budget(x.peer).Fail(source)
		detail := "the payload is no JSON object of strings and numbers"
		if x.block1.more || x.block1.num > 0 {
			detail = "it came in blocks, but has to fit one datagram" // nothing of strangers is put together
		}
		x.stranger(refusal.New(refusal.CoAPMalformed, detail))
		return nil, false, false
	}
	if !s.budget(x.peer).Allows(source) {
		if familiar = s.familiar(device.Claimed(params), source); !familiar {
			x.stranger(refusal.New(refusal.RateLimitedSource, ""))
			return nil, false, false
		}
	}
	return params, familiar, x.begin(s.logins)
}

// budget is what failures from the address of a peer count against.
func (s *Server) budget(p Peer) *limits.Budget {
	if p.Transport.Verified() {
		return s.opts.Budget
	}
	return s.opts.Forgeable
}

// familiar reports whether a token of the device was used, or given out, at this address.
func (s *Server) familiar(dev iot.DeviceRef, source netip.Addr) bool {
	if dev.IsZero() {
		return false
	}
	for _, e := range s.tokens.of(dev) {
		e.mu.Lock()
		same := e.peer.Addr.Addr() == source
		e.mu.Unlock()
		if same {
			return true
		}
	}
	return false
}

// failed answers an authentication that was refused, or not decided.
func (s *Server) failed(x *Exchange, operation string, claimed iot.DeviceRef, why *device.Refusal) {
	cause := refusal.Cause(why.Cause)
	if session.Blames(operation, cause) {
		s.budget(x.peer).Fail(x.peer.Addr.Addr())
	}
	s.opts.Meter.Refused(cause)
	code := codeOf(cause)
	s.opts.Journal.Record(session.Event{
		Device: claimed, Operation: operation, Code: number(code), Reason: cause, Detail: why.Detail, Signed: why.Signed, RemoteAddr: x.peer.Addr.String(),
	})
	x.respondCode(code)
}
