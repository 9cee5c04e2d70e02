package fc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// An httpTrigger is the URL of one function. Custom runtimes get the request itself; built-in ones get it as a JSON
// event. Source: Function Compute, "HTTP triggers".
type httpTrigger struct {
	s     *Server
	f     *function
	auth  string
	allow []string
	proxy *httputil.ReverseProxy
}

// HTTPTrigger returns the handler of a function's HTTP trigger, for a listener of its own. A function that has none
// answers 404 TriggerNotFound. Asynchronous HTTP invocations are not emulated.
func (s *Server) HTTPTrigger(functionName string) http.Handler {
	f := s.functions[functionName]
	if f != nil {
		for _, t := range f.Triggers {
			if t.HTTP != nil {
				h := &httpTrigger{s: s, f: f, auth: t.HTTP.AuthType, allow: t.HTTP.Methods}
				h.proxy = h.reverseProxy()
				return h
			}
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, newRequestID(s.opt.Clock.Now()), &apiError{http.StatusNotFound, "TriggerNotFound", "function '" + functionName + "' has no HTTP trigger"})
	})
}

func newProxyTransport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 90 * time.Second, DisableCompression: true}
}

type triggerCall struct {
	id   string
	inst *instance
	err  error
}

type triggerCallKey struct{}

func (h *httpTrigger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := newRequestID(h.s.opt.Clock.Now())
	if e := h.serve(w, r, id); e != nil {
		writeError(w, id, e)
	}
}

func (h *httpTrigger) serve(w http.ResponseWriter, r *http.Request, id string) *apiError {
	if e := checkHead(r); e != nil {
		return e
	}
	if !slices.Contains(h.allow, r.Method) {
		return &apiError{http.StatusMethodNotAllowed, "MethodNotAllowed", "the HTTP trigger does not take " + r.Method}
	}
	if isAsync(r.Header) {
		return errInvalidArgument("asynchronous invocation through an HTTP trigger is not supported")
	}
	limit := h.s.opt.Limits.SyncBody
	if r.ContentLength > int64(limit) {
		drain(r)
		return errTooLarge(limit)
	}
	if h.auth == "function" {
		auth, e := h.s.precheck(r)
		if e != nil {
			return e
		}
		body, e := readBody(r, limit)
		if e != nil {
			return e
		}
		defer putBuffer(body)
		if e := h.s.verify(r, auth, *body); e != nil {
			return e
		}
		r.Body = io.NopCloser(strings.NewReader(string(*body)))
	} else {
		r.Body = http.MaxBytesReader(w, r.Body, int64(limit))
	}
	if h.f.Custom() {
		return h.pass(w, r, id)
	}
	return h.convert(w, r, id)
}

// pass hands the request to a custom runtime and streams its response back.
func (h *httpTrigger) pass(w http.ResponseWriter, r *http.Request, id string) *apiError {
	f := h.f
	f.counters.invocations.Add(1)
	if e := h.s.inject(r.Context(), h.s.faultsFor(f.Name)); e != nil {
		f.counters.countError(e)
		return e
	}
	inst, e := f.acquire(r.Context())
	if e != nil {
		f.counters.countError(e)
		if e.Code == initializeError {
			return &apiError{http.StatusBadGateway, e.Code, e.Message}
		}
		return e
	}
	defer f.release(inst)
	if f.InstanceConcurrency == 1 {
		inst.out.begin(id)
	}
	tc := &triggerCall{id: id, inst: inst}
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), triggerCallKey{}, tc), f.Timeout)
	defer cancel()
	begin := time.Now()
	h.proxy.ServeHTTP(w, r.WithContext(ctx))
	out := outcome{inst: inst, duration: time.Since(begin), memoryMB: inst.peakMB()}
	if tc.err != nil {
		out.errorType = unhandledError
	}
	f.record(&invocation{requestID: id}, &out, nil)
	return nil
}

func (h *httpTrigger) reverseProxy() *httputil.ReverseProxy {
	common := h.f.commonHeaders()
	return &httputil.ReverseProxy{
		Transport:     h.s.proxy,
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(h.s.log.Handler(), slog.LevelDebug),
		Rewrite: func(p *httputil.ProxyRequest) {
			tc := p.In.Context().Value(triggerCallKey{}).(*triggerCall)
			p.Out.URL = &url.URL{Scheme: "http", Host: tc.inst.custom.conns.addr, Path: p.In.URL.Path, RawPath: p.In.URL.RawPath, RawQuery: p.In.URL.RawQuery}
			p.Out.Host = p.In.Host
			for name := range p.Out.Header {
				if strings.HasPrefix(name, "X-Fc-") {
					delete(p.Out.Header, name) // callers cannot speak for the service
				}
			}
			p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
			p.SetXForwarded()
			for _, c := range common {
				p.Out.Header.Set(c[0], c[1])
			}
			p.Out.Header.Set("X-Fc-Request-Id", tc.id)
			p.Out.Header.Set("X-Fc-Control-Path", "/http-invoke")
		},
		ModifyResponse: func(r *http.Response) error {
			tc := r.Request.Context().Value(triggerCallKey{}).(*triggerCall)
			for name := range r.Header {
				if strings.HasPrefix(name, "X-Fc-") {
					delete(r.Header, name)
				}
			}
			r.Header.Set("X-Fc-Request-Id", tc.id)
			return nil
		},
		ErrorHandler: h.failed,
	}
}

