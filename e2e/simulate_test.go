package e2e

import (
	"encoding/json"
	"testing"
)

// The simulated devices of each protocol that the system serves get all their posts stored.
func TestSimulate(t *testing.T) {
	t.Parallel()
	s := sharedSystem(t)
	served := map[string]string{"mqtt": "RELINK_MQTT", "coap": "RELINK_COAP", "coaps": "RELINK_COAPS", "http": "RELINK_HTTP", "https": "RELINK_HTTPS"}
	for protocol, variable := range served {
		if s.env[variable] == "" {
			continue // its variable is empty as long as localstack does not serve it
		}
		t.Run(protocol, func(t *testing.T) {
			variants := [][]string{nil}
			if protocol == "coaps" {
				variants = append(variants, []string{"--psk"})
			}
			for _, more := range variants {
				args := append([]string{"simulate", "--protocol", protocol, "--devices", "2", "--every", "300ms", "--duration", "1s", "--product", "simulate_" + protocol, "-o", "json"}, more...)
				out := s.relink(t, args...)
				var n struct{ Sent, Acked, Replied, Failed, Declined, TimedOut int64 }
				if err := json.Unmarshal([]byte(out), &n); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				replies := n.Acked
				if protocol == "http" || protocol == "https" {
					replies = 0 // the reply of a post is not delivered there
				}
				if n.Sent < 4 || n.Acked != n.Sent || n.Replied != replies || n.Failed+n.Declined+n.TimedOut != 0 {
					t.Errorf("%v: %+v", more, n)
				}
			}
		})
	}
}
