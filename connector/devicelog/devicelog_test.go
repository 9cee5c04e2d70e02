package devicelog_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aliyun/aliyun-log-go-sdk"
	"github.com/prometheus/client_golang/prometheus"

	"relink/connector/devicelog"
	"relink/localstack/sls"
	"relink/localstack/sls/slstest"
	"relink/shared/iot"
)

// service is the emulator with a project and the logstore, and a client to read it.
func service(t testing.TB) (*slstest.Instance, *sdk.Client) {
	t.Helper()
	in := slstest.Start(t, sls.Options{})
	client := &sdk.Client{Endpoint: slstest.Endpoint, AccessKeyID: in.AccessKeyID, AccessKeySecret: in.AccessKeySecret, HTTPClient: in.HTTPClient()}
	if _, err := client.CreateProject("relink", "test"); err != nil {
		t.Fatal(err)
	}
	return in, client
}

func logstore(t testing.TB, client *sdk.Client) {
	t.Helper()
	if err := client.CreateLogStore("relink", "device", 1, 1, false, 1); err != nil {
		t.Fatal(err)
	}
	index := sdk.Index{Line: &sdk.IndexLine{Token: []string{" "}}, Keys: map[string]sdk.IndexKey{"device_name": {Type: "text", Token: []string{" "}}, "code": {Type: "long"}}}
	if err := client.CreateIndex("relink", "device", index); err != nil {
		t.Fatal(err)
	}
}

func writer(t testing.TB, in *slstest.Instance, change func(*devicelog.Options)) *devicelog.Writer {
	t.Helper()
	o := devicelog.Options{Endpoint: slstest.Endpoint, Dial: in.Addr, Project: "relink", AccessKeyID: in.AccessKeyID,
		Secret: iot.Secret(in.AccessKeySecret), Node: "node-1", Success: "all"}
	if change != nil {
		change(&o)
	}
	w, err := devicelog.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		w.Close(ctx) // again, if the test has closed it
	})
	return w
}

