// Package download is the connector's download door: devices fetch firmware, configurations and other files here, by the short URLs
// that package shared/download makes ("Download URL and server"). It speaks what the HTTP clients of shipped SDKs can take: HTTP/1.1,
// plain or TLS on one port by the first byte, an exact Content-Length, Range, few and short headers, no redirect, no chunks, no HTTP/2.
//
// A file is read from the object storage piece by piece, each when the one before is with the device: a device that writes flash for
// minutes between two reads costs one buffer here, and no connection there.
package download

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"golang.org/x/time/rate"

	"relink/connector/limits"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/objects"
	"relink/shared/refusal"
)

// Limits.
const (
	pieceBytes    = 128 << 10
	stallTimeout  = 10 * time.Minute // a device may pause for minutes while it writes flash
	headerTimeout = 10 * time.Second
	idleTimeout   = 6 * time.Minute // between two requests of one connection; one that was refused is closed at once
	maxHeader     = 4 << 10
)

// A Source is where files are; objects.Bucket has it.
type Source interface {
	Stat(ctx context.Context, key string) (objects.Info, error)
	Read(ctx context.Context, key string, offset int64, limit int) ([]byte, error)
}

// An Opener checks the path of a URL and gives the key of the object; *download.Signer of package shared/download is one.
type Opener interface {
	Open(path string) (key string, err error)
}

// Options of a door.
type Options struct {
	Files Source
	URLs  Opener
	TLS   *tls.Config // nil: plain only
	// PerSource bounds the connections from one address (an IPv6 /64 counts as one), so that one stranger does not take all that
	// there are; 0: no bound. ExemptLoopback exempts those of this machine.
	PerSource      int
	ExemptLoopback bool
	Log            *slog.Logger
	Metrics        prometheus.Registerer
}

// A Door is the handler. Make it with New.
type Door struct {
	files    Source
	urls     Opener
	tls      *tls.Config
	source   int  // connections of one address
	loopback bool // is exempt
	log      *slog.Logger
	lines    *rate.Limiter // of the log: what strangers can cause must not fill it
	requests *prometheus.CounterVec
	bytes    prometheus.Counter
}

// New makes a door.
func New(o Options) *Door {
	d := &Door{
		files: o.Files, urls: o.URLs, log: o.Log, lines: rate.NewLimiter(5, 20), source: o.PerSource, loopback: o.ExemptLoopback,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "relink_downloads_total", Help: "Requests of the download door by status."}, []string{"status"}),
		bytes:    prometheus.NewCounter(prometheus.CounterOpts{Name: "relink_download_bytes_total", Help: "Bytes of files that were written to devices."}),
	}
	if o.TLS != nil {
		d.tls = o.TLS.Clone()
		d.tls.NextProtos = nil // no HTTP/2
	}
	o.Metrics.MustRegister(d.requests, d.bytes)
	return d
}

// Server makes the HTTP server of a door; its listener is to be one that Listen made.
func (d *Door) Server() *http.Server {
	return &http.Server{
		Handler: d, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
}

// Listen bounds the connections of a listener: more in all wait to be accepted, more from one address are closed. It finds out by their first byte whether they speak TLS.
func (d *Door) Listen(l net.Listener, connections int) net.Listener {
	if d.source > 0 {
		// Nobody has to make room for another: what is counted below LimitListener is never more than connections.
		l = &sourced{Listener: l, counts: limits.NewOpenings(connections, d.source, d.loopback), refused: d.crowded}
	}
	return &sniffer{Listener: netutil.LimitListener(l, connections), tls: d.tls}
}

// ServeHTTP answers GET and HEAD.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Date"] = nil // every line counts: all headers together are to stay below 1000 bytes
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		d.refuse(w, r, http.StatusMethodNotAllowed, nil)
		return
	}
	key, err := d.urls.Open(r.URL.Path)
	if err != nil {
		d.refuse(w, r, http.StatusForbidden, err)
		return
	}
	info, err := d.files.Stat(r.Context(), key)
	switch {
	case errors.Is(err, objects.ErrNotFound):
		d.refuse(w, r, http.StatusNotFound, refusal.New(refusal.DownloadMissing, key))
		return
	case err != nil:
		d.failed(r, key, err)
		w.Header().Set("Retry-After", "5")
		d.refuse(w, r, http.StatusServiceUnavailable, nil)
		return
	}
	d.send(w, r, key, info)
}

func (d *Door) send(w http.ResponseWriter, r *http.Request, key string, info objects.Info) {
	part, ranged, err := parseRange(r.Header.Get("Range"), info.Size)
	h := w.Header()
	if err != nil {
		h.Set("Content-Range", "bytes */"+strconv.FormatInt(info.Size, 10))
		d.refuse(w, r, http.StatusRequestedRangeNotSatisfiable, nil)
		return
	}
	h.Set("Content-Length", strconv.FormatInt(part.length, 10))
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Accept-Ranges", "bytes")
	status := http.StatusOK
	if ranged {
		status = http.StatusPartialContent
		h.Set("Content-Range", part.header(info.Size))
	}
	d.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return
	}
	d.stream(w, r, key, part, status)
}

// stream writes a part of a file. Once the header is out, only the end of the connection can tell the device of a failure; it comes
// again with a Range.
func (d *Door) stream(w http.ResponseWriter, r *http.Request, key string, part span, status int) {
	deadlines := http.NewResponseController(w)
	begun := false
	for part.length > 0 || !begun {
		piece, err := d.piece(r.Context(), key, part.offset, int(min(part.length, pieceBytes)))
		if err != nil {
			d.failed(r, key, err)
			if !begun {
				clear(w.Header())
				w.Header()["Date"] = nil
				d.refuse(w, r, http.StatusServiceUnavailable, nil)
				return
			}
			panic(http.ErrAbortHandler) // net/http ends the connection
		}
		if !begun {
			begun = true
			w.WriteHeader(status)
		}
		if err := deadlines.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil {
			panic(http.ErrAbortHandler) // the connection is broken
		}
		n, err := w.Write(piece)
		d.bytes.Add(float64(n))
		if err != nil {
			return // the device has gone
		}
		part.offset, part.length = part.offset+int64(n), part.length-int64(n)
	}
}

// piece reads what must be there. The object storage's client makes several tries by itself where that helps.
func (d *Door) piece(ctx context.Context, key string, offset int64, n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	piece, err := d.files.Read(ctx, key, offset, n)
	if err == nil && len(piece) != n {
		err = iot.Errorf(iot.Internal, "the object is shorter than it was")
	}
	return piece, err
}

// refuse answers in a line of text. Refusals are logged, but no more than a few a second.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, status int, why error) {
	d.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	text := http.StatusText(status) + "\n"
	if cause := refusal.CauseOf(why); cause != "" {
		text = string(cause) + "\n"
		if d.lines.Allow() {
			d.log.LogAttrs(r.Context(), slog.LevelInfo, "download refused", slog.String(logs.FieldReason, string(cause)), logs.Err(why),
				slog.String("remote", r.RemoteAddr), slog.Int("code", status))
		}
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(text)) // the device has gone if this fails
	}
}

func (d *Door) failed(r *http.Request, key string, err error) {
	if r.Context().Err() != nil || !d.lines.Allow() {
		return
	}
	d.log.LogAttrs(r.Context(), slog.LevelError, "download failed", slog.String("object", key), slog.String("remote", r.RemoteAddr), logs.Err(err))
}
