package fileupload_test

import (
	"strings"
	"testing"
)

// TestMalformedDetail: the log names the member that is wrong.
func TestMalformedDetail(t *testing.T) {
	t.Parallel()
	f := setUp(t, 0)
	for _, c := range []struct{ verb, payload, want string }{
		{"init", `{"id":"1","params":{"fileName":"a.bin","fileSize":"x"}}`, "fileSize"},
		{"init", `{"id":"1","params":{"fileName":"a.bin","conflictStrategy":"x"}}`, "conflictStrategy"},
		{"init", `{"id":"1","params":{"fileName":"a.bin","ficMode":"md5","ficValue":"0"}}`, "ficMode"},
		{"init", `{"id":"1","params":{"fileName":"a.bin","ficMode":"crc64","ficValue":"0"}}`, "ficValue"},
		{"send", frame("", 0, []byte("x"), true), "uploadId is missing"},
		{"send", "\x00", "shorter than its header"},
	} {
		r, reply := f.serve(c.verb, c.payload, "m1")
		if r.Code != 460 || !strings.Contains(r.Detail, c.want) || strings.Contains(reply, c.want+" is") {
			t.Errorf("%s %q: code %d, detail %q, want %q; reply %s", c.verb, c.payload, r.Code, r.Detail, c.want, reply)
		}
	}
}
