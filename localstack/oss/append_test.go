package oss_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc64"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	sdk "github.com/aliyun/aliyun-oss-go-sdk/oss"

	"relink/localstack/oss"
	"relink/localstack/oss/osstest"
)

func TestAppend(t *testing.T) {
	t.Parallel()
	table := crc64.MakeTable(crc64.ECMA)
	for _, st := range styles {
		t.Run(st.name, func(t *testing.T) {
			t.Parallel()
			b := makeBucket(t, client(t, osstest.Start(t, oss.Options{}), st))
			random := rand.New(rand.NewPCG(1, 2))
			var want []byte
			for i, size := range []int{5, 0, 1, 100_000, 200_000, 17, 300_000, 3, 2048} { // joins of small files, and files of their own
				block := make([]byte, size)
				for j := range block {
					block[j] = byte(random.Uint32())
				}
				var h http.Header
				next, err := b.AppendObject("dir/log 1", bytes.NewReader(block), int64(len(want)), sdk.GetResponseHeader(&h), sdk.InitCRC(crc64.Checksum(want, table)), sdk.ContentType("text/x-log"))
				want = append(want, block...)
				if err != nil || next != int64(len(want)) || h.Get("x-oss-hash-crc64ecma") != fmt.Sprint(crc64.Checksum(want, table)) {
					t.Fatalf("append %d: next %d, %v, %v", i, next, err, h)
				}
			}
			if got := read(t, b, "dir/log 1"); got != string(want) {
				t.Errorf("the object has %d bytes and differs from the %d appended", len(got), len(want))
			}
			if got := read(t, b, "dir/log 1", sdk.Range(99_999, 310_000)); got != string(want[99_999:310_001]) {
				t.Error("a range over several files differs")
			}
			meta, err := b.GetObjectDetailedMeta("dir/log 1")
			if err != nil || meta.Get("x-oss-object-type") != "Appendable" || meta.Get("x-oss-next-append-position") != fmt.Sprint(len(want)) || meta.Get("Content-Type") != "text/x-log" {
				t.Errorf("meta %v, %v", meta, err)
			}
		})
	}
}

func TestAppendRefused(t *testing.T) {
	t.Parallel()
	b := makeBucket(t, client(t, osstest.Start(t, oss.Options{}), styles[1]))
	position := func(what string, at int64, length string) {
		t.Helper()
		var h http.Header
		_, err := b.AppendObject("log", strings.NewReader("xyz"), at, sdk.GetResponseHeader(&h))
		wantCode(t, what, err, 409, "PositionNotEqualToLength")
		var e sdk.ServiceError
		if !errors.As(err, &e) || h.Get("x-oss-next-append-position") != length {
			t.Errorf("%s: next position %q, want %s", what, h.Get("x-oss-next-append-position"), length)
		}
	}
	position("gap before the first", 3, "0")
	if _, err := b.AppendObject("log", strings.NewReader("abc"), 0); err != nil {
		t.Fatal(err)
	}
	position("again", 0, "3")
	position("gap", 4, "3")
	if s := read(t, b, "log"); s != "abc" {
		t.Errorf("after refusals the object is %q", s)
	}
	_, err := b.AppendObject("log", strings.NewReader("abc"), -1)
	wantCode(t, "negative position", err, 400, "InvalidArgument")
	_, err = b.AppendObject("log", strings.NewReader("abc"), 3, sdk.ContentMD5("1B2M2Y8AsgTpgAmY7PhCfg=="))
	wantCode(t, "wrong Content-MD5", err, 400, "InvalidDigest")
	if err := b.PutObject("whole", strings.NewReader("v")); err != nil {
		t.Fatal(err)
	}
	_, err = b.AppendObject("whole", strings.NewReader("abc"), 1)
	wantCode(t, "append to a normal object", err, 409, "ObjectNotAppendable")
	if err := b.PutObject("log", strings.NewReader("normal again")); err != nil || read(t, b, "log") != "normal again" {
		t.Errorf("put over an appendable object: %v", err)
	}
}

// Of many that append at one position one succeeds.
func TestAppendRace(t *testing.T) {
	t.Parallel()
	b := makeBucket(t, client(t, osstest.Start(t, oss.Options{}), styles[1]))
	var wg sync.WaitGroup
	done := make(chan error, 16)
	for range cap(done) {
		wg.Go(func() {
			_, err := b.AppendObject("log", strings.NewReader("abcd"), 0)
			done <- err
		})
	}
	wg.Wait()
	close(done)
	succeeded := 0
	for err := range done {
		if err == nil {
			succeeded++
		}
	}
	if s := read(t, b, "log"); succeeded != 1 || s != "abcd" {
		t.Errorf("%d appends succeeded, the object is %q", succeeded, s)
	}
}

// An appended object outlives a restart that finds no file superfluous but those that are.
func TestAppendSurvivesRestart(t *testing.T) {
	t.Parallel()
	options := oss.Options{Dir: t.TempDir()}
	s, err := oss.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	b := makeBucket(t, client(t, osstest.Serve(t, s, options), styles[1]))
	for i := range 3 {
		if _, err := b.AppendObject("log", strings.NewReader("abc"), int64(3*i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	in := osstest.Start(t, options)
	if b, err = client(t, in, styles[1]).Bucket(bucketName); err != nil {
		t.Fatal(err)
	}
	if _, err := b.AppendObject("log", strings.NewReader("def"), 9); err != nil {
		t.Error(err)
	}
	if s := read(t, b, "log"); s != "abcabcabcdef" {
		t.Errorf("after a restart the object is %q", s)
	}
}
