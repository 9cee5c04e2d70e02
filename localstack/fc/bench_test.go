package fc_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"relink/localstack/fc"
)

// BenchmarkInvoke measures official SDK → emulator → echo process → back. The parts: /direct calls the process without
// the emulator and the SDK, with net/http.
func BenchmarkInvoke(b *testing.B) {
	c := start(b, fc.Options{Logger: slog.New(slog.DiscardHandler), Functions: []fc.Function{custom("custom", func(f *fc.Function) { f.InstanceConcurrency = 50 }), go1("go1")}})
	for _, size := range []struct {
		name string
		n    int
	}{{"1KB", 1 << 10}, {"10KB", 10 << 10}, {"100KB", 100 << 10}} {
		payload := strings.Repeat("x", size.n)
		for _, function := range []string{"custom", "go1"} {
			b.Run(function+"/"+size.name, func(b *testing.B) {
				c.invoke(function, payload)
				b.SetBytes(int64(size.n))
				b.ReportAllocs()
				b.SetParallelism(8)
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
	_ = context.Background
	_ = io.EOF
	_ = http.MethodGet
}
