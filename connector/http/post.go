package http

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	nethttp "net/http"
	"strconv"
	"strings"
	"time"

	"relink/connector/session"
	"relink/connector/uplink"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/topic"
)

// Bounds of a post ("HTTP(S) device access": 128 KB).
const (
	maxPost     = 128 << 10
	topicPrefix = "/topic/"
	pathAuth    = "/auth"
)

// login is POST /auth: a device gets a token.
func (s *Server) login(w nethttp.ResponseWriter, r *nethttp.Request) {
	o := originOf(r)
	if !s.opts.Budget.Allows(o.remote.Addr()) { // before anything is read
		s.refused(r, session.OpAuth, iot.DeviceRef{}, &device.Refusal{Cause: string(refusal.RateLimitedSource)}, codeThrottled.number)
		write(w, failure(codeThrottled, "", ""))
		return
	}
	params, err := readParams(w, r)
	if err != nil {
		s.refused(r, session.OpAuth, iot.DeviceRef{}, &device.Refusal{Cause: string(refusal.HTTPMalformed), Detail: err.Error()}, codeParam.number)
		write(w, failure(codeParam, err.Error(), ""))
		return
	}
	ticket, err := s.opts.Tokens.Login(r.Context(), &device.TokenLogin{Protocol: o.protocol(), Params: params, RemoteAddr: o.remote.String()})
	if err != nil {
		write(w, failure(loginCodes.of(err), "", ""))
		return
	}
	o.verified()
	write(w, []byte(`{"code":0,"message":"success","info":{"token":"`+ticket.Token+`"}}`)) // characters of base64url alone
}

// post is POST /topic/…: a device publishes. Nothing of the body is read before it is known whose it is, and where it may go.
func (s *Server) post(w nethttp.ResponseWriter, r *nethttp.Request) {
	o := originOf(r)
	sess, err := s.opts.Tokens.Session(r.Context(), r.Header.Get("Password"), o.protocol(), o.remote.String())
	if err != nil {
		write(w, failure(postCodes.of(err), "", ""))
		return
	}
	o.verified()
	name := "/" + strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, topicPrefix), "/")
	now := s.now().UnixMilli()
	turnAway := func(code code, err error) {
		s.opts.Router.Refused(sess.Ref, name, 1, err, now)
		detail := ""
		if why, ok := errors.AsType[*refusal.Error](err); ok && code == codeParam {
			detail = why.Detail // what is wrong with the body
		}
		write(w, failure(code, detail, ""))
	}
	parsed, err := topic.ParseUplink(name)
	if err == nil {
		if err = topic.MayPublish(sess.Grant, parsed); err == nil && uplink.NeedsConnection(parsed.Family) {
			err = refusal.New(refusal.TopicNotPermitted, "it is for devices that keep a connection")
		}
	}
	if err != nil {
		turnAway(codePublish, err)
		return
	}
	if err := s.opts.Tokens.Allow(sess, 1); err != nil {
		turnAway(codeThrottled, err)
		return
	}
	if r.ContentLength > maxPost {
		turnAway(codeParam, refusal.New(refusal.PayloadTooLarge, strconv.FormatInt(r.ContentLength, 10)+" bytes, of 131072 that HTTP takes"))
		return
	}
	select { // what waits here is not read from its socket
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-r.Context().Done():
		return
	}
	_ = nethttp.NewResponseController(w).SetReadDeadline(time.Now().Add(s.opts.BodyTimeout)) // it has proved who it is: it may be slow
	payload, err := io.ReadAll(nethttp.MaxBytesReader(w, r.Body, maxPost))
	if err != nil {
		why := refusal.New(refusal.HTTPMalformed, "the body did not arrive")
		if _, ok := errors.AsType[*nethttp.MaxBytesError](err); ok {
			why = refusal.New(refusal.PayloadTooLarge, "more than the 131072 bytes that HTTP takes")
		}
		turnAway(codeParam, why)
		return
	}
	a := &answer{done: make(chan struct{})}
	m := &uplink.Message{Session: sess, Topic: name, Parsed: parsed, Payload: payload, QoS: 1, ReceivedAt: s.now().UnixMilli(), To: a}
	wait, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), s.opts.AnswerTimeout) // it is taken, whether the device still listens or not
	defer cancel()
	if err := s.opts.Router.Take(wait, m); err != nil {
		turnAway(codePublish, refusal.New(refusal.DeadlineExceeded, "no room for it"))
		return
	}
	s.opts.Tokens.Heard(sess, o.protocol(), o.remote)
	select {
	case <-a.done:
		write(w, outcome(m, &a.result, a.err))
	case <-wait.Done(): // what becomes of it is logged when it is known
		write(w, failure(codePublish, "not decided in time", ""))
	}
}

