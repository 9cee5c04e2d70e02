// Package downlink is the internal API of this connector: what functions, and other connectors, want of the devices that are
// connected here. What it speaks is defined in relink/shared/downlink. A request touches the connection of the device that it
// names and no other ("The way down" in the design). The one call that goes out, to the connector that had a session before, is in
// peers.go.
package downlink

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"relink/connector/session"
	"relink/shared/config"
	"relink/shared/device"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/logs"
)

// A Server answers the internal API.
type Server struct {
	Registry *session.Registry
	Drops    *session.Drops // of devices that are disabled or deleted; the same that logins ask
	Journal  session.Journal
	Logger   *slog.Logger
	Key      config.Key
	Meter    Meter
	Now      func() time.Time
	Classes  Classes // of the products whose devices are connected here
	Tokens   Tokens  // what is known of devices without a connection; nil: nothing
}

// Tokens are what is known of devices that speak with a token; *token.Keeper has it.
type Tokens interface{ Forget(ref iot.DeviceRef) }

// Classes are topic classes of products that change while sessions last; *mqtt.Server has them.
type Classes interface {
	ChangeClasses(pk iot.ProductKey, revision int64, list []device.TopicClass)
}

// A Meter counts requests.
type Meter interface {
	Downlink(path string, state downlink.State)
}

// Handler serves the API's paths.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+downlink.PathPublish, func(w http.ResponseWriter, r *http.Request) {
		var p downlink.Publish
		if s.read(w, r, &p) {
			s.answer(w, r, s.publish(r.Context(), &p))
		}
	})
	mux.HandleFunc("POST "+downlink.PathDrop, func(w http.ResponseWriter, r *http.Request) {
		var d downlink.Drop
		if s.read(w, r, &d) {
			s.answer(w, r, s.drop(&d))
		}
	})
	mux.HandleFunc("POST "+downlink.PathBroadcast, func(w http.ResponseWriter, r *http.Request) {
		var b downlink.Broadcast
		if s.read(w, r, &b) {
			s.answer(w, r, s.broadcast(r.Context(), &b))
		}
	})
	mux.HandleFunc("POST "+downlink.PathClasses, func(w http.ResponseWriter, r *http.Request) {
		var t downlink.Classes
		if s.read(w, r, &t) {
			s.Classes.ChangeClasses(t.ProductKey, t.Revision, t.Topics)
			s.answer(w, r, downlink.Outcome{State: downlink.Sent})
		}
	})
	mux.HandleFunc("POST "+downlink.PathForget, func(w http.ResponseWriter, r *http.Request) {
		var f downlink.Forget
		if s.read(w, r, &f) {
			s.forget(f.Ref())
			s.answer(w, r, downlink.Outcome{State: downlink.Sent})
		}
	})
	return mux
}

func (s *Server) forget(ref iot.DeviceRef) {
	if s.Tokens != nil {
		s.Tokens.Forget(ref)
	}
}

// read verifies and decodes a request; if it cannot, it has answered.
func (s *Server) read(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, downlink.MaxBody))
	if err != nil {
		status := http.StatusBadRequest
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "request is not readable", status)
		return false
	}
	if err := downlink.Verify(r, s.Key, body, s.Now()); err != nil {
		s.Logger.LogAttrs(r.Context(), slog.LevelWarn, "internal request refused", slog.String("path", r.URL.Path), slog.String(logs.FieldRemote, r.RemoteAddr), logs.Err(err))
		http.Error(w, "not signed", http.StatusUnauthorized)
		return false
	}
	if err := json.Unmarshal(body, into); err != nil {
		http.Error(w, "not JSON of this request", http.StatusBadRequest)
		return false
	}
	return true
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, o downlink.Outcome) {
	s.Meter.Downlink(r.URL.Path, o.State)
	body, err := json.Marshal(o)
	if err != nil {
		http.Error(w, "answer is not encodable", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(body); err != nil {
		s.Logger.LogAttrs(r.Context(), slog.LevelInfo, "internal request answered too late", slog.String("path", r.URL.Path), logs.Err(err))
	}
}
