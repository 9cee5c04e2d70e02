package tablestore

import (
	"crypto/md5"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"strconv"
)

// readBody reads the body into buf, up to the limit.
func readBody(buf []byte, r *http.Request) ([]byte, *failure) {
	if r.ContentLength > maxBody {
		return buf, fail(codeBodyTooLarge)
	}
	if n := int(r.ContentLength); n > cap(buf) {
		buf = make([]byte, 0, n)
	}
	for {
		if len(buf) == cap(buf) {
			if int64(len(buf)) == r.ContentLength {
				return buf, nil
			}
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if len(buf) > maxBody {
			return buf, fail(codeBodyTooLarge)
		}
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, fail(codeRequestTimeout)
		}
	}
}

// respond writes rq.out with the service's headers.
func (s *Server) respond(w http.ResponseWriter, rq *request, requestID string, status int) {
	sum := md5.Sum(rq.out)
	h := responseHeaders{
		md5:       base64.StdEncoding.EncodeToString(sum[:]),
		date:      s.opts.Clock().UTC().Format("2006-01-02T15:04:05.000Z"),
		requestID: requestID,
	}
	header := w.Header()
	header["X-Ots-Contentmd5"] = []string{h.md5}
	header["X-Ots-Contenttype"] = []string{contentType}
	header["X-Ots-Date"] = []string{h.date}
	header["X-Ots-Requestid"] = []string{h.requestID}
	header["Authorization"] = []string{s.auth.signResponse(rq.op, h)}
	header["Content-Type"] = []string{"application/x-protobuf"}
	header["Content-Length"] = []string{strconv.Itoa(len(rq.out))}
	w.WriteHeader(status)
	n, err := w.Write(rq.out)
	s.stats.bytesOut.Add(int64(n))
	if err != nil {
		s.log.Debug("response not delivered", "request_id", requestID, "operation", rq.op, "error", err)
	}
}

func (s *Server) logFailure(r *http.Request, rq *request, requestID string, f *failure) {
	level := slog.LevelDebug
	switch f.code {
	case codeAuthFailed, codeMissingHeader, codeUnsupportOperation:
		level = slog.LevelWarn
	case codeParameterInvalid, codeInvalidPK:
		level = slog.LevelInfo
	}
	if !s.log.Enabled(r.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", requestID), slog.String("operation", rq.op),
		slog.String("code", f.name), slog.String("reason", f.text), slog.String("remote", r.RemoteAddr),
	}
	if f.code == codeAuthFailed {
		attrs = append(attrs, slog.String("string_to_sign", stringToSign(r)))
	}
	s.log.LogAttrs(r.Context(), level, "request refused", attrs...)
}
