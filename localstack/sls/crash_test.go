package sls

import (
	"context"
	"os"
	"testing"
	"time"
)

// TestCrash copies the files of a running server once its write-ahead log is
// synced, as kill -9 would leave them.
func TestCrash(t *testing.T) {
	t.Parallel()
	dir, copied := t.TempDir(), t.TempDir()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	addLogstore(t, s)
	for range 10 {
		if err := s.Append("p-1", "store", "topic", "", []Log{{Fields: []Field{{"k", "v"}}}, {Fields: []Field{{"k", "w"}}}}); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); s.unsynced.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the write-ahead log is not synced")
		}
	}
	if err := s.sync(); err != nil { // waits for a sync that has begun
		t.Fatal(err)
	}
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	again, err := Open(Options{Dir: copied})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := again.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	if n := countLogs(t, again); n != 20 {
		t.Errorf("%d logs after a crash, want 20", n)
	}
}

// addLogstore makes logstore "store" of project "p-1" with a TTL of a day.
func addLogstore(t *testing.T, s *Server) {
	t.Helper()
	err := s.putProject("p-1", func(*projectInfo) (projectInfo, error) { return projectInfo{Name: "p-1"}, nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.addLogstore("p-1", &logstoreInfo{Name: "store", TTL: 1, ShardCount: 1}); err != nil {
		t.Fatal(err)
	}
}

func countLogs(t *testing.T, s *Server) int {
	t.Helper()
	ls, err := s.lookup("p-1", "store")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	_, err = s.run(context.Background(), scan{ls: ls, window: window{to: 1 << 32}, match: matchAll{}}, func(*record) bool { n++; return true })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestExpire(t *testing.T) {
	t.Parallel()
	now := time.Unix(1760000000, 0)
	s, err := Open(Options{Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	addLogstore(t, s)
	for _, age := range []time.Duration{0, 23 * time.Hour, 25 * time.Hour} {
		if err := s.Append("p-1", "store", "", "", []Log{{Time: now.Add(-age), Fields: []Field{{"k", "v"}}}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := countLogs(t, s); n != 2 {
		t.Errorf("%d logs, want 2 within the TTL", n)
	}
	if err := s.expire(); err != nil {
		t.Fatal(err)
	}
	if err := s.changeLogstore("p-1", "store", func(i *logstoreInfo) error { i.TTL = foreverTTL; return nil }); err != nil {
		t.Fatal(err)
	}
	if n := countLogs(t, s); n != 2 {
		t.Errorf("%d logs after the expired one was removed, want 2", n)
	}
}
