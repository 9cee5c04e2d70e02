package gateway

import (
	"encoding/json"
	"strings"
	"time"

	"relink/shared/iot"
	"relink/shared/refusal"
)

// A notice is what a gateway hears on /ext/error ("When a sub-device loses its session").
type notice struct {
	code    int
	message string
}

var noSession = notice{520, "device session error"}

// noticeOf is what a gateway is told when a sub-device of it loses its session. Causes that only this platform has are told as 520:
// after that code C3 logs the sub-device in again.
func noticeOf(cause refusal.Cause) notice {
	switch cause {
	case refusal.TakenOver:
		return notice{427, "device connect in elsewhere"}
	case refusal.Deleted:
		return notice{521, "device deleted"}
	case refusal.Disabled:
		return notice{522, "device forbidden"}
	case refusal.TopologyRemoved:
		return notice{6401, "topo relation not exist"}
	case refusal.GatewayFull:
		return notice{428, "too many subdevices under gateway"}
	}
	return noSession
}

const (
	strayPause = 10 * time.Second // between two notices about one sub-device ("at most one per sub-device per 10 s")
	maxStrays  = 2048             // sub-devices about which a gateway was told in that time; about more it is not
)

// Stray tells the gateway that it spoke for a device that is not logged in. now is the time of Check.
func (g *Gateway) Stray(ref iot.DeviceRef, now time.Duration) {
	g.mu.Lock()
	at, told := g.strays[ref]
	if told && now-at < strayPause {
		g.mu.Unlock()
		return
	}
	if !told && len(g.strays) >= maxStrays {
		if now-g.swept > time.Second { // it costs too much for every message
			g.swept = now
			g.forgetStrays(now)
		}
	}
	if g.closed || !told && len(g.strays) >= maxStrays {
		g.mu.Unlock()
		return
	}
	if g.strays == nil {
		g.strays = make(map[iot.DeviceRef]time.Duration)
	}
	g.strays[iot.DeviceRef{ProductKey: iot.ProductKey(strings.Clone(string(ref.ProductKey))), DeviceName: iot.DeviceName(strings.Clone(string(ref.DeviceName)))}] = now
	g.mu.Unlock()
	g.tell(noSession, ref)
}

// forgetStrays forgets what is long ago. The lock is held.
func (g *Gateway) forgetStrays(now time.Duration) {
	for ref, at := range g.strays {
		if now-at >= strayPause {
			delete(g.strays, ref)
		}
	}
	if len(g.strays) == 0 {
		g.strays = nil // a map never shrinks
	}
}

// tell publishes a notice on the gateway's connection, at QoS 0: the gateway is told again when it next uses the sub-device's topics.
func (g *Gateway) tell(n notice, about iot.DeviceRef) {
	type data struct {
		ProductKey iot.ProductKey `json:"productKey"`
		DeviceName iot.DeviceName `json:"deviceName"`
	}
	payload, err := json.Marshal(struct {
		ID      string `json:"id"`
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    data   `json:"data"`
	}{"0", n.code, n.message, data{about.ProductKey, about.DeviceName}})
	if err != nil {
		return // strings and a number: it cannot fail
	}
	g.own.Publish("/ext/error/"+g.own.Ref.String(), payload, 0)
}
