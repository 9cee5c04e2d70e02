package fc_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"relink/localstack/fc"
)

var sizes = []struct {
	name string
	n    int
}{{"1KB", 1 << 10}, {"10KB", 10 << 10}, {"100KB", 100 << 10}}

// BenchmarkInvoke measures the whole way: official SDK → emulator → echo process → back, eight callers.
func BenchmarkInvoke(b *testing.B) {
	c := start(b, fc.Options{Logger: slog.New(slog.DiscardHandler), Functions: []fc.Function{custom("custom", func(f *fc.Function) { f.InstanceConcurrency = 50 }), go1("go1")}})
	for _, size := range sizes {
		payload := strings.Repeat("x", size.n)
		for _, function := range []string{"custom", "go1"} {
			b.Run(function+"/"+size.name, func(b *testing.B) {
				c.invoke(function, payload)
				b.SetBytes(int64(size.n))
				b.ReportAllocs()
				b.SetParallelism(4)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if r, err := invoke(c.client, function, payload); err != nil || r.status != 200 || len(r.body) < size.n {
							b.Errorf("%+.200v %v", r, err)
							return
						}
					}
				})
			})
		}
	}
}

// BenchmarkServer leaves out the SDK and the caller's connection: a signed request in memory → emulator → echo
// process → back, one caller.
func BenchmarkServer(b *testing.B) {
	c := start(b, fc.Options{Logger: slog.New(slog.DiscardHandler), Functions: []fc.Function{custom("f", func(f *fc.Function) { f.InstanceConcurrency = 50 })}})
	for _, size := range sizes {
		payload := strings.Repeat("x", size.n)
		b.Run(size.name, func(b *testing.B) {
			c.invoke("f", payload)
			b.SetBytes(int64(size.n))
			b.ReportAllocs()
			w := &discardWriter{header: make(http.Header)}
			for b.Loop() {
				b.StopTimer()
				r := c.signed(payload, nil, nil)
				r.RequestURI = r.URL.RequestURI()
				clear(w.header)
				w.n = 0
				b.StartTimer()
				c.ServeHTTP(w, r)
				if w.n != size.n {
					b.Fatalf("%d bytes: %s", w.n, w.last)
				}
			}
		})
	}
}

// BenchmarkProcess is the floor: net/http straight to an echo server in another goroutine.
func BenchmarkProcess(b *testing.B) {
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })}
	addr := listen(b, web)
	for _, size := range sizes {
		payload := bytes.Repeat([]byte("x"), size.n)
		b.Run(size.name, func(b *testing.B) {
			b.SetBytes(int64(size.n))
			for b.Loop() {
				resp, err := http.Post("http://"+addr, "", bytes.NewReader(payload))
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}

type discardWriter struct {
	header http.Header
	n      int
	last   []byte
}

func (w *discardWriter) Header() http.Header { return w.header }
func (w *discardWriter) WriteHeader(int)     {}
func (w *discardWriter) Write(b []byte) (int, error) {
	w.n += len(b)
	w.last = b[:min(len(b), 300)]
	return len(b), nil
}
