package main

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sls "github.com/aliyun/aliyun-log-go-sdk"
	"github.com/gogo/protobuf/proto"
	"github.com/pierrec/lz4/v4"

	"relink/shared/config"
)

// gate is a sink that holds every Put until it is let through.
type gate struct {
	entered chan int // number of lines
	leave   chan error
}

func (g *gate) Put(lines []line) error {
	g.entered <- len(lines)
	return <-g.leave
}

// Lines of calls that end while one is being stored go together, and each call hears how it went with its own.
func TestAuditLinesShareRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{make(chan int), make(chan error)}
		a := newAuditor(slog.New(slog.DiscardHandler), g)
		errs := make(chan error, 4)
		store := func() { errs <- a.store(line{at: time.Now()}) }
		go store()
		if n := <-g.entered; n != 1 {
			t.Fatalf("the first request has %d lines", n)
		}
		for range 3 {
			go store()
		}
		synctest.Wait()
		g.leave <- nil
		if err := <-errs; err != nil {
			t.Error(err)
		}
		if n := <-g.entered; n != 3 {
			t.Errorf("the second request has %d lines, want 3", n)
		}
		g.leave <- errors.New("lost")
		for range 3 {
			if err := <-errs; err == nil || err.Error() != "lost" {
				t.Errorf("error %v, want lost", err)
			}
		}
	})
}

// A log service that hangs holds an answer up for a second, not longer.
func TestAuditWaitIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gate{make(chan int), make(chan error)}
		a := newAuditor(slog.New(slog.DiscardHandler), g)
		first := make(chan error)
		go func() { first <- a.store(line{}) }()
		<-g.entered
		begin := time.Now()
		if err := a.store(line{}); !errors.Is(err, errAuditSlow) {
			t.Errorf("error %v", err)
		}
		if d := time.Since(begin); d != auditWait {
			t.Errorf("waited %s", d)
		}
		g.leave <- nil
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

func TestSLSSink(t *testing.T) {
	t.Parallel()
	type received struct {
		host, path, auth string
		group            sls.LogGroup
		err              error
	}
	got := make(chan received, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := received{host: r.Host, path: r.URL.Path, auth: r.Header.Get("Authorization")}
		body, err := io.ReadAll(r.Body)
		size, err2 := strconv.Atoi(r.Header.Get("X-Log-Bodyrawsize"))
		raw := make([]byte, size)
		_, err3 := lz4.UncompressBlock(body, raw)
		rec.err = errors.Join(err, err2, err3, proto.Unmarshal(raw, &rec.group))
		got <- rec
	}))
	defer server.Close()
	s, err := newSLSSink(config.Cloud{AccessKeyID: "id", AccessKeySecret: "secret", SLSEndpoint: "http://cn-shanghai.log.example", SLSDial: strings.TrimPrefix(server.URL, "http://"), SLSProject: "relink"})
	if err != nil {
		t.Fatal(err)
	}
	at := time.UnixMilli(1767225600123)
	if err := s.Put([]line{{at, [][2]string{{"action", "Pub"}}}, {at, nil}}); err != nil {
		t.Fatal(err)
	}
	r := <-got
	if r.err != nil || r.host != "relink.cn-shanghai.log.example" || r.path != "/logstores/audit" || !strings.HasPrefix(r.auth, "LOG id:") {
		t.Errorf("request %+v", r)
	}
	if len(r.group.Logs) != 2 || r.group.Logs[0].GetTime() != 1767225600 || r.group.Logs[0].Contents[0].GetValue() != "1767225600123" || r.group.Logs[0].Contents[1].GetKey() != "action" {
		t.Errorf("group %v", &r.group)
	}
}
