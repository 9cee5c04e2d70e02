package e2e

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"relink/scripts/load"
	"relink/shared/token"
)

// An httpSpeaker posts over HTTP or HTTPS.
type httpSpeaker struct {
	*httpDevice
	path, body string // of the last post
}

func openHTTP(t *testing.T, s *system, d load.Device) speaker {
	return &httpSpeaker{httpDevice: newHTTPDevice(t, s, d, s.env["RELINK_HTTP"])}
}

func openHTTPS(t *testing.T, s *system, d load.Device) speaker {
	return &httpSpeaker{httpDevice: newHTTPDevice(t, s, d, s.env["RELINK_HTTPS"])}
}

func (h *httpSpeaker) secret(secret string) { h.DeviceSecret = secret }

func (h *httpSpeaker) token(text string) (string, token.Family) {
	old := h.httpDevice.token
	h.httpDevice.token = text
	return old, token.HTTP
}

func (h *httpSpeaker) code(a httpAnswer) string {
	if a.Code == 0 {
		return accepted
	}
	return strconv.Itoa(a.Code)
}

func (h *httpSpeaker) login() string {
	h.t.Helper()
	return h.code(h.auth())
}

func (h *httpSpeaker) say(topic, payload, _ string) answer {
	h.t.Helper()
	h.path, h.body = topic, payload
	a := h.post(topic, payload)
	if a.Code != 0 {
		return answer{code: h.code(a), body: a.Message}
	}
	body := string(a.Info.Data)
	var text string
	if strings.HasPrefix(body, `"`) && json.Unmarshal(a.Info.Data, &text) == nil {
		body = text
	}
	return answer{code: accepted, body: body}
}

func (h *httpSpeaker) reconnect() error { return nil }

func (h *httpSpeaker) tell(string, string) bool { return false }

func (h *httpSpeaker) again() answer {
	h.t.Helper()
	return h.say(h.path, h.body, "")
}

// hear: there is no request by which the platform says what it has.
func (h *httpSpeaker) hear(string, time.Duration) (string, bool) { return "", false }

func (h *httpSpeaker) leave() { h.client.CloseIdleConnections() }
