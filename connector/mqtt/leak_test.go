package mqtt_test

import (
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"relink/connector/mqtt"
	"relink/shared/device"
)

// After devices have dropped and come back, nothing of the earlier connections is left: no goroutine, no session, no memory.
func TestStormsLeaveNothing(t *testing.T) { // not parallel: it measures
	n := start(t, func(o *mqtt.Options) {
		o.Journal = silent{}
		o.Router.Journal = silent{}
		o.Presence.Journal = silent{}
	})
	const devices = 300
	storm := func() {
		var all sync.WaitGroup
		clients := make([]*wire, devices)
		for i := range clients {
			all.Go(func() {
				c, err := net.Dial("tcp", n.addr) // dial would keep it until the end of the test
				if err != nil {
					t.Error(err)
					return
				}
				clients[i] = &wire{c, t}
				clients[i].send(connectPacket(byte(4+i%2), fmt.Sprintf("lamp-%03d", i), ""))
				if _, _, err := clients[i].tryReceive(5 * time.Second); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, w := range clients {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}
		eventually(t, "all gone", func() bool { return n.Connections() == 0 && n.registry.Len() == 0 && n.Opening() == 0 })
		eventually(t, "all told", func() bool { return len(n.cloud.of(device.TopicOffline)) == devices })
		n.cloud.set(func() { n.cloud.records = nil })
	}
	measure := func() (goroutines int, heap uint64) {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapAlloc
	}
	storm()
	g0, h0 := measure()
	for range 4 {
		storm()
	}
	eventually(t, "goroutines gone", func() bool { g, _ := measure(); return g <= g0+2 })
	if _, h := measure(); h > h0+4*devices*500 { // one that stays costs 3,000; the runtime keeps some of its own
		t.Errorf("heap grew from %d to %d bytes in four storms of %d devices", h0, h, devices)
	}
}