// failed answers when the function did not: 502 with the text that an API invocation would have as its body.
func (h *httpTrigger) failed(w http.ResponseWriter, r *http.Request, err error) {
	tc := r.Context().Value(triggerCallKey{}).(*triggerCall)
	tc.err = err
	var out outcome
	switch {
	case r.Context().Err() == context.DeadlineExceeded:
		out = tc.inst.timedOut(h.f.Timeout)
	case r.Context().Err() != nil:
		writeError(w, tc.id, errClientClosed)
		return
	case tc.inst.exitsSoon():
		out = tc.inst.exited(0)
	default:
		writeError(w, tc.id, errBadResponse(err))
		return
	}
	w.Header().Set("X-Fc-Error-Type", out.errorType)
	w.Header().Set("X-Fc-Request-Id", tc.id)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadGateway)
	w.Write(out.body) // an error means that the client has gone
}

// httpEvent is the event of an HTTP trigger for built-in runtimes.
type httpEvent struct {
	Version         string            `json:"version"`
	RawPath         string            `json:"rawPath"`
	Headers         map[string]string `json:"headers"`
	QueryParameters map[string]string `json:"queryParameters"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	RequestContext  httpEventContext  `json:"requestContext"`
}

type httpEventContext struct {
	AccountID    string `json:"accountId"`
	DomainName   string `json:"domainName"`
	DomainPrefix string `json:"domainPrefix"`
	RequestID    string `json:"requestId"`
	Time         string `json:"time"`
	TimeEpoch    string `json:"timeEpoch"`
	HTTP         struct {
		Method    string `json:"method"`
		Path      string `json:"path"`
		Protocol  string `json:"protocol"`
		SourceIP  string `json:"sourceIp"`
		UserAgent string `json:"userAgent"`
	} `json:"http"`
}

// httpReply is what a built-in function returns. Without a statusCode the whole result is the body.
type httpReply struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	Body            string            `json:"body"`
}

// convert invokes a built-in runtime with the request as an event.
func (h *httpTrigger) convert(w http.ResponseWriter, r *http.Request, id string) *apiError {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return errTooLarge(h.s.opt.Limits.SyncBody)
	}
	event, err := json.Marshal(h.event(r, id, body))
	if err != nil {
		return errInternal
	}
	var out outcome
	inv := &invocation{requestID: id, body: event}
	if e := h.s.run(func() (e *apiError) { out, e = h.f.invoke(r.Context(), inv); return e }); e != nil {
		return e
	}
	defer putBuffer(out.pooled)
	w.Header().Set("X-Fc-Request-Id", id)
	if out.errorType != "" {
		w.Header().Set("X-Fc-Error-Type", out.errorType)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadGateway)
		w.Write(out.body) // an error means that the client has gone
		return nil
	}
	reply := httpReply{}
	if json.Unmarshal(out.body, &reply) != nil || reply.StatusCode == 0 {
		reply = httpReply{StatusCode: http.StatusOK, Body: string(out.body), Headers: map[string]string{"Content-Type": "application/json"}}
	}
	if reply.StatusCode < 200 || reply.StatusCode > 999 {
		return errBadResponse(errHead)
	}
	content := []byte(reply.Body)
	if reply.IsBase64Encoded {
		if content, err = base64.StdEncoding.DecodeString(reply.Body); err != nil {
			return errBadResponse(err)
		}
	}
	for k, v := range reply.Headers {
		w.Header().Set(k, v)
	}
	w.WriteHeader(reply.StatusCode)
	w.Write(content) // an error means that the client has gone
	return nil
}

func (h *httpTrigger) event(r *http.Request, id string, body []byte) httpEvent {
	now := h.s.opt.Clock.Now().UTC()
	prefix, _, _ := strings.Cut(r.Host, ".")
	ev := httpEvent{Version: "v1", RawPath: r.URL.EscapedPath(), Headers: make(map[string]string), QueryParameters: make(map[string]string)}
	for k, v := range r.Header {
		if !strings.HasPrefix(k, "X-Fc-") {
			ev.Headers[k] = strings.Join(v, ",")
		}
	}
	for k, v := range r.URL.Query() {
		ev.QueryParameters[k] = v[0]
	}
	if ev.IsBase64Encoded = !utf8.Valid(body); ev.IsBase64Encoded {
		ev.Body = base64.StdEncoding.EncodeToString(body)
	} else {
		ev.Body = string(body)
	}
	ev.RequestContext = httpEventContext{AccountID: h.s.opt.AccountID, DomainName: r.Host, DomainPrefix: prefix, RequestID: id,
		Time: now.Format(timeLayout), TimeEpoch: strconv.FormatInt(now.UnixMilli(), 10)}
	hc := &ev.RequestContext.HTTP
	hc.Method, hc.Path, hc.Protocol, hc.UserAgent = r.Method, r.URL.Path, r.Proto, r.UserAgent()
	hc.SourceIP, _, _ = net.SplitHostPort(r.RemoteAddr)
	return ev
}
