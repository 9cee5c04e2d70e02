package sls

import (
	"bytes"
	"testing"
	"time"
)

func testNow() time.Time { return time.Unix(1760000000, 5) }

func TestSplit(t *testing.T) {
	t.Parallel()
	at := func(sec int64) time.Time { return time.Unix(sec, 0) }
	logs := []Log{
		{at(20), []Field{{"n", "1"}}}, {at(10), []Field{{"n", "2"}}}, {at(20), []Field{{"n", "3"}}}, {at(10), []Field{{"n", "4"}}},
	}
	var s splitter
	runs, err := s.split(encodeGroup("topic", "source", logs, testNow), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		sec  uint32
		logs []string
	}{{10, []string{"2", "4"}}, {20, []string{"1", "3"}}}
	if len(runs) != len(want) {
		t.Fatalf("%d runs, want %d", len(runs), len(want))
	}
	for i, w := range want {
		var g group
		if err := g.decode(runs[i].data); err != nil {
			t.Fatal(err)
		}
		if runs[i].sec != w.sec || string(g.topic) != "topic" || string(g.source) != "source" || len(g.logs) != len(w.logs) || runs[i].count != len(w.logs) {
			t.Errorf("run %d = second %d, topic %s, %d logs", i, runs[i].sec, g.topic, len(g.logs))
		}
		for j, l := range g.logs {
			_, _, fields, err := decodeLog(l, nil)
			if err != nil || string(fields[0].value) != w.logs[j] {
				t.Errorf("run %d log %d = %v, %v", i, j, fields, err)
			}
		}
	}
}

func FuzzDecodeGroup(f *testing.F) {
	f.Add(encodeGroup("topic", "source", []Log{{Fields: []Field{{"key", "value"}, {"k2", ""}}}, {Time: time.Unix(9, 9)}}, testNow), []byte(nil))
	f.Add([]byte{0x0a, 0x02, 0x08, 0x01}, appendPair(nil, groupTags, "a", "b"))
	f.Fuzz(func(t *testing.T, raw, extra []byte) {
		var probe group
		if probe.decode(extra) != nil || len(probe.logs) > 0 {
			extra = nil // extra fields are the server's own
		}
		before := bytes.Clone(raw)
		var s splitter
		runs, err := s.split(raw, extra)
		if err != nil {
			return
		}
		var all, g group
		if err := all.decode(raw); err != nil {
			t.Fatal(err)
		}
		total, last := 0, uint32(0)
		for i, r := range runs {
			if err := g.decode(r.data); err != nil {
				t.Fatalf("run %d does not decode: %v", i, err)
			}
			if len(g.logs) != r.count || i > 0 && r.sec <= last {
				t.Fatalf("run %d has %d logs, count %d, second %d after %d", i, len(g.logs), r.count, r.sec, last)
			}
			for _, l := range g.logs {
				if sec, _, err := checkLog(l, nil); err != nil || sec != r.sec {
					t.Fatalf("log of second %d in run %d: %v", sec, r.sec, err)
				}
			}
			total, last = total+r.count, r.sec
		}
		if total != len(all.logs) || !bytes.Equal(raw, before) {
			t.Fatalf("%d of %d logs in runs", total, len(all.logs))
		}
	})
}

func FuzzDecompress(f *testing.F) {
	f.Add("lz4", compressBlock([]byte("hello hello hello hello")), 23)
	f.Add("lz4", []byte("`hello \x06\x00\xd0o hello hello"), 0) // a nil destination
	f.Add("zstd", zstdWriter().EncodeAll([]byte("hello"), nil), 5)
	f.Add("deflate", []byte{0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01}, 0)
	f.Fuzz(func(t *testing.T, kind string, body []byte, size int) {
		if size < 0 || size > 1<<20 {
			return
		}
		var buf []byte
		out, err := decompress(kind, body, size, &buf)
		if err == nil && len(out) != size {
			t.Errorf("decompress(%q, %d bytes, %d) has %d bytes", kind, len(body), size, len(out))
		}
	})
}

func TestCompressBlock(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 14, 15, 16, 269, 270, 271, 100000} {
		for name, body := range map[string][]byte{"same": bytes.Repeat([]byte{'a'}, n), "mixed": mixed(n)} {
			var buf []byte
			out, err := decompress("lz4", compressBlock(body), n, &buf)
			if err != nil || !bytes.Equal(out, body) {
				t.Errorf("%s, %d bytes: %v", name, n, err)
			}
		}
	}
}

// mixed returns bytes that do not compress.
func mixed(n int) []byte {
	b, x := make([]byte, n), uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}
