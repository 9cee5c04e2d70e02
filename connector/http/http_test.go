package http

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"relink/connector/limits"
	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/record"
	"relink/shared/refusal"
)

// fakeAuth refuses with a cause, or gives out.
type fakeAuth struct{ cause refusal.Cause }

func (f fakeAuth) Submit(_ context.Context, _ string, r record.Record, done func(record.Result, error)) error {
	if f.cause != "" {
		data, err := json.Marshal(device.Refusal{Cause: string(f.cause)})
		done(record.Result{Code: 400, Data: data}, err)
		return nil
	}
	var given any = device.PreAuthenticated{IotID: "iot1", IotToken: "token"}
	if r.Topic == device.TopicRegister {
		given = device.Registered{ProductKey: r.Device.ProductKey, DeviceName: r.Device.DeviceName, DeviceSecret: "secret"}
	}
	data, err := json.Marshal(given)
	done(record.Result{Code: 200, Data: data}, err)
	return nil
}

type journal struct {
	mu     sync.Mutex
	events []session.Event
}

func (j *journal) Record(e session.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

// exchange sends one request to a server and gives the whole answer.
func exchange(t *testing.T, f fakeAuth, log *journal, budget *limits.Budget, request string) string {
	t.Helper()
	s := New(Options{Dispatcher: f, Journal: log, Budget: budget, NextID: func(int64) string { return "1" }, Logger: slog.New(slog.DiscardHandler)})
	client, server := net.Pipe()
	s.Serve(server, netip.MustParseAddrPort("192.0.2.1:5"), "tcp")
	go func() { _, _ = io.WriteString(client, request) }() // an answer may come before all of it is read
	if err := client.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(client)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	return string(answer)
}

func post(path, body string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: 127.0.0.1:1883\r\nConnection: close\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestAnswers(t *testing.T) {
	t.Parallel()
	const form = "productKey=a1B2c3D4e5F&deviceName=lamp-001&random=1&sign=00&signMethod=hmacsha256"
	const registered = `{"code":200,"data":{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","deviceSecret":"secret"},"message":"success"}`
	for name, c := range map[string]struct {
		cause                     refusal.Cause
		path, body, status, wants string
	}{
		"form":            {"", "/auth/register/device", form, "200 OK", registered},
		"json":            {"", "/auth/register/device", `{"productKey":"a1B2c3D4e5F","deviceName":"lamp-001","random":1}`, "200 OK", registered},
		"preauth":         {"", "/auth/devicename", form, "200 OK", `{"code":200,"data":{"iotId":"iot1","iotToken":"token","resources":{"mqtt":{"host":"127.0.0.1","port":1883}}},"message":"success"}`},
		"bootstrap":       {"", "/auth/bootstrap", form, "200 OK", `{"code":200,"data":{"resources":{"mqtt":{"host":"127.0.0.1","port":1883}}},"message":"success"}`},
		"too_large":       {"", "/auth/register/device", strings.Repeat("x", maxBody+1), "200 OK", `{"code":460,"message":"request parameter error"}`},
		"broken_json":     {"", "/auth/register/device", `{"productKey":`, "200 OK", `{"code":460,"message":"request parameter error"}`},
		"missing":         {refusal.RegistrationMalformed, "/auth/register/device", "", "200 OK", `{"code":460,"message":"request parameter error"}`},
		"product":         {refusal.ProductNotFound, "/auth/register/device", form, "200 OK", `{"code":6250,"message":"product not found"}`},
		"device":          {refusal.DeviceNotFound, "/auth/register/device", form, "200 OK", `{"code":6100,"message":"device not found"}`},
		"off":             {refusal.RegistrationOff, "/auth/register/device", form, "200 OK", `{"code":6288,"message":"dynamic registration not allowed"}`},
		"activated":       {refusal.AlreadyActivated, "/auth/register/device", form, "200 OK", `{"code":6289,"message":"device already activated"}`},
		"method":          {refusal.SignMethodUnknown, "/auth/register/device", form, "200 OK", `{"code":6292,"message":"unsupported sign method"}`},
		"sign":            {refusal.RegistrationSignMismatch, "/auth/register/device", form, "200 OK", `{"code":6600,"message":"signature check failed"}`},
		"down":            {refusal.BackendUnavailable, "/auth/register/device", form, "200 OK", `{"code":500,"message":"server error"}`},
		"preauth_sign":    {refusal.SignMismatch, "/auth/devicename", form, "200 OK", `{"code":401,"message":"request auth error"}`},
		"preauth_product": {refusal.ProductNotFound, "/auth/devicename", form, "200 OK", `{"code":401,"message":"request auth error"}`},
		"unknown_path":    {"", "/nothing", form, "404 Not Found", "not found\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := new(journal)
			answer := exchange(t, fakeAuth{c.cause}, log, limits.NewBudget(limits.DefaultBudget()), post(c.path, c.body))
			head, body, _ := strings.Cut(answer, "\r\n\r\n")
			if !strings.HasPrefix(head, "HTTP/1.1 "+c.status+"\r\n") || body != c.wants {
				t.Errorf("%q\nwant %s %s", answer, c.status, c.wants)
			}
			if len(head) > 512 || strings.Contains(strings.ToLower(head), "transfer-encoding") || !strings.Contains(head, "\r\nContent-Length: "+itoa(len(body))) {
				t.Errorf("headers %q", head)
			}
			if len(log.events) != 1 || strings.Contains(body, `"code":200`) != (log.events[0].Reason == "") {
				t.Fatalf("log %+v", log.events)
			}
			want := c.cause
			switch name {
			case "too_large", "broken_json":
				want = refusal.HTTPMalformed
			case "unknown_path":
				want = refusal.HTTPPathUnknown
			}
			if e := log.events[0]; e.Reason != want || e.RemoteAddr != "192.0.2.1:5" {
				t.Errorf("logged as %s from %s, want %s", e.Reason, e.RemoteAddr, want)
			}
		})
	}
}

// TestBudget refuses a source that fails too often before anybody is asked.
func TestBudget(t *testing.T) {
	t.Parallel()
	budget := limits.NewBudget(limits.BudgetOptions{Burst: 1, PerMinute: 1, MaxSources: 10})
	log := new(journal)
	for _, want := range []string{`{"code":6600,`, `{"code":429,`} {
		answer := exchange(t, fakeAuth{refusal.RegistrationSignMismatch}, log, budget, post("/auth/register/device", "productKey=a&deviceName=b"))
		if _, body, _ := strings.Cut(answer, "\r\n\r\n"); !strings.HasPrefix(body, want) {
			t.Errorf("%q, want %s", body, want)
		}
	}
}

func FuzzParseParams(f *testing.F) {
	for _, s := range []string{"", "a=b&c=d", `{"a":"b","n":1,"x":[1]}`, "{", "%zz", "a=b;c=d", `{"a":1}{}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		params, err := parseParams(body)
		if err != nil && params != nil {
			t.Errorf("%q: %v and %v", body, params, err)
		}
	})
}
