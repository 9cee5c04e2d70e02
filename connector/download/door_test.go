package download_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	door "relink/connector/download"
	"relink/shared/config"
	"relink/shared/download"
	"relink/shared/iot"
	"relink/shared/objects/memory"
)

// A fixture is a door on a real port.
type fixture struct {
	address string
	bucket  *memory.Bucket
	signer  *download.Signer
	ahead   atomic.Int64 // of the signer's clock, seconds
}

func open(t *testing.T, connections int, perSource ...int) *fixture {
	t.Helper()
	f := &fixture{bucket: new(memory.Bucket)}
	var err error
	f.signer, err = download.NewSigner("http://dl.example", config.Key{7}, func() time.Time { return time.Now().Add(time.Duration(f.ahead.Load()) * time.Second) })
	if err != nil {
		t.Fatal(err)
	}
	source := 0
	if len(perSource) > 0 {
		source = perSource[0]
	}
	d := door.New(door.Options{
		PerSource: source,
		Files:     f.bucket, URLs: f.signer, TLS: &tls.Config{Certificates: []tls.Certificate{certificate(t)}, NextProtos: []string{"h2", "http/1.1"}},
		Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := d.Server()
	ended := make(chan error)
	go func() { ended <- server.Serve(d.Listen(l, connections)) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	f.address = l.Addr().String()
	return f
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// path puts a file and gives the path of its URL.
func (f *fixture) path(t *testing.T, key string, content []byte) string {
	t.Helper()
	if err := f.bucket.Put(t.Context(), key, content, ""); err != nil {
		t.Fatal(err)
	}
	text, err := f.signer.URL(key, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u.EscapedPath()
}

// talk sends bytes as firmware does and reads all that comes back until the connection ends.
func (f *fixture) talk(t *testing.T, request string, secure bool) string {
	t.Helper()
	c, err := net.Dial("tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if secure {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%v after %q", err, answer)
	}
	return string(answer)
}

func TestWhatFirmwareReads(t *testing.T) {
	t.Parallel()
	f := open(t, 10)
	content := bytes.Repeat([]byte("0123456789abcdef"), 20_000) // more than two pieces
	path := f.path(t, "ota/fw.bin", content)
	const end = "Connection: close\r\n\r\n"
	for _, c := range []struct {
		name, request string
		status        string
		headers       []string
		body          []byte
	}{
		{"whole", "GET " + path + " HTTP/1.1\r\nHost: dl.example\r\nAccept: text/html, */*\r\n" + end, "HTTP/1.1 200 OK", []string{"Content-Length: 320000"}, content},
		{"from, as C4 asks", "GET " + path + " HTTP/1.1\r\nHost: dl.example\r\nRange: bytes=5-\r\nContent-Length: 0\r\n" + end, "HTTP/1.1 206 Partial Content",
			[]string{"Content-Length: 319995", "Content-Range: bytes 5-319999/320000"}, content[5:]},
		{"from to", "GET " + path + " HTTP/1.1\r\nHost: dl.example\r\nRange: bytes=16-31\r\n" + end, "HTTP/1.1 206 Partial Content", []string{"Content-Length: 16"}, content[16:32]},
		{"to beyond the end", "GET " + path + " HTTP/1.1\r\nHost: dl.example\r\nRange: bytes=319990-999999\r\n" + end, "HTTP/1.1 206 Partial Content", []string{"Content-Length: 10"}, content[319990:]},
		{"last", "GET " + path + " HTTP/1.1\r\nHost: dl.example\r\nRange: bytes=-3\r\n" + end, "HTTP/1.1 206 Partial Content", []string{"Content-Length: 3"}, []byte("def")},
		{"senseless range", "GET " + path + " HTTP/1.1\r\nHost: dl.example\r\nRange: bytes=9-2\r\n" + end, "HTTP/1.1 200 OK", []string{"Content-Length: 320000"}, content},
		{"behind the end", "GET " + path + " HTTP/1.1\r\nHost: dl.example\r\nRange: bytes=320000-\r\n" + end, "HTTP/1.1 416 Requested Range Not Satisfiable", []string{"Content-Range: bytes */320000"}, nil},
		{"head", "HEAD " + path + " HTTP/1.1\r\nHost: dl.example\r\n" + end, "HTTP/1.1 200 OK", []string{"Content-Length: 320000"}, []byte{}},
		{"old", "GET " + path + " HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK", []string{"Content-Length: 320000"}, content},
		{"post", "POST " + path + " HTTP/1.1\r\nHost: dl.example\r\nContent-Length: 0\r\n" + end, "HTTP/1.1 405 Method Not Allowed", nil, nil},
		{"changed", "GET " + path + "x HTTP/1.1\r\nHost: dl.example\r\n" + end, "HTTP/1.1 403 Forbidden", nil, []byte("download_refused\n")},
		{"elsewhere", "GET / HTTP/1.1\r\nHost: dl.example\r\n\r\n", "HTTP/1.1 403 Forbidden", nil, []byte("download_refused\n")}, // and the end, unasked
	} {
		for _, secure := range []bool{false, true} {
			answer := f.talk(t, c.request, secure)
			head, body, _ := strings.Cut(answer, "\r\n\r\n")
			lines := strings.Split(head, "\r\n")
			if lines[0] != c.status {
				t.Errorf("%s, TLS %t: %q, want %q", c.name, secure, lines[0], c.status)
			}
			if strings.HasPrefix(c.status, "HTTP/1.1 20") && len(lines[0]) >= 32 {
				t.Errorf("%s: the status line does not fit into 32 bytes", c.name)
			}
			if len(head) > 1000 {
				t.Errorf("%s: %d bytes of headers", c.name, len(head))
			}
			for _, line := range lines {
				if len(line) > 126 {
					t.Errorf("%s: header line %q is too long", c.name, line)
				}
				for _, unwanted := range []string{"Transfer-Encoding", "Location", "Content-Encoding", "Date"} {
					if strings.HasPrefix(line, unwanted) {
						t.Errorf("%s: %s", c.name, line)
					}
				}
			}
			for _, want := range c.headers {
				if !strings.Contains(head, "\r\n"+want) {
					t.Errorf("%s: %s is not in %q", c.name, want, head)
				}
			}
			if c.body != nil && body != string(c.body) {
				t.Errorf("%s, TLS %t: %d bytes of body, want %d", c.name, secure, len(body), len(c.body))
			}
		}
	}
}

func TestEmptyMissingExpired(t *testing.T) {
	t.Parallel()
	f := open(t, 10)
	get := func(path string) (int, string) {
		t.Helper()
		r, err := http.Get("http://" + f.address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(body)
	}
	path := f.path(t, "empty", nil)
	if status, body := get(path); status != 200 || body != "" {
		t.Errorf("empty file: %d %q", status, body)
	}
	if err := f.bucket.Delete(t.Context(), "empty"); err != nil {
		t.Fatal(err)
	}
	if status, body := get(path); status != 404 || body != "download_missing\n" {
		t.Errorf("missing file: %d %q", status, body)
	}
	f.ahead.Store(3600)
	if status, body := get(path); status != 403 || body != "download_expired\n" {
		t.Errorf("expired: %d %q", status, body)
	}
	f.ahead.Store(0)
	f.bucket.Fault = func(string, string) error { return iot.Errorf(iot.Throttled, "busy") }
	if status, _ := get(path); status != 503 {
		t.Errorf("busy storage: %d", status)
	}
}

// A failure after the header ends the connection early: the device sees that bytes are missing.
func TestBrokenOff(t *testing.T) {
	t.Parallel()
	f := open(t, 10)
	path := f.path(t, "fw", make([]byte, 300<<10))
	var reads atomic.Int32
	f.bucket.Fault = func(op, _ string) error {
		if op == "read" && reads.Add(1) > 1 {
			return iot.Errorf(iot.Unavailable, "gone")
		}
		return nil
	}
	r, err := http.Get("http://" + f.address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if body, err := io.ReadAll(r.Body); err == nil || r.ContentLength != 300<<10 {
		t.Errorf("%d bytes without an error", len(body))
	}
}

// The connections are bounded: one more is served when another ends.
func TestBound(t *testing.T) {
	t.Parallel()
	f := open(t, 1)
	path := f.path(t, "k", []byte("v"))
	first, err := net.Dial("tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(first, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	if line, err := bufio.NewReader(first).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 200") {
		t.Fatalf("%q, %v", line, err)
	}
	second, err := net.Dial("tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	fmt.Fprintf(second, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	if err := second.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := second.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("two connections are served at once")
	}
	first.Close()
	if err := second.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(second).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 200") {
		t.Errorf("after the first has ended: %q, %v", line, err)
	}
}

func FuzzRange(f *testing.F) {
	for _, seed := range []string{"bytes=0-", "bytes=1-2", "bytes=-5", "bytes=5-1", "bytes=0-1,3-4", "bytes=", "bytes=-", "x", "bytes=99999999999999999999-", "bytes=+1-", "bytes=-0"} {
		f.Add(seed, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		offset, length, ranged, err := door.ParseRange(header, size)
		if err == nil && (offset < 0 || length < 0 || offset+length > size || ranged && length == 0 || !ranged && length != size) {
			t.Errorf("%q of %d: %d+%d, %t", header, size, offset, length, ranged)
		}
	})
}
