// Package slstest runs the SLS emulator in tests. It does not import the SDK; a
// test gives the SDK's client the HTTPClient of an Instance and any endpoint name.
package slstest

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"relink/localstack/sls"
)

// Endpoint is an endpoint to give to clients; it never resolves, the HTTPClient
// of an Instance dials the emulator whatever the name.
const Endpoint = "http://cn-hangzhou.log.aliyuncs.com"

// An Instance is an emulator on a loopback port.
type Instance struct {
	*sls.Server
	Addr            string // host:port to dial whatever the host name is
	URL             string // http://Addr, also usable as HTTP proxy
	AccessKeyID     string
	AccessKeySecret string
	client          *http.Client
}

// Start runs an emulator until the test ends. Options of zero mean memory and the
// default key pair.
func Start(t testing.TB, o sls.Options) *Instance {
	t.Helper()
	s, err := sls.Open(o)
	if err != nil {
		t.Fatalf("open sls emulator: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close sls emulator: %v", err)
		}
	})
	return Serve(t, s, o)
}

// Serve gives an open server a loopback port until the test ends; the caller
// closes the server. Options are those it was opened with.
func Serve(t testing.TB, s *sls.Server, o sls.Options) *Instance {
	t.Helper()
	web := httptest.NewServer(s)
	in := &Instance{Server: s, Addr: web.Listener.Addr().String(), URL: web.URL, AccessKeyID: o.AccessKeyID, AccessKeySecret: o.AccessKeySecret}
	if in.AccessKeyID == "" {
		in.AccessKeyID, in.AccessKeySecret = sls.DefaultAccessKeyID, sls.DefaultAccessKeySecret
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, in.Addr)
		},
	}
	in.client = &http.Client{Transport: transport, Timeout: time.Minute}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		web.Close()
	})
	return in
}

// HTTPClient returns a client that dials the emulator for every host name.
func (in *Instance) HTTPClient() *http.Client { return in.client }
