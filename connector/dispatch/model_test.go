package dispatch

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"relink/shared/iot"
	"relink/shared/record"
)

// A world is a function on a table, with every fault at random. It checks the order in which records of a device are stored.
type world struct {
	t      *testing.T
	faults bool

	mu     sync.Mutex
	rnd    *rand.Rand
	newest map[iot.DeviceRef]int // number of the newest record stored
	stored map[string]bool
	failed map[string]int // times that a record was in a batch that failed by chance; below what condemns it
}

func (w *world) script(_ int, b record.Batch) ([]record.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	dice := 100
	if w.faults {
		dice = w.rnd.IntN(100)
	}
	switch {
	case dice < 10:
		return nil, throttled()
	case dice < 13 && w.spare(b):
		return nil, exitedEarly()
	case dice >= 13 && dice < 16 && w.spare(b):
		return make([]record.Result, len(b.Records)+1), nil
	}
	if has(b, "poison") {
		return nil, panicked()
	}
	results := ok(b)
	stuck := make(map[iot.DeviceRef]bool) // after a throttled row the function leaves the rest of the device to a retry
	for i, r := range b.Records {
		if stuck[r.Device] || w.faults && w.rnd.IntN(20) == 0 {
			stuck[r.Device] = true
			results[i] = record.Result{Retry: true}
			continue
		}
		var n int
		if _, err := fmt.Sscanf(r.MessageID[strings.LastIndexByte(r.MessageID, '-')+1:], "%d", &n); err != nil {
			w.t.Error(err)
		}
		if !w.stored[r.MessageID] {
			if n < w.newest[r.Device] {
				w.t.Errorf("%s stored after number %d", r.MessageID, w.newest[r.Device])
			}
			w.newest[r.Device] = n
			w.stored[r.MessageID] = true
		}
	}
	if dice < 22 {
		return nil, lost()
	}
	return results, nil
}

// spare reports whether no record of the batch has failed too often by chance.
func (w *world) spare(b record.Batch) bool {
	for _, r := range b.Records {
		if w.failed[r.MessageID] >= condemnAfter-1 {
			return false
		}
	}
	for _, r := range b.Records {
		w.failed[r.MessageID]++
	}
	return true
}

// TestModel sends records of many devices from many goroutines through faults of all kinds: each is decided once, what is
// acknowledged is stored, the order of each device is kept, poison ends as dead letters and nothing else does.
func TestModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { runModel(t, seed) })
		})
	}
}

func runModel(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	w := &world{t: t, faults: seed%8 != 0, rnd: rand.New(rand.NewPCG(seed, 2)), newest: make(map[iot.DeviceRef]int), stored: make(map[string]bool), failed: make(map[string]int)}
	fn := &fakeFunction{takes: time.Duration(rnd.IntN(3)) * time.Millisecond, script: w.script}
	lane := Lane{Lanes: 1 + rnd.IntN(3), MaxRecords: 1 + rnd.IntN(60), Queue: 1 + rnd.IntN(40), Linger: time.Duration(rnd.IntN(2)) * time.Millisecond,
		Deadline: time.Hour}
	b := start(t, fn, lane, func(o *Options) { o.MaxBytes = int64(500 + rnd.IntN(8000)) })

	const readers, perReader = 8, 60
	var all sync.WaitGroup
	poison := 0
	for reader := range readers {
		kinds := make([]string, perReader) // each reader has two devices of its own
		for i := range kinds {
			kinds[i] = "good"
			if w.faults && rnd.IntN(100) == 0 {
				kinds[i] = "poison"
				poison++
			}
		}
		pause := time.Duration(rnd.IntN(2)) * time.Millisecond
		all.Go(func() {
			for i, kind := range kinds {
				b.post(2*reader+i%2, fmt.Sprintf("%s-%d-%d", kind, reader, i))
				time.Sleep(pause)
			}
		})
	}
	all.Wait()
	// Other traffic goes on for a while: it is what proves that the function works.
	total := readers * perReader
	for i := 0; b.Snapshot()["property"].Queued > 0 && i < 1000; i++ {
		b.post(1000, fmt.Sprintf("good-other-%d", i))
		total++
		time.Sleep(time.Second)
	}
	b.drain(2 * time.Hour)

	if len(b.outcomes) != total {
		t.Errorf("%d records decided, want %d", len(b.outcomes), total)
	}
	for name := range b.outcomes {
		o := b.decided(name)
		switch {
		case o.err != nil:
			t.Errorf("%s is undecided: %v", name, o.err)
		case o.result.Code == 200 && !w.stored[name]:
			t.Errorf("%s is acknowledged and not stored", name)
		case o.result.Code != 200 && !strings.HasPrefix(name, "poison"):
			t.Errorf("%s got code %d", name, o.result.Code)
		}
	}
	if len(b.letters.kept) != poison {
		t.Errorf("%d dead letters of %d poisonous records", len(b.letters.kept), poison)
	}
	s := b.Snapshot()["property"]
	if s.Decided != uint64(total) || s.DeadLetters != uint64(len(b.letters.kept)) {
		t.Errorf("counters do not balance: %+v", s)
	}
}
