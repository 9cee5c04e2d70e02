package session_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"relink/connector/session"
	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/refusal"
)

// Begins and ends of one device are told in their order; what comes after the teller has stopped is kept, so that it is told later.
func TestTeller(t *testing.T) {
	t.Parallel()
	c := &cloud{}
	p := presence(c)
	teller := session.NewTeller(p)
	of := func(name string, epoch int64) *session.Session {
		g := grant(epoch)
		g.DeviceName = iot.DeviceName(name)
		return session.New(g, &conn{}, "", time.Now())
	}
	const devices, rounds = 20, 3
	var want []string
	for i := range devices {
		for epoch := range int64(rounds) {
			s := of(fmt.Sprintf("dn%02d", i), epoch+1)
			teller.Online(s)
			teller.Offline(s, refusal.SubLoggedOut)
		}
	}
	for range rounds {
		want = append(want, device.TopicOnline, device.TopicOffline)
	}
	teller.Close()
	got := map[iot.DeviceName][]string{}
	for _, r := range c.records {
		got[r.Device.DeviceName] = append(got[r.Device.DeviceName], r.Topic)
	}
	if len(got) != devices {
		t.Errorf("%d devices were told of", len(got))
	}
	for name, topics := range got {
		if !slices.Equal(topics, want) {
			t.Errorf("%s: told %v, want %v", name, topics, want)
		}
	}
	teller.Offline(of("dn01", 9), refusal.GatewayGone)
	if waiting, _ := p.Untold(); waiting != 1 {
		t.Errorf("%d ends wait to be told, want 1", waiting)
	}
}
