package mqtt

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// socks gives a sock and the other end of its connection.
func socks(t *testing.T, patience time.Duration) (*sock, *net.TCPConn, chan struct{}, chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	wg := new(sync.WaitGroup)
	s, err := newSock(c.(*net.TCPConn), patience, wg)
	if err != nil {
		t.Fatal(err)
	}
	idle, failed := make(chan struct{}, 10), make(chan struct{}, 10)
	s.idle, s.failed = func() { idle <- struct{}{} }, func() { failed <- struct{}{} }
	t.Cleanup(func() {
		_ = s.Close()
		_ = peer.Close()
		wg.Wait()
	})
	return s, peer.(*net.TCPConn), idle, failed
}

// stuff writes until the peer's kernel takes no more.
func stuff(t *testing.T, s *sock) (written int) {
	t.Helper()
	for chunk := make([]byte, 16<<10); !s.busy(); {
		n, err := s.Write(chunk)
		if written += n; err != nil {
			t.Fatal(err)
		}
	}
	return written
}

// A device that has fallen behind and caught up again is written to as before.
func TestSockAfterDraining(t *testing.T) {
	t.Parallel()
	const patience = 300 * time.Millisecond
	s, peer, idle, failed := socks(t, patience)
	n := stuff(t, s)
	if _, err := io.CopyN(io.Discard, peer, int64(n)); err != nil {
		t.Fatal(err)
	}
	<-idle
	<-time.After(patience + 50*time.Millisecond)
	if _, err := s.Write([]byte("still here")); err != nil {
		t.Fatalf("write after the patience: %v", err)
	}
	got := make([]byte, 10)
	if _, err := io.ReadFull(peer, got); err != nil || string(got) != "still here" {
		t.Errorf("received %q, %v", got, err)
	}
	if len(failed) != 0 {
		t.Error("the connection failed")
	}
}

func TestSockIsBounded(t *testing.T) {
	t.Parallel()
	s, _, _, failed := socks(t, time.Hour)
	stuff(t, s)
	chunk, refused := make([]byte, 1024), false
	for range 1 << 10 { // of which the kernel may still take some
		_, err := s.Write(chunk)
		s.mu.Lock()
		left := len(s.rest)
		s.mu.Unlock()
		if left > openingRest {
			t.Fatalf("%d bytes wait for a peer that does not read", left)
		}
		if refused = err != nil; refused {
			break
		}
	}
	if !refused {
		t.Fatal("a megabyte was taken for a peer that does not read")
	}
	select {
	case <-failed:
	case <-time.After(5 * time.Second):
		t.Fatal("the connection was not given up")
	}
	if _, err := s.Write(chunk); err == nil {
		t.Error("a broken connection takes more")
	}
}
