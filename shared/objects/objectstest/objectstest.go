// Package objectstest is the contract of package objects as a test suite. Every implementation runs it.
package objectstest

import (
	"errors"
	"hash/crc64"
	"strings"
	"testing"

	"relink/shared/objects"
)

// Run runs the suite. open makes an empty bucket whose life ends with the test.
func Run(t *testing.T, open func(t *testing.T) objects.Bucket) {
	t.Run("whole", func(t *testing.T) { testWhole(t, open(t)) })
	t.Run("append", func(t *testing.T) { testAppend(t, open(t)) })
}

func crc(s string) uint64 { return crc64.Checksum([]byte(s), crc64.MakeTable(crc64.ECMA)) }

func testWhole(t *testing.T, b objects.Bucket) {
	ctx := t.Context()
	const key = "config/a1B2/灯 +1.json"
	for _, content := range []string{"first", "", "the second, which is longer"} {
		if err := b.Put(ctx, key, []byte(content), "application/json"); err != nil {
			t.Fatal(err)
		}
		if info, err := b.Stat(ctx, key); err != nil || info != (objects.Info{Size: int64(len(content)), CRC: crc(content)}) {
			t.Errorf("stat of %q: %+v, %v", content, info, err)
		}
		for _, part := range []struct {
			offset int64
			limit  int
		}{{0, 1000}, {0, 3}, {2, 2}, {4, 100}, {5, 10}, {1000, 1}, {0, 0}} {
			want := content[min(int(part.offset), len(content)):]
			want = want[:min(part.limit, len(want))]
			if got, err := b.Read(ctx, key, part.offset, part.limit); err != nil || string(got) != want {
				t.Errorf("read %+v of %q: %q, %v", part, content, got, err)
			}
		}
	}
	for range 2 {
		if err := b.Delete(ctx, key); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.Stat(ctx, key); !errors.Is(err, objects.ErrNotFound) {
		t.Errorf("stat of nothing: %v", err)
	}
	if _, err := b.Read(ctx, key, 0, 10); !errors.Is(err, objects.ErrNotFound) {
		t.Errorf("read of nothing: %v", err)
	}
}

func testAppend(t *testing.T, b objects.Bucket) {
	ctx := t.Context()
	whole := ""
	for _, block := range []string{"one", strings.Repeat("two", 50_000), "three"} {
		got, err := b.Append(ctx, "up", int64(len(whole)), []byte(block))
		whole += block
		if err != nil || got != (objects.Appended{Size: int64(len(whole)), CRC: crc(whole)}) {
			t.Fatalf("append: %+v, %v", got, err)
		}
	}
	for _, position := range []int64{0, 1, int64(len(whole)) + 1} {
		_, err := b.Append(ctx, "up", position, []byte("x"))
		if e, ok := errors.AsType[*objects.PositionError](err); !ok || e.Size != int64(len(whole)) {
			t.Errorf("append at %d: %v", position, err)
		}
	}
	if _, err := b.Append(ctx, "other", 5, []byte("x")); err == nil {
		t.Error("append behind nothing is taken")
	}
	got, err := b.Read(ctx, "up", 0, 1<<20)
	if err != nil || string(got) != whole {
		t.Errorf("read %d bytes, want %d: %v", len(got), len(whole), err)
	}
}
