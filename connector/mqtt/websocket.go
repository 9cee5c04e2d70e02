package mqtt

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"relink/shared/refusal"
)

// maxUpgrade bounds the HTTP request that becomes a WebSocket.
const maxUpgrade = 8 << 10

// upgrader takes browsers and mini-programs from any origin: a device has no cookies that another site could abuse.
var upgrader = websocket.Upgrader{
	ReadBufferSize:  1024,
	WriteBufferSize: 1024,
	WriteBufferPool: &sync.Pool{},
	Subprotocols:    []string{"mqtt", "mqttv3.1"},
	CheckOrigin:     func(*http.Request) bool { return true },
}

// upgrade turns an HTTP request into a stream of MQTT ("MQTT over WebSocket"; [MQTT-6.0.0]).
func (s *Server) upgrade(c *conn) error {
	var under net.Conn = &prefixed{Conn: c.sock, prefix: c.in.take()}
	if tc, ok := c.stream.(net.Conn); ok && c.transport == "tls" {
		under = &prefixed{Conn: tc, prefix: under.(*prefixed).prefix}
	}
	r := bufio.NewReaderSize(io.LimitReader(under, maxUpgrade), 1024)
	req, err := http.ReadRequest(r)
	if err != nil {
		return openError(err, refusal.WebSocketFailed)
	}
	w := &hijacked{conn: under, buf: bufio.NewReadWriter(r, bufio.NewWriterSize(under, 512))}
	if req.URL.Path != "/" && req.URL.Path != "/mqtt" {
		http.Error(w, "MQTT over WebSocket is at /mqtt; devices over HTTP send POST to /auth and /topic/", http.StatusNotFound)
		return s.notUpgraded(w, req, "no such path")
	}
	ws, err := upgrader.Upgrade(w, req, nil)
	if err != nil {
		return s.notUpgraded(w, req, err.Error())
	}
	ws.SetReadLimit(2 * maxBody)
	ws.SetPingHandler(c.ponger(ws))
	c.stream = &wsStream{ws: ws}
	if c.transport == "tls" {
		c.transport = "wss"
	} else {
		c.transport = "ws"
	}
	return nil
}

// ponger answers pings, unless the client does not read what it asks for.
func (c *conn) ponger(ws *websocket.Conn) func(string) error {
	return func(data string) error {
		if c.sock.busy() {
			return nil
		}
		err := ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(c.srv.opts.WriteTimeout))
		if errors.Is(err, websocket.ErrCloseSent) {
			return nil // it reads to the end
		}
		return err
	}
}

// notUpgraded sends what the client is to be told.
func (s *Server) notUpgraded(w *hijacked, req *http.Request, detail string) error {
	if err := w.answer(req); err != nil {
		detail += "; not told: " + err.Error()
	}
	return refusal.New(refusal.WebSocketFailed, detail)
}

// A wsStream is the bytes inside binary messages, however they are cut.
type wsStream struct {
	ws      *websocket.Conn
	message io.Reader
}

func (s *wsStream) Read(p []byte) (int, error) {
	for {
		if s.message == nil {
			kind, r, err := s.ws.NextReader()
			if err != nil {
				if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived) {
					return 0, io.EOF
				}
				return 0, err
			}
			if kind != websocket.BinaryMessage { // [MQTT-6.0.0-1]
				return 0, refusal.New(refusal.ProtocolError, "WebSocket message is not binary")
			}
			s.message = r
		}
		n, err := s.message.Read(p)
		if err == io.EOF {
			s.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (s *wsStream) Write(p []byte) (int, error) {
	if err := s.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// hijacked is the answer to an HTTP request on a connection that no HTTP server owns. It keeps what is to be said until answer,
// unless the connection becomes a WebSocket, which says it by itself.
type hijacked struct {
	conn   net.Conn
	buf    *bufio.ReadWriter
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *hijacked) Header() http.Header {
	if h.header == nil {
		h.header = make(http.Header)
	}
	return h.header
}

func (h *hijacked) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *hijacked) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(p)
}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, h.buf, nil }

// answer writes what was kept, if anything, before the connection is closed.
func (h *hijacked) answer(req *http.Request) error {
	if h.status == 0 {
		return nil
	}
	resp := http.Response{
		StatusCode: h.status, ProtoMajor: 1, ProtoMinor: 1, Request: req, Header: h.header, Close: true,
		ContentLength: int64(h.body.Len()), Body: io.NopCloser(&h.body),
	}
	return resp.Write(h.conn)
}
