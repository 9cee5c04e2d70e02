package fc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"sync"
)

// An eventBody lends an event to net/http for one invocation. The transport may go on reading a request's body after it has
// returned (an early answer, a cancelled context); detach takes the bytes back, so that the caller may reuse them.
type eventBody struct {
	mu    sync.Mutex
	event []byte // nil once detached
}

var errDetached = errors.New("fc: invocation is over")

func (b *eventBody) detach() {
	b.mu.Lock()
	b.event = nil
	b.mu.Unlock()
}

// reader begins at the first byte again; each is used by one goroutine.
func (b *eventBody) reader() io.ReadCloser { return &eventReader{body: b} }

type eventReader struct {
	body *eventBody
	off  int
}

func (r *eventReader) Read(p []byte) (int, error) {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	if r.body.event == nil {
		return 0, errDetached
	}
	if r.off >= len(r.body.event) {
		return 0, io.EOF
	}
	n := copy(p, r.body.event[r.off:])
	r.off += n
	return n, nil
}

func (r *eventReader) Close() error { return nil }

// unwrap takes the bytes out of what a runtime makes of them. The built-in runtime go1 marshals a handler's []byte to JSON, so
// that it arrives as a quoted base64 text; custom runtimes hand bytes through. Our own encodings never begin with a quotation
// mark (package record).
func unwrap(raw []byte) ([]byte, error) {
	if len(raw) == 0 || raw[0] != '"' {
		return raw, nil
	}
	quoted := bytes.TrimRight(raw, "\r\n\t ")
	if len(quoted) >= 2 && quoted[len(quoted)-1] == '"' {
		text := quoted[1 : len(quoted)-1]
		out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
		if n, err := base64.StdEncoding.Decode(out, text); err == nil {
			return out[:n], nil
		}
	}
	var out []byte // with escapes in it
	err := json.Unmarshal(quoted, &out)
	return out, err
}
