package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"relink/shared/record"
)

// TestStart: devices are let in once the node has its lease, and the node is ready from then on.
func TestStart(t *testing.T) {
	asked, leave := make(chan string, 100), make(chan struct{})
	functions := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		b, err := record.DecodeBatch(body)
		if err != nil {
			t.Error(err)
		}
		asked <- r.URL.Path
		<-leave
		results := make([]record.Result, len(b.Records))
		for i := range results {
			results[i].Code = 200
		}
		if _, err := w.Write(record.AppendResults(nil, results)); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(functions.Close)
	env(t, map[string]string{"RELINK_FC_ENDPOINT": functions.URL})
	s, err := read()
	if err != nil {
		t.Fatal(err)
	}
	o, err := listen(s)
	if err != nil {
		t.Fatal(err)
	}
	c, err := build(s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	begin := time.Now()
	go func() { c.start(t.Context(), o); close(started) }()
	if path := <-asked; !strings.HasSuffix(path, "/relink-lifecycle/invocations") {
		t.Errorf("invoked %s, want the lease first", path)
	}
	health := func() int {
		resp, err := http.Get("http://" + o.internal.Addr().String() + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	if got := health(); got != http.StatusServiceUnavailable {
		t.Errorf("health %d without a lease", got)
	}
	device, err := net.Dial("tcp", o.devices[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if _, err := device.Write([]byte("nonsense")); err != nil { // is answered, by the end of the connection, when it is read
		t.Fatal(err)
	}
	if err := device.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := device.Read(make([]byte, 1)); !timeout(err) {
		t.Errorf("read before the lease: %v, want a timeout", err)
	}
	close(leave)
	<-started
	if got := health(); got != http.StatusOK {
		t.Errorf("health %d with a lease, after %s", got, time.Since(begin))
	}
	if err := device.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := device.Read(make([]byte, 1)); err == nil || timeout(err) {
		t.Errorf("read with a lease: %v, want the end", err)
	}
	if err := c.stop(); err != nil {
		t.Error(err)
	}
}

func timeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// TestStopWhileStarting: a stop does not wait for the lease.
func TestStopWhileStarting(t *testing.T) {
	env(t, nil)
	s, err := read()
	if err != nil {
		t.Fatal(err)
	}
	o, err := listen(s)
	if err != nil {
		t.Fatal(err)
	}
	c, err := build(s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begin := time.Now()
	c.start(ctx, o)
	_ = c.stop() // nobody takes the end of the lease
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("stopped after %s", took)
	}
}
