package tablestore_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	ots "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/localstack/tablestore"
	"relink/localstack/tablestore/tablestoretest"
)

const (
	benchDevices = 20000
	benchRows    = 150 // of a batch
)

// benchBatch is what a batch of property posts writes: two thirds update the latest values of a device, 1 to 10 columns
// with the values' own time, some only if the device exists; one third appends to a history.
func benchBatch(n int) *ots.BatchWriteRowRequest {
	r := &ots.BatchWriteRowRequest{}
	now := time.Now().UnixMilli()
	for i := range benchRows {
		device := (n*7919 + i*131) % benchDevices
		name := fmt.Sprintf("%04x#a1B2c3D4e5F#device-%06d", device*40503&0xffff, device)
		if i%3 == 2 {
			r.AddRowChange(putChange("history", pk("device", name, "time", int(now)*1000+n%1000), ignore,
				"temperature", 21.5, "humidity", int64(40), "message", "0123456789abcdef"))
			continue
		}
		expect := ignore
		if i%5 == 0 {
			expect = exist
		}
		ch := updateChange("latest", pk("device", name), expect)
		for col := range 1 + (n+i)%10 {
			ch.PutColumnWithTimestamp(fmt.Sprintf("property_%d", col), float64(n+col), now+int64(n%1000))
		}
		r.AddRowChange(ch)
	}
	return r
}

func benchTables(b *testing.B, c *ots.TableStoreClient) {
	create(b, c, tableSpec{name: "latest", key: "device:s", deviation: 86400 * 3650})
	create(b, c, tableSpec{name: "history", key: "device:s time:i", ttl: 30 * 86400})
	for from := 0; from < benchDevices; from += 200 {
		r := &ots.BatchWriteRowRequest{}
		for device := from; device < from+200; device++ {
			name := fmt.Sprintf("%04x#a1B2c3D4e5F#device-%06d", device*40503&0xffff, device)
			ch := putChange("latest", pk("device", name), ignore)
			for col := range 10 {
				ch.AddColumnWithTimestamp(fmt.Sprintf("property_%d", col), 0.5, time.Now().UnixMilli()-1000)
			}
			r.AddRowChange(ch)
		}
		if _, err := c.BatchWriteRow(r); err != nil {
			b.Fatal(err)
		}
	}
}

// cpu is the processor time this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportRows(b *testing.B, since time.Duration) {
	rows := float64(b.N) * benchRows
	b.ReportMetric(rows/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(rows/(cpu(b)-since).Seconds(), "rows/cpu-s")
}

// BenchmarkBatchWriteRow writes to a store on disk: "sdk" with the official client over a socket, "socket" and "handler"
// with requests prepared beforehand, so that what they measure is the server.
func BenchmarkBatchWriteRow(b *testing.B) {
	b.Run("sdk", func(b *testing.B) {
		c := start(b, tablestore.Options{Dir: b.TempDir()})
		benchTables(b, c)
		var n atomic.Int64
		b.SetParallelism(4)
		b.ResetTimer()
		since := cpu(b)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := c.BatchWriteRow(benchBatch(int(n.Add(1)))); err != nil {
					b.Error(err)
				}
			}
		})
		reportRows(b, since)
	})
	b.Run("socket", func(b *testing.B) {
		s, endpoint := tablestoretest.StartServer(b, tablestore.Options{Dir: b.TempDir()})
		requests := record(b, s, endpoint)
		web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
		var n atomic.Int64
		b.SetParallelism(4)
		b.ResetTimer()
		since := cpu(b)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				saved := requests[int(n.Add(1))%len(requests)]
				r, err := http.NewRequest("POST", endpoint+"/BatchWriteRow", bytes.NewReader(saved.body))
				if err != nil {
					b.Error(err)
					return
				}
				r.Header = saved.header
				resp, err := web.Do(r)
				if err != nil {
					b.Error(err)
					return
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
					b.Error(resp.Status, err)
				}
				resp.Body.Close()
			}
		})
		reportRows(b, since)
	})
	b.Run("handler", func(b *testing.B) {
		s, endpoint := tablestoretest.StartServer(b, tablestore.Options{Dir: b.TempDir()})
		requests := record(b, s, endpoint)
		var n atomic.Int64
		b.SetParallelism(4)
		b.ReportAllocs()
		b.ResetTimer()
		since := cpu(b)
		b.RunParallel(func(p *testing.PB) {
			w := &discard{header: make(http.Header)}
			for p.Next() {
				saved := requests[int(n.Add(1))%len(requests)]
				r := saved.request
				copied := *r
				copied.Body = io.NopCloser(bytes.NewReader(saved.body))
				s.ServeHTTP(w, &copied)
				if w.status != 200 {
					b.Errorf("status %d", w.status)
				}
			}
		})
		reportRows(b, since)
	})
}

type savedRequest struct {
	header  http.Header
	body    []byte
	request *http.Request
}

// record keeps what the SDK sends for a number of batches.
func record(b *testing.B, s *tablestore.Server, endpoint string) []savedRequest {
	b.Helper()
	rec := &recorder{next: http.DefaultTransport}
	config := ots.NewDefaultTableStoreConfig()
	config.Transport = rec
	c := ots.NewClientWithConfig(endpoint, "relink", tablestore.DefaultAccessKeyID, tablestore.DefaultAccessKeySecret, "", config)
	benchTables(b, c)
	rec.saved = nil
	for n := range 400 {
		if _, err := c.BatchWriteRow(benchBatch(n)); err != nil {
			b.Fatal(err)
		}
	}
	return rec.saved
}

type recorder struct {
	next  http.RoundTripper
	mu    sync.Mutex
	saved []savedRequest
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.saved = append(r.saved, savedRequest{req.Header.Clone(), body, req})
	r.mu.Unlock()
	req.Body = io.NopCloser(bytes.NewReader(body))
	return r.next.RoundTrip(req)
}

// discard is a ResponseWriter that keeps the status.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
