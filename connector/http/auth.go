package http

import (
	"encoding/json"
	"net"
	nethttp "net/http"
	"net/netip"
	"strconv"
	"strings"

	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
)

// functionAuth is the function that decides who gets credentials.
const functionAuth = "auth"

// handler serves all paths. Queries are ignored ("C4 sends /auth?_v=…"), and topics are taken as they are: a mux would clean and redirect them.
func (s *Server) handler() nethttp.Handler {
	mux := s.mux()
	if s.opts.Tokens == nil {
		return mux
	}
	return nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		switch {
		case r.Method == nethttp.MethodPost && r.URL.Path == pathAuth:
			s.login(w, r)
		case r.Method == nethttp.MethodPost && strings.HasPrefix(r.URL.Path, topicPrefix):
			s.post(w, r)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

func (s *Server) mux() *nethttp.ServeMux {
	mux := nethttp.NewServeMux()
	mux.HandleFunc("POST /auth/register/device", s.serve(session.OpRegister, registerCodes, s.register))
	mux.HandleFunc("POST /auth/devicename", s.serve(session.OpPreAuth, preAuthCodes, s.preAuth))
	mux.HandleFunc("POST /auth/bootstrap", s.serve(session.OpPreAuth, preAuthCodes, s.bootstrap))
	mux.HandleFunc("/", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		s.refused(r, session.OpAuth, iot.DeviceRef{}, &device.Refusal{Cause: string(refusal.HTTPPathUnknown), Detail: r.Method + " " + clipped(r.URL.Path)}, nethttp.StatusNotFound)
		w.Header().Set("Connection", "close")
		nethttp.Error(w, "not found", nethttp.StatusNotFound)
	})
	return mux
}

func clipped(s string) string { return s[:min(len(s), 64)] }

// A call is one request of a device.
type call struct {
	origin origin
	host   string            // that it was sent to
	params map[string]string // of the form or the JSON object
	device iot.DeviceRef     // as claimed
}

// serve makes a handler: it reads the parameters, has the request decided, and writes the envelope. do answers the data of a success,
// as JSON, or a refusal.
func (s *Server) serve(operation string, codes codes, do func(*nethttp.Request, *call) (json.RawMessage, *device.Refusal)) nethttp.HandlerFunc {
	return func(w nethttp.ResponseWriter, r *nethttp.Request) {
		started := s.now()
		c := &call{origin: originOf(r), host: r.Host}
		var data json.RawMessage
		var why *device.Refusal
		if !s.opts.Budget.Allows(c.origin.remote.Addr()) {
			why = &device.Refusal{Cause: string(refusal.RateLimitedSource)}
		} else if params, err := readParams(w, r); err != nil {
			why = &device.Refusal{Cause: string(refusal.HTTPMalformed), Detail: err.Error()}
		} else {
			c.params, c.device = params, device.Claimed(params)
			data, why = do(r, c)
		}
		if why != nil {
			code := codes.of(refusal.Cause(why.Cause))
			s.refused(r, operation, c.device, why, code.number)
			write(w, []byte(`{"code":`+strconv.Itoa(code.number)+`,"message":"`+code.message+`"}`))
			return
		}
		s.opts.Journal.Record(session.Event{
			Device: c.device, Operation: operation, Code: 200, RemoteAddr: c.origin.remote.String(), LatencyMS: s.now().Sub(started).Milliseconds(),
		})
		write(w, []byte(`{"code":200,"data":`+string(data)+`,"message":"success"}`))
	}
}

// write answers in the one form that C SDKs read: status 200, few headers, the length, no chunks ("HTTP (pre-registration only)").
func write(w nethttp.ResponseWriter, body []byte) {
	h := w.Header()
	h["Date"] = nil
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // if it fails the device asks again
}

// refused notes a request that was turned away.
func (s *Server) refused(r *nethttp.Request, operation string, dev iot.DeviceRef, why *device.Refusal, code int) {
	o, cause := originOf(r), refusal.Cause(why.Cause)
	if session.Blames(operation, cause) {
		s.opts.Budget.Fail(o.remote.Addr())
	}
	if s.opts.Refused != nil {
		s.opts.Refused(cause)
	}
	s.opts.Journal.Record(session.Event{
		Device: dev, Operation: operation, Code: code, Reason: cause, Detail: why.Detail, Signed: why.Signed, RemoteAddr: o.remote.String(),
	})
}

// ask has a request decided by function auth.
func (s *Server) ask(r *nethttp.Request, c *call, topic string, request any, answer any) *device.Refusal {
	payload, err := json.Marshal(request)
	if err != nil {
		return unavailable(err)
	}
	at := s.now().UnixMilli()
	result, err := session.Ask(r.Context(), s.opts.Dispatcher, functionAuth, s.opts.LoginTimeout, record.Record{
		MessageID: s.opts.NextID(at), Device: c.device, Topic: topic, Payload: payload, ReceivedAt: at,
	})
	if err != nil {
		return unavailable(err)
	}
	if result.Code != 200 {
		return session.RefusalOf(&result)
	}
	if err := json.Unmarshal(result.Data, answer); err != nil {
		return unavailable(err)
	}
	return nil
}

func unavailable(err error) *device.Refusal {
	return &device.Refusal{Cause: string(refusal.BackendUnavailable), Detail: err.Error()}
}

// register is POST /auth/register/device.
func (s *Server) register(r *nethttp.Request, c *call) (json.RawMessage, *device.Refusal) {
	method := c.params["signMethod"]
	if method == "" {
		method = c.params["signmethod"]
	}
	// As over MQTT: a registration counts if it is granted, or strangers could lock a device out.
	limited := s.opts.Connects != nil && !c.device.IsZero()
	if limited && !s.opts.Connects.Take(c.device) {
		return nil, &device.Refusal{Cause: string(refusal.RateLimitedDevice)}
	}
	var got device.Registered
	why := s.ask(r, c, device.TopicRegister, &device.Registration{
		Protocol: "http", Transport: c.origin.transport, RemoteAddr: c.origin.remote.String(), ProductKey: c.params["productKey"],
		DeviceName: c.params["deviceName"], Random: c.params["random"], SignMethod: method, Sign: c.params["sign"], At: s.now().UnixMilli(),
	}, &got)
	if limited && why != nil {
		s.opts.Connects.GiveBack(c.device)
	}
	return encoded(got, why)
}

// A resource is where to go on.
type resource struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

type resources struct {
	MQTT resource `json:"mqtt"`
}

// preAuth is POST /auth/devicename.
func (s *Server) preAuth(r *nethttp.Request, c *call) (json.RawMessage, *device.Refusal) {
	var got device.PreAuthenticated
	why := s.ask(r, c, device.TopicPreAuth, &device.PreAuth{
		Transport: c.origin.transport, RemoteAddr: c.origin.remote.String(), Params: c.params, At: s.now().UnixMilli(),
	}, &got)
	return encoded(struct {
		device.PreAuthenticated
		Resources resources `json:"resources"`
	}{got, resources{s.mqtt(c)}}, why)
}

// bootstrap is POST /auth/bootstrap: where the device connects. It is not signed, so nothing is looked up for it.
func (s *Server) bootstrap(_ *nethttp.Request, c *call) (json.RawMessage, *device.Refusal) {
	if c.device.IsZero() {
		return nil, &device.Refusal{Cause: string(refusal.RegistrationMalformed), Detail: "product key or device name"}
	}
	return encoded(struct {
		Resources resources `json:"resources"`
	}{resources{s.mqtt(c)}}, nil)
}

func encoded(v any, why *device.Refusal) (json.RawMessage, *device.Refusal) {
	if why != nil {
		return nil, why
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, unavailable(err)
	}
	return data, nil
}

// mqtt is the address that the device connects to. What it sent as its host comes back to it alone, if it can be a host at all.
func (s *Server) mqtt(c *call) resource {
	const maxHost = 63 // that SDKs can hold ("Pre-authentication and bootstrap")
	to := resource{Port: 1883}
	if c.origin.transport == "tls" {
		to.Port = 443
	}
	address := s.opts.Advertise
	if address == "" {
		address = c.host
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil && n > 0 {
		to.Port = int(n)
	}
	if _, err := netip.ParseAddr(host); err == nil || len(host) <= maxHost && host != "" && strings.Trim(host, hostCharacters) == "" {
		to.Host = host
	}
	return to
}

const hostCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"
