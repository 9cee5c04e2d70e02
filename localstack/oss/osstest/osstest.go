// Package osstest runs the OSS emulator in tests. It does not import the SDK.
package osstest

import (
	"net/http/httptest"
	"testing"

	"relink/localstack/oss"
)

// An Instance is an emulator on a loopback port.
type Instance struct {
	*oss.Server
	Addr            string // host:port
	URL             string // http://Addr; as an SDK endpoint it means path style
	AccessKeyID     string
	AccessKeySecret string
}

// Start runs an emulator until the test ends. Options of zero mean a temporary
// directory and the default key pair.
func Start(t testing.TB, o oss.Options) *Instance {
	t.Helper()
	s, err := oss.Open(o)
	if err != nil {
		t.Fatalf("open oss emulator: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close oss emulator: %v", err)
		}
	})
	return Serve(t, s, o)
}

// Serve gives an open server a loopback port until the test ends; the caller
// closes the server. Options are those it was opened with.
func Serve(t testing.TB, s *oss.Server, o oss.Options) *Instance {
	t.Helper()
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	in := &Instance{Server: s, Addr: web.Listener.Addr().String(), URL: web.URL, AccessKeyID: o.AccessKeyID, AccessKeySecret: o.AccessKeySecret}
	if in.AccessKeyID == "" {
		in.AccessKeyID, in.AccessKeySecret = oss.DefaultAccessKeyID, oss.DefaultAccessKeySecret
	}
	return in
}
