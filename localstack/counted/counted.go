// Package counted is a response writer that the emulators count and mute with.
package counted

import "net/http"

// A Writer notes status and size; a muted one does not send anything.
type Writer struct {
	http.ResponseWriter
	Status int
	Bytes  int64
	Mute   bool
}

func (w *Writer) WriteHeader(status int) {
	w.Status = status
	if !w.Mute {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *Writer) Write(b []byte) (int, error) {
	if w.Status == 0 {
		w.Status = http.StatusOK
	}
	w.Bytes += int64(len(b))
	if w.Mute {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}
