package limits_test

import (
	"testing"

	"relink/connector/limits"
)

func TestBucket(t *testing.T) {
	var b limits.Bucket
	count := func(now int64, tries int) (taken int) {
		for range tries {
			if b.Take(now, 10) {
				taken++
			}
		}
		return taken
	}
	const start = 1_700_000_000_000
	for _, c := range []struct {
		after int64
		want  int
	}{{0, 10}, {50, 0}, {100, 1}, {600, 5}, {500, 0}, {2600, 10}, {2600, 0}} {
		if got := count(start+c.after, 20); got != c.want {
			t.Errorf("after %d ms: %d taken, want %d", c.after, got, c.want)
		}
	}
	if !b.Take(start+2600, 0) {
		t.Error("no limit is a limit")
	}
	var bytes limits.Bucket
	for _, c := range []struct {
		after int64
		n     int
		want  int64
	}{{0, 1000, 0}, {0, 500, 500}, {500, 0, 0}, {500, 250, 250}, {5000, 999, 0}} {
		if got := bytes.Spend(start+c.after, c.n, 1000); got != c.want {
			t.Errorf("%d bytes after %d ms: wait %d, want %d", c.n, c.after, got, c.want)
		}
	}
	if bytes.Spend(start, 1<<30, 0) != 0 {
		t.Error("no limit is a limit")
	}
	if n := testing.AllocsPerRun(100, func() { b.Take(start, 10); bytes.Spend(start, 1, 10) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
