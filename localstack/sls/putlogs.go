package sls

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// putLogs is PutLogs and, with a hash key, PostLogStoreLogs: there is one shard.
func (s *Server) putLogs(q *request) error {
	ls, err := s.lookup(q.project, q.arg("logstore"))
	if err != nil {
		return err
	}
	if len(q.body) == 0 {
		return fail(PostBodyInvalid, "empty")
	}
	if ct := q.r.Header.Get("Content-Type"); ct != "application/x-protobuf" {
		return fail(InvalidContentType, ct)
	}
	size, err := strconv.Atoi(q.r.Header.Get("x-log-bodyrawsize"))
	if err != nil || size < 0 {
		return fail(InvalidBodyRawSize, q.r.Header.Get("x-log-bodyrawsize"))
	}
	if size > maxGroupBytes {
		return fail(PostBodyTooLarge, strconv.Itoa(size))
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	raw, err := decompress(q.r.Header.Get("x-log-compresstype"), q.body, size, buf)
	if err != nil {
		return err
	}
	ip, _, err := net.SplitHostPort(q.r.RemoteAddr)
	if err != nil {
		ip = q.r.RemoteAddr // a test's own address
	}
	if err := s.store(ls, raw, ip); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusOK)
	return nil
}

// decompress returns the size bytes that body holds; the result may alias body
// or *buf.
func decompress(kind string, body []byte, size int, buf *[]byte) ([]byte, error) {
	if kind == "" {
		if len(body) != size {
			return nil, fail(InvalidBodyRawSize, fmt.Sprintf("%d, the body has %d bytes", size, len(body)))
		}
		return body, nil
	}
	// An empty LogGroup is never compressed, and the LZ4 decoder must not be given
	// a nil destination: its bounds check wraps around at address 0.
	if size <= 0 {
		return nil, fail(InvalidBodyRawSize, strconv.Itoa(size))
	}
	if cap(*buf) < size {
		*buf = make([]byte, size)
	}
	dst := (*buf)[:size]
	n := 0
	var err error
	switch strings.ToLower(kind) {
	case "lz4": // one raw block without a frame
		n, err = lz4.UncompressBlock(body, dst)
	case "zstd":
		var out []byte
		if out, err = zstdReader().DecodeAll(body, dst[:0]); err == nil {
			n = len(out)
			dst = out
		}
	case "deflate":
		n, err = inflate(body, dst)
	default:
		return nil, fail(InvalidCompressType, kind)
	}
	if err != nil {
		return nil, fail(PostBodyUncompressError, err)
	}
	if n != size {
		return nil, fail(InvalidBodyRawSize, fmt.Sprintf("%d, the body decompresses to %d", size, n))
	}
	return dst, nil
}

// inflate decompresses zlib data, which is what the service calls deflate.
func inflate(body, dst []byte) (int, error) {
	r, err := zlib.NewReader(bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(r, dst)
	if err == io.ErrUnexpectedEOF || err == io.EOF {
		return n, nil // the caller compares the size
	}
	if err != nil {
		return n, err
	}
	if extra, _ := r.Read(make([]byte, 1)); extra > 0 {
		return n + extra, nil
	}
	return n, r.Close()
}

// The zstd codecs hold no goroutine or file, serve any number of callers and
// cost a megabyte, so there is one of each.
var (
	zstdReader = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*maxGroupBytes))
		if err != nil {
			panic(err) // the options are constant
		}
		return d
	})
	zstdWriter = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if err != nil {
			panic(err) // the options are constant
		}
		return e
	})
)

// writeCompressed answers body in the first encoding that the client takes of lz4
// and zstd, with the headers that say so, or plainly if it takes neither.
func writeCompressed(q *request, contentType string, body []byte) error {
	h := q.w.Header()
	for accepted := range strings.SplitSeq(q.r.Header.Get("Accept-Encoding"), ",") {
		kind := strings.ToLower(strings.TrimSpace(accepted))
		var out []byte
		switch kind {
		case "lz4":
			out = compressBlock(body)
		case "zstd":
			out = zstdWriter().EncodeAll(body, nil)
		default:
			continue
		}
		h.Set("x-log-compresstype", kind)
		h.Set("x-log-bodyrawsize", strconv.Itoa(len(body)))
		writeBody(q.w, http.StatusOK, contentType, out)
		return nil
	}
	writeBody(q.w, http.StatusOK, contentType, body)
	return nil
}

// compressBlock returns an LZ4 block; what does not shrink becomes one literal.
func compressBlock(body []byte) []byte {
	out := make([]byte, lz4.CompressBlockBound(len(body))+16)
	if n, err := lz4.CompressBlock(body, out, nil); err == nil && n > 0 {
		return out[:n]
	}
	out = out[:0]
	n := len(body)
	if n < 15 {
		return append(append(out, byte(n<<4)), body...)
	}
	out = append(out, 0xF0)
	for n -= 15; n >= 255; n -= 255 {
		out = append(out, 255)
	}
	return append(append(out, byte(n)), body...)
}
