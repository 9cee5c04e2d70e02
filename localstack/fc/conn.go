package fc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The client of custom runtimes: HTTP/1.1 over kept-alive loopback connections, one request at a time on each,
// whole bodies. net/http's client costs two more goroutines and several copies per invocation.

const (
	maxResponseHead = 8 << 10  // Function Compute, "Limits of usage"
	maxResponseBody = 32 << 20 // by symmetry with the request; unconfirmed
	staleAfter      = time.Second
)

var (
	errHead      = errors.New("malformed response head")
	errHeadSize  = errors.New("response headers exceed 8 KB")
	errBodySize  = fmt.Errorf("response body exceeds %d bytes", maxResponseBody)
	errNoAnswer  = errors.New("the connection was closed without an answer")
	aLongTimeAgo = time.Unix(1, 0)
)

// httpConns are the connections to one instance.
type httpConns struct {
	addr string
	mu   sync.Mutex
	idle []*httpConn // the last one was used last
	shut bool
}

type httpConn struct {
	c    net.Conn
	r    *bufio.Reader
	used time.Time
}

// httpAnswer is a response. body comes from the buffer pool; whoever takes it over returns it.
type httpAnswer struct {
	status    int
	fcStatus  string // x-fc-status
	body      *[]byte
	keepAlive bool
}

// get takes an idle connection or dials one.
func (p *httpConns) get(ctx context.Context) (*httpConn, error) {
	for {
		p.mu.Lock()
		if p.shut {
			p.mu.Unlock()
			return nil, net.ErrClosed
		}
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			break
		}
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if time.Since(c.used) < staleAfter || alive(c.c) {
			return c, nil
		}
		c.c.Close()
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return nil, err
	}
	return &httpConn{c: c, r: bufio.NewReaderSize(c, 4<<10)}, nil
}

func (p *httpConns) put(c *httpConn) {
	c.used = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		c.c.Close()
		return
	}
	p.idle = append(p.idle, c)
}

func (p *httpConns) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	for _, c := range p.idle {
		c.c.Close()
	}
	p.idle = nil
}

// do sends one request (head ends with the blank line) and reads its answer. When ctx ends or the deadline
// passes the connection is closed, which the function sees as the end of its request's context.
func (p *httpConns) do(ctx context.Context, deadline time.Time, head, body []byte) (httpAnswer, error) {
	c, err := p.get(ctx)
	if err != nil {
		return httpAnswer{}, err
	}
	if err := c.c.SetDeadline(deadline); err != nil {
		c.c.Close()
		return httpAnswer{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.c.SetDeadline(aLongTimeAgo) }) // fails only on a closed connection
	a, err := c.exchange(head, body)
	if !stop() && err == nil {
		a.keepAlive = false // the deadline may still be about to change
	}
	if err != nil {
		c.c.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return a, err
	}
	if a.keepAlive && c.r.Buffered() == 0 {
		p.put(c)
	} else {
		c.c.Close()
	}
	return a, nil
}

func (c *httpConn) exchange(head, body []byte) (httpAnswer, error) {
	vec := net.Buffers{head, body}
	_, writeErr := vec.WriteTo(c.c)
	a, err := c.read() // a server may answer and close before it has read the body
	if err != nil && writeErr != nil {
		err = writeErr
	}
	if writeErr != nil {
		a.keepAlive = false
	}
	return a, err
}

func (c *httpConn) read() (httpAnswer, error) {
	for {
		a, length, chunked, err := c.readHead()
		if err != nil {
			return a, err
		}
		if a.status >= 200 {
			a.body, err = c.readBody(&a, length, chunked)
			return a, err
		}
	}
}

// readHead reads status line and headers; length is -1 when the head does not say it.
func (c *httpConn) readHead() (a httpAnswer, length int, chunked bool, err error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		if len(line) == 0 && errors.Is(err, io.EOF) {
			err = errNoAnswer
		}
		return a, 0, false, err
	}
	size := len(line)
	// HTTP/1.1 200 OK
	if len(line) < 13 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return a, 0, false, errHead
	}
	a.keepAlive = line[7] == '1'
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, 0, false, errHead
	}
	length = -1
	for {
		line, err = c.r.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, bufio.ErrBufferFull) {
				err = errHeadSize
			}
			return a, 0, false, err
		}
		if size += len(line); size > maxResponseHead {
			return a, 0, false, errHeadSize
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return a, 0, false, errHead
		}
		value = bytes.TrimSpace(value)
		switch {
		case fold(name, "content-length"):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return a, 0, false, errHead
			}
		case fold(name, "transfer-encoding"):
			if chunked = fold(value, "chunked"); !chunked {
				return a, 0, false, errHead
			}
		case fold(name, "connection"):
			if strings.Contains(strings.ToLower(string(value)), "close") {
				a.keepAlive = false
			}
		case fold(name, "x-fc-status"):
			a.fcStatus = string(value)
		}
	}
	if a.status == 204 || a.status == 304 || a.status < 200 {
		length, chunked = 0, false
	}
	return a, length, chunked, nil
}

func fold(b []byte, s string) bool { return len(b) == len(s) && strings.EqualFold(string(b), s) }

func (c *httpConn) readBody(a *httpAnswer, length int, chunked bool) (*[]byte, error) {
	switch {
	case chunked:
		body, err := readAll(httputil.NewChunkedReader(c.r), maxResponseBody)
		if err == nil {
			err = c.skipTrailer()
		}
		return body, err
	case length < 0:
		a.keepAlive = false
		return readAll(c.r, maxResponseBody)
	case length > maxResponseBody:
		return nil, errBodySize
	}
	body := getBuffer(length)
	*body = (*body)[:length]
	if _, err := io.ReadFull(c.r, *body); err != nil {
		putBuffer(body)
		return nil, err
	}
	return body, nil
}

// skipTrailer reads to the blank line after the last chunk.
func (c *httpConn) skipTrailer() error {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return nil
		}
	}
}

// readAll reads to the end, at most limit bytes.
func readAll(r io.Reader, limit int) (*[]byte, error) {
	body := getBuffer(8 << 10)
	b := (*body)[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		*body = b
		switch {
		case len(b) > limit:
			putBuffer(body)
			return nil, errBodySize
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			putBuffer(body)
			return nil, err
		}
	}
}