// An answer waits for what became of a message.
type answer struct {
	done   chan struct{} // closed by Answer
	result record.Result
	err    error
}

// Answer takes the result. It is called once.
func (a *answer) Answer(_ *uplink.Message, r record.Result, err error) {
	a.result, a.err = r, err
	close(a.done)
}

// outcome says what became of a message: code 0 only if the function said that it is stored, or done.
func outcome(m *uplink.Message, r *record.Result, err error) []byte {
	cause := refusal.Cause(r.Reason)
	if err != nil {
		cause = uplink.CauseOf(err)
	}
	switch {
	case cause == refusal.StoreThrottled || cause == refusal.RateLimitedMessages || cause == refusal.RateLimitedShadow || r.Code == 429:
		return failure(codeThrottled, "", m.ID)
	case err != nil || cause == refusal.DeadLetter:
		return failure(codePublish, "", m.ID)
	case r.Code != 200:
		return failure(codeParam, explained(r), m.ID)
	}
	body := append(make([]byte, 0, 128), `{"code":0,"message":"success","info":{"messageId":`...)
	body = append(body, m.ID...)
	if data := replied(m, r); data != nil {
		body = append(append(body, `,"data":`...), data...)
	}
	return append(body, "}}"...)
}

// replied is the Alink reply to a request whose answer is what the device asks for; nil for a post, which has none over HTTP ("HTTP
// supports uplink only").
func replied(m *uplink.Message, r *record.Result) []byte {
	if len(r.Replies) == 0 || !uplink.Asks(m.Parsed.Family) || !json.Valid(r.Replies[0].Payload) {
		return nil
	}
	return r.Replies[0].Payload
}

// explained says why a message was refused, as its Alink reply does, unless that speaks of success and names the values that failed.
func explained(r *record.Result) string {
	text := strconv.Itoa(int(r.Code))
	var reply struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if len(r.Replies) > 0 && json.Unmarshal(r.Replies[0].Payload, &reply) == nil && reply.Message != "" && reply.Code != 200 {
		return text + " " + reply.Message
	}
	if r.Detail != "" {
		return text + " " + r.Reason + ": " + r.Detail
	}
	return text + " " + r.Reason
}

// maxExplained keeps an answer below the 256 bytes that C3 reads.
const maxExplained = 120

// failure is the answer to what was not done. detail may hold anything.
func failure(c code, detail, messageID string) []byte {
	message := c.message
	if detail != "" {
		message += ": " + detail
	}
	body := append(make([]byte, 0, 256), `{"code":`...)
	body = strconv.AppendInt(body, int64(c.number), 10)
	body = append(append(append(body, `,"message":"`...), harmless(message)...), '"')
	if messageID != "" {
		body = append(append(append(body, `,"info":{"messageId":`...), messageID...), '}')
	}
	return append(body, '}')
}

// harmless is the beginning of a text without what firmware that looks for quotes and brackets trips over.
func harmless(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\' || r == '{' || r == '}' || r == '[' || r == ']':
			return '\''
		case r < ' ' || r > '~':
			return '.'
		}
		return r
	}, text)
	return text[:min(len(text), maxExplained)]
}

// An entrance is how an error of package token is told.
type entrance struct {
	byCause codes
	other   code // causes that are not named
	unknown code // nothing was decided
}

func (e *entrance) of(err error) code {
	cause := refusal.CauseOf(err)
	if cause == "" {
		return e.unknown
	}
	if c, ok := e.byCause[cause]; ok {
		return c
	}
	return e.other
}

// The codes of "HTTP(S) device access".
var (
	codeCommon    = code{10000, "common error"}
	codeParam     = code{10001, "param error"}
	codeCheck     = code{20000, "auth check error"}
	codeExpired   = code{20001, "token is expired"}
	codeNull      = code{20002, "token is null"}
	codeToken     = code{20003, "check token error"}
	codePublish   = code{30001, "publish message error"}
	codeThrottled = code{40000, "request too many"}
)

// loginCodes do not reveal whether product, device or signature was wrong.
var loginCodes = &entrance{other: codeCheck, unknown: codeCommon, byCause: codes{
	refusal.TokenLoginMalformed: codeParam,
	refusal.SignMethodUnknown:   codeParam,
	refusal.RateLimitedSource:   codeThrottled,
	refusal.RateLimitedDevice:   codeThrottled,
}}

var postCodes = &entrance{other: codeToken, unknown: codePublish, byCause: codes{
	refusal.TokenMissing:      codeNull,
	refusal.TokenExpired:      codeExpired,
	refusal.TokenRevoked:      codeExpired, // C3 authenticates again at this code alone
	refusal.RateLimitedSource: codeThrottled,
}}
