package mqtt_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"relink/connector/limits"
	"relink/connector/mqtt"
	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/refusal"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	n := start(t)
	for _, version := range []byte{3, 4, 5} {
		w := n.login(t, version, "lamp-00"+string('0'+version), "")
		w.send([]byte{0xc0, 0})
		w.want(0xd0)
	}
	eventually(t, "three devices online", func() bool { return len(n.cloud.of(device.TopicOnline)) == 3 })
	var l device.Login
	if err := json.Unmarshal(n.cloud.of(device.TopicLogin)[0].Payload, &l); err != nil {
		t.Fatal(err)
	}
	if l.Version != 3 || l.Transport != "tcp" || l.KeepAlive != 60 || !l.CleanStart || l.Node != "n1" || l.Username != "lamp-003&"+pk {
		t.Errorf("login %+v", l)
	}
}

func TestLoginRefused(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.cloud.set(func() { n.cloud.disabled["disabled"] = refusal.DeviceDisabled })
	id, user, pass := credentials("lamp-001", "")
	disabledID, disabledUser, disabledPass := credentials("disabled", "")
	for name, c := range map[string]struct {
		packet []byte
		v3, v5 byte
		cause  refusal.Cause
	}{
		"wrong_password":    {nil, 4, 0x86, refusal.SignMismatch},
		"disabled":          {nil, 5, 0x87, refusal.DeviceDisabled},
		"no_parameters":     {nil, 2, 0x85, refusal.ClientIDMalformed},
		"no_ampersand":      {nil, 2, 0x82, refusal.UsernameMalformed},
		"id2":               {nil, 2, 0x85, refusal.SecureModeUnsupported},
		"keepalive_zero":    {nil, 2, 0x82, refusal.KeepAliveOutOfRange},
		"keepalive_long":    {nil, 2, 0x82, refusal.KeepAliveOutOfRange},
		"unknown_method":    {nil, 2, 0x85, refusal.SignMethodUnknown},
		"client_id_of_2000": {nil, 2, 0x85, refusal.ClientIDTooLong},
	} {
		for _, version := range []byte{4, 5} {
			switch name {
			case "wrong_password":
				c.packet = rawConnect(version, 60, id, user, strings.Repeat("00", 32))
			case "disabled":
				c.packet = rawConnect(version, 60, disabledID, disabledUser, disabledPass)
			case "no_parameters":
				c.packet = rawConnect(version, 60, "lamp", user, pass)
			case "no_ampersand":
				c.packet = rawConnect(version, 60, id, "lamp", pass)
			case "id2":
				c.packet = rawConnect(version, 60, "x|securemode=8|", user, pass)
			case "keepalive_zero":
				c.packet = rawConnect(version, 0, id, user, pass)
			case "keepalive_long":
				c.packet = rawConnect(version, 1201, id, user, pass)
			case "unknown_method":
				c.packet = rawConnect(version, 60, "x|signmethod=hmacsha512|", user, pass)
			case "client_id_of_2000":
				c.packet = rawConnect(version, 60, strings.Repeat("x", 2000)+"|", user, pass)
			}
			w := n.dial(t)
			w.send(c.packet)
			first, body := w.receive()
			want := c.v3
			if version == 5 {
				want = c.v5
			}
			if first != 0x20 || body[0] != 0 || body[1] != want {
				t.Errorf("%s, version %d: CONNACK %#x % x, want code %#x", name, version, first, body, want)
			}
			if rest := w.closed(); len(rest) > 0 {
				t.Errorf("%s: % x after CONNACK", name, rest)
			}
			eventually(t, name+" in the log", func() bool { _, ok := n.journal.find(session.OpAuth, c.cause); return ok })
		}
	}
	e, _ := n.journal.find(session.OpAuth, refusal.SignMismatch)
	if !strings.HasPrefix(e.Signed, "clientId"+pk+".lamp-001deviceName") || string(e.Device.DeviceName) != "lamp-001" {
		t.Errorf("event of the wrong password: %+v", e)
	}
}

func TestUnknownProtocolLevel(t *testing.T) {
	t.Parallel()
	n := start(t)
	id, user, pass := credentials("lamp-001", "")
	for _, level := range []byte{0, 6, 0x84} {
		p := rawConnect(4, 60, id, user, pass)
		at := strings.Index(string(p), "MQTT") + 4
		p[at] = level
		w := n.dial(t)
		w.send(p)
		w.want(0x20, 0, 1)
		w.closed()
	}
	eventually(t, "the refusal in the log", func() bool { _, ok := n.journal.find(session.OpAuth, refusal.ProtocolVersion); return ok })
}

func TestNodeFull(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) { o.MaxConnections = 1 })
	n.login(t, 4, "lamp-001", "")
	eventually(t, "the session counted", func() bool { return n.Connections() == 1 })
	for version, code := range map[byte]byte{4: 3, 5: 0x89} {
		w := n.dial(t)
		w.send(connectPacket(version, "lamp-002", ""))
		if _, body := w.receive(); body[1] != code {
			t.Errorf("version %d: code %#x, want %#x", version, body[1], code)
		}
		w.closed()
	}
	eventually(t, "the refusal in the log", func() bool {
		e, ok := n.journal.find(session.OpAuth, refusal.NodeFull)
		return ok && e.Device.DeviceName == "lamp-002"
	})
}

