// Package tablestoretest starts Tablestore emulators for tests, as net/http/httptest does servers.
package tablestoretest

import (
	"net/http/httptest"
	"testing"

	"relink/localstack/tablestore"
)

// Start runs an emulator on a free port until the test ends and returns its endpoint, "http://127.0.0.1:port". Requests
// are signed with the key pair of o, the default one if o names none, and may name any instance.
func Start(t testing.TB, o tablestore.Options) (endpoint string) {
	t.Helper()
	_, endpoint = StartServer(t, o)
	return endpoint
}

// StartServer is Start for tests that also set faults or read counters.
func StartServer(t testing.TB, o tablestore.Options) (s *tablestore.Server, endpoint string) {
	t.Helper()
	s, err := tablestore.Open(o)
	if err != nil {
		t.Fatalf("open tablestore: %v", err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		web.Close()
		if err := s.Close(); err != nil {
			t.Errorf("close tablestore: %v", err)
		}
	})
	return s, web.URL
}