// rows reads what the query finds, waiting until it is want rows.
func rows(t testing.TB, client *sdk.Client, query string, want int) []map[string]string {
	t.Helper()
	now := time.Now().Unix()
	for deadline := time.Now().Add(10 * time.Second); ; {
		r, err := client.GetLogs("relink", "device", "", now-600, now+600, query, 100, 0, false)
		if err == nil && len(r.Logs) == want {
			return r.Logs
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q: %v, %+v", query, err, r)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestRow(t *testing.T) {
	t.Parallel()
	in, client := service(t)
	logstore(t, client)
	w := writer(t, in, nil)
	at := time.Now().UnixMilli()
	w.Log(devicelog.Entry{
		At: at, Device: iot.DeviceRef{ProductKey: "a1", DeviceName: "dev-1"}, IotID: "iot1", MessageID: "42", Operation: "auth",
		Topic: "/sys/a1/dev-1/x\r\nfake line\x1b[31m\xff", Code: 6200, Reason: "signature", Detail: strings.Repeat("é", 2000),
		Signed: "clientId12345", LatencyMS: 1.5, RequestID: "1-2-3", Remote: "10.0.0.1:1234", Bytes: 7, QoS: 1,
	})
	w.Log(devicelog.Entry{Device: iot.DeviceRef{ProductKey: "a1", DeviceName: "dev-2"}, Operation: "online", Code: 200})
	got := rows(t, client, "device_name: dev-1", 1)[0] // without Close: the flusher comes by itself
	for key, want := range map[string]string{
		"product_key": "a1", "device_name": "dev-1", "iot_id": "iot1", "message_id": "42", "request_id": "1-2-3", "operation": "auth",
		"topic": `/sys/a1/dev-1/x\r\nfake line\x1b[31m\xff`, "code": "6200", "reason": "signature", "detail": strings.Repeat("é", 512) + "…",
		"signed": "clientId12345", "latency_ms": "1.500", "node": "node-1", "remote_addr": "10.0.0.1:1234", "remote_ip": "10.0.0.1", "bytes": "7", "qos": "1",
		"__source__": "node-1", "__time__": strconv.FormatInt(at/1000, 10),
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	got = rows(t, client, "device_name: dev-2", 1)[0]
	for _, key := range []string{"topic", "qos", "bytes", "reason", "sampled", "iot_id"} {
		if v, ok := got[key]; ok {
			t.Errorf("%s is %q, want none", key, v)
		}
	}
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if s := w.Stats(); s.Written != 2 || s.Lost != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestCloseFlushesAll(t *testing.T) {
	t.Parallel()
	in, client := service(t)
	logstore(t, client)
	registry := prometheus.NewRegistry()
	w := writer(t, in, func(o *devicelog.Options) { o.Registerer = registry })
	const n = 6000 // more than one request
	for i := range n {
		w.Log(devicelog.Entry{At: time.Now().UnixMilli(), Device: iot.DeviceRef{ProductKey: "a1", DeviceName: iot.DeviceName(fmt.Sprint(i))}, Operation: "uplink", Code: 200})
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Log(devicelog.Entry{Code: 500}) // nobody's any more
	if s := w.Stats(); s.Written != n || s.Requests < 2 || s.Requests > 6 {
		t.Errorf("stats %+v", s)
	}
	if got := in.Stats().Logs; got != n {
		t.Errorf("the service has %d rows", got)
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 3 {
		t.Errorf("%d metrics, %v", len(families), err)
	}
}

// TestTroubles: what the service cannot take now is sent again; a logstore that is made later has all rows.
// Rows of those who are over a limit are of a flood: a few stand for all, and crowd out nothing.
func TestOverALimit(t *testing.T) {
	t.Parallel()
	in, client := service(t)
	logstore(t, client)
	w := writer(t, in, nil)
	at := time.Now().UnixMilli()
	for range 3000 {
		w.Log(devicelog.Entry{At: at, Operation: "auth", Code: 400, Reason: "rate_limited_source"})
	}
	w.Log(devicelog.Entry{At: at, Operation: "auth", Code: 4, Reason: "sign_mismatch"})
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := w.Stats(); s.Written > 320 || s.Written < 12 || s.SampledOut+s.Written != 3001 {
		t.Errorf("%+v", s)
	}
	rows(t, client, "sign_mismatch", 1)
}

func TestTroubles(t *testing.T) {
	t.Parallel()
	in, client := service(t)
	w := writer(t, in, nil)
	w.Log(devicelog.Entry{Device: iot.DeviceRef{ProductKey: "a1", DeviceName: "early"}, Operation: "auth", Code: 401})
	for deadline := time.Now().Add(10 * time.Second); w.Stats().Retries == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no retry")
		}
		time.Sleep(5 * time.Millisecond)
	}
	logstore(t, client)
	rows(t, client, "device_name: early", 1)
	if s := w.Stats(); s.Lost != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestRefused: what the service will never take is given up at once.
func TestRefused(t *testing.T) {
	t.Parallel()
	in, client := service(t)
	logstore(t, client)
	w := writer(t, in, func(o *devicelog.Options) { o.Secret = "wrong" })
	w.Log(devicelog.Entry{Operation: "auth", Code: 401})
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if s := w.Stats(); s.Lost != 1 || s.Written != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestDeadService: with a service that hangs, Log does not block, buffers stay bounded, failures are kept when successes are not, and Close
// ends when it must.
func TestDeadService(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var hits atomic.Int32
	dead := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1); <-release }))
	defer dead.Close()
	defer close(release)
	w, err := devicelog.New(devicelog.Options{Endpoint: slstest.Endpoint, Dial: dead.Listener.Addr().String(), Project: "relink", AccessKeyID: "a", Secret: "b", Success: "all"})
	if err != nil {
		t.Fatal(err)
	}
	const n = 60_000
	for i := range n {
		code := 200
		if i%6 == 0 {
			code = 460
		}
		w.Log(devicelog.Entry{At: int64(i + 1), Operation: "uplink", Code: code}) // 60 seconds by their clock
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := w.Close(ctx); err == nil {
		t.Error("close had no error")
	}
	s := w.Stats()
	if s.DroppedSuccesses == 0 || s.DroppedFailures != 0 || s.Written != 0 || s.Lost+s.DroppedSuccesses != n {
		t.Errorf("stats %+v", s)
	}
	if hits.Load() == 0 {
		t.Error("the service was never asked")
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []devicelog.Options{
		{},
		{Endpoint: "http://x", Project: "p", AccessKeyID: "a"},
		{Endpoint: "http://x", Project: "p", AccessKeyID: "a", Secret: "b", Success: "some"},
		{Endpoint: "http://", Project: "p", AccessKeyID: "a", Secret: "b"},
	} {
		if _, err := devicelog.New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	var none *devicelog.Writer
	none.Log(devicelog.Entry{})
	if err := none.Close(t.Context()); err != nil || none.Stats() != (devicelog.Stats{}) {
		t.Error("the nil writer does something")
	}
}

func BenchmarkLog(b *testing.B) {
	in, client := service(b)
	logstore(b, client)
	for _, success := range []string{"all", "auto", "none"} {
		b.Run(success, func(b *testing.B) {
			w := writer(b, in, func(o *devicelog.Options) { o.Success = success })
			e := devicelog.Entry{Device: iot.DeviceRef{ProductKey: "a1", DeviceName: "dev-1"}, MessageID: "1234567890", Operation: "uplink",
				Topic: "/sys/a1/dev-1/thing/event/property/post", Code: 200, LatencyMS: 2.25, Bytes: 200, QoS: 1}
			b.ReportAllocs()
			for b.Loop() {
				e.At = time.Now().UnixMilli()
				w.Log(e)
			}
			b.StopTimer()
			if err := w.Close(context.Background()); err != nil {
				b.Error(err)
			}
			b.ReportMetric(float64(w.Stats().Written)/float64(b.N), "written/op")
		})
	}
}