func TestAuthDown(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) { o.LoginTimeout = 50 * time.Millisecond })
	n.cloud.set(func() { n.cloud.down = true })
	for version, code := range map[byte]byte{4: 3, 5: 0x88} {
		w := n.dial(t)
		w.send(connectPacket(version, "lamp-001", ""))
		if _, body := w.receive(); body[1] != code {
			t.Errorf("version %d: code %#x, want %#x", version, body[1], code)
		}
		w.closed()
	}
}

func TestTakeover(t *testing.T) {
	t.Parallel()
	n := start(t)
	for version, last := range map[byte]string{4: "", 5: "\xe0\x02\x8e\x00"} {
		first := n.login(t, version, "lamp-001", "")
		second := n.login(t, 4, "lamp-001", "")
		if rest := first.closed(); string(rest) != last {
			t.Errorf("version %d: the older connection received % x, want % x", version, rest, last)
		}
		second.send([]byte{0xc0, 0})
		second.want(0xd0)
	}
	eventually(t, "ends told", func() bool { return len(n.cloud.of(device.TopicOffline)) == 3 })
	eventually(t, "one session left", func() bool { return n.registry.Len() == 1 && n.Connections() == 1 })
	for _, r := range n.cloud.of(device.TopicOffline) {
		var o device.Offline
		if err := json.Unmarshal(r.Payload, &o); err != nil || o.Reason != "taken_over" || o.Epoch == 0 || o.Epoch > 3 {
			t.Errorf("offline %s: %v", r.Payload, err)
		}
	}
}

func TestPipelinedAfterConnect(t *testing.T) {
	t.Parallel()
	n := start(t)
	w := n.dial(t)
	w.send(append(append(connectPacket(4, "lamp-001", ""), publishPacket(4, 1, 9, "/sys/"+pk+"/lamp-001/thing/event/property/post", `{"id":"5"}`)...), 0xc0, 0))
	w.want(0x20, 0, 0)
	seen := map[byte]bool{}
	for range 3 {
		first, _ := w.receive()
		seen[first&0xf0] = true
	}
	if !seen[0x30] || !seen[0x40] || !seen[0xd0] {
		t.Errorf("received %v, want PUBLISH, PUBACK and PINGRESP", seen)
	}
}

func TestGrantExpires(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.cloud.set(func() {
		n.cloud.grant = func(g *device.Grant) { g.ExpiresAt = time.Now().Add(100 * time.Millisecond).UnixMilli() }
	})
	n.login(t, 4, "lamp-001", "").closed()
	eventually(t, "end in the log", func() bool { _, ok := n.journal.find(session.OpOffline, refusal.GrantExpired); return ok })
}

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) { o.MinKeepAlive = time.Second })
	id, user, pass := credentials("lamp-001", "")
	w := n.dial(t)
	w.send(rawConnect(4, 1, id, user, pass))
	w.want(0x20, 0, 0)
	w.closed()
	eventually(t, "end in the log", func() bool { _, ok := n.journal.find(session.OpOffline, refusal.KeepAliveExpired); return ok })
}

func TestDevicesThatPushEachOtherOut(t *testing.T) {
	t.Parallel()
	n := start(t, func(o *mqtt.Options) { o.Connects = limits.NewConnects(3, 1, 100, nil) })
	for range 3 {
		n.login(t, 4, "lamp-001", "")
	}
	w := n.dial(t)
	w.send(connectPacket(4, "lamp-001", ""))
	w.want(0x20, 0, 3)
	eventually(t, "the refusal in the log", func() bool {
		e, ok := n.journal.find(session.OpAuth, refusal.RateLimitedDevice)
		return ok && e.Device.DeviceName == "lamp-001"
	})
	n.login(t, 4, "lamp-002", "")
	if got := len(n.cloud.of("auth/login")); got != 4 {
		t.Errorf("function auth was asked %d times, want 4", got)
	}
}

// A device that is disabled after function auth has read it, and before its session is here, is disconnected at once.
func TestDisabledWhileItLogsIn(t *testing.T) {
	t.Parallel()
	drops := session.NewDrops(time.Minute)
	n := start(t, func(o *mqtt.Options) { o.Drops = drops })
	ref := iot.DeviceRef{ProductKey: pk, DeviceName: "lamp-001"}
	n.cloud.set(func() { n.cloud.grant = func(*device.Grant) { drops.Note(ref, refusal.Disabled, time.Now()) } })
	w := n.login(t, 5, "lamp-001", "")
	w.want(0xe0, 0x98, 0)
	w.closed()
	eventually(t, "end in the log", func() bool { _, ok := n.journal.find(session.OpOffline, refusal.Disabled); return ok })
	n.cloud.set(func() { n.cloud.grant = nil })
	w = n.login(t, 5, "lamp-001", "") // enabled again
	w.send([]byte{0xc0, 0})
	w.want(0xd0)
}

// What is known of a login is in the log, whatever is wrong with it.
func TestMalformedClientIDOfAKnownDevice(t *testing.T) {
	t.Parallel()
	n := start(t)
	_, user, pass := credentials("lamp-001", "")
	for id, cause := range map[string]refusal.Cause{"lamp": refusal.ClientIDMalformed, strings.Repeat("x", 2000) + "|": refusal.ClientIDTooLong} {
		w := n.dial(t)
		w.send(rawConnect(4, 60, id, user, pass))
		w.want(0x20, 0, 2)
		w.closed()
		eventually(t, "refusal in the log", func() bool {
			e, ok := n.journal.find(session.OpAuth, cause)
			return ok && e.Device == iot.DeviceRef{ProductKey: pk, DeviceName: "lamp-001"}
		})
	}
}
