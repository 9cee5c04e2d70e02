package ops

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A Trimmer gives memory back to the system when a storm is over: after thousands of logins or a mass disconnect the heap is mostly
// garbage, and with a large GOGC it stays so for long. It costs one collection, and runs only when there is much to gain and
// little going on.
type Trimmer struct {
	Every   time.Duration // between looks; 5 s if 0
	AtLeast uint64        // bytes to gain; 8 MB if 0
	AtMost  uint64        // bytes allocated since the last look, above which the process is busy; 64 MB if 0
	trim    func()        // for tests; nil: debug.FreeOSMemory
}

const (
	metricAllocated = "/gc/heap/allocs:bytes"
	metricLive      = "/gc/heap/live:bytes"
	metricTotal     = "/memory/classes/total:bytes"
	metricReleased  = "/memory/classes/heap/released:bytes"
	metricStacks    = "/memory/classes/heap/stacks:bytes"
)

// Run looks until ctx ends.
func (t *Trimmer) Run(ctx context.Context) {
	if t.Every == 0 {
		t.Every = 5 * time.Second
	}
	if t.AtLeast == 0 {
		t.AtLeast = 8 << 20
	}
	if t.AtMost == 0 {
		t.AtMost = 64 << 20
	}
	if t.trim == nil {
		t.trim = debug.FreeOSMemory
	}
	tick := time.NewTicker(t.Every)
	defer tick.Stop()
	samples := []metrics.Sample{{Name: metricAllocated}, {Name: metricLive}, {Name: metricTotal}, {Name: metricReleased}, {Name: metricStacks}}
	last, idle := uint64(0), uint64(0) // idle: what was left after the last trim
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		allocated, live := samples[0].Value.Uint64(), samples[1].Value.Uint64()
		held := samples[2].Value.Uint64() - samples[3].Value.Uint64() - samples[4].Value.Uint64()
		quiet := allocated-last <= t.AtMost
		last = allocated
		if !quiet || held < live+t.AtLeast || held < idle+t.AtLeast {
			idle = min(idle, held)
			continue
		}
		t.trim()
		metrics.Read(samples)
		idle = samples[2].Value.Uint64() - samples[3].Value.Uint64() - samples[4].Value.Uint64()
	}
}
