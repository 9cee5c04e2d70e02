package download_test

import (
	"io"
	"net"
	"testing"
	"time"
)

// TestPerSource: an address that has its number of connections gets no more, and gets one again when it gives one up.
func TestPerSource(t *testing.T) {
	t.Parallel()
	f := open(t, 10, 2)
	path := f.path(t, "file", []byte("content"))
	request := "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"
	dial := func() net.Conn {
		c, err := net.Dial("tcp", f.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	served := func(c net.Conn) bool {
		if _, err := io.WriteString(c, request); err != nil {
			return false
		}
		n, _ := c.Read(make([]byte, 1)) // nothing if it was closed
		return n == 1
	}
	first, second := dial(), dial()
	if !served(first) || !served(second) {
		t.Fatal("the first two connections are not served")
	}
	if served(dial()) {
		t.Fatal("a third connection of one address is served")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !served(dial()); {
		if time.Now().After(deadline) {
			t.Fatal("no connection after one was given up")
		}
	}
}
