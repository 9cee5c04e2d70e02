package coap

import (
	"relink/shared/sign"
	"slices"
	"sync"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/topic"
)

// tokensPerDevice is how many tokens of one device are known at the same time: a device that authenticates again forgets its older one,
// a second process with the same identity does not lock it out.
const tokensPerDevice = 4

// tokens are those that this node knows: with the key and the sequence window of 5682, which exist nowhere else. The table is bounded:
// beyond, the token that was not used longest is forgotten, whose device authenticates again. It is safe for concurrent use.
type tokens struct {
	max int

	mu      sync.Mutex
	all     map[string]*entry
	devices map[iot.DeviceRef][]*entry // oldest first
	recent  entry                      // list of all, most recently used first; itself no member
}

// An entry is one token.
type entry struct {
	token      string
	device     iot.DeviceRef
	expires    int64               // Unix milliseconds; 0: the Keeper knows
	cipher     *sign.SessionCipher // nil: payloads are in clear
	prev, next *entry              // guarded by tokens.mu

	mu      sync.Mutex
	window  window
	peer    Peer // that used it last
	last    lastTopic
	upload  *upload // being put together
	pending *reply  // more blocks of it may be asked for
}

// lastTopic is what was found out about the topic that the device used last; it seldom uses another.
type lastTopic struct {
	name    string // as sent, with /topic before it
	topic   string // without that, and without what follows a question mark
	reply   string // where replies go
	parsed  topic.Uplink
	classes *[]device.TopicClass // with which it was found out
}

func newTokens(max int) *tokens {
	t := &tokens{max: max, all: make(map[string]*entry), devices: make(map[iot.DeviceRef][]*entry)}
	t.recent.prev, t.recent.next = &t.recent, &t.recent
	return t
}

// get finds a token; nil if it is not known here. It does not look at its age.
func (t *tokens) get(token []byte) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.all[string(token)]
	if e != nil && t.recent.next != e {
		e.prev.next, e.next.prev = e.next, e.prev
		t.front(e)
	}
	return e
}

// put takes a token in, and gives the one that is known under this text: e, or one that was there before. gone are those that had to make
// room.
func (t *tokens) put(e *entry) (known *entry, gone []*entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.all[e.token]; old != nil {
		return old, nil
	}
	if of := t.devices[e.device]; len(of) >= tokensPerDevice {
		gone = append(gone, of[0])
		t.remove(of[0])
	}
	if len(t.all) >= t.max {
		gone = append(gone, t.recent.prev)
		t.remove(t.recent.prev)
	}
	t.all[e.token] = e
	t.devices[e.device] = append(t.devices[e.device], e)
	t.front(e)
	return e, gone
}

// of gives the tokens of a device.
func (t *tokens) of(dev iot.DeviceRef) []*entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.devices[dev])
}

// drop forgets a token.
func (t *tokens) drop(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all[e.token] == e {
		t.remove(e)
	}
}

// expired takes those out whose time is over.
func (t *tokens) expired(now int64) (gone []*entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.all {
		if e.expires > 0 && e.expires <= now {
			gone = append(gone, e)
			t.remove(e)
		}
	}
	return gone
}

func (t *tokens) each(do func(*entry)) {
	t.mu.Lock()
	all := make([]*entry, 0, len(t.all))
	for _, e := range t.all {
		all = append(all, e)
	}
	t.mu.Unlock()
	for _, e := range all {
		do(e)
	}
}

func (t *tokens) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all)
}

func (t *tokens) front(e *entry) {
	e.prev, e.next = &t.recent, t.recent.next
	e.prev.next, e.next.prev = e, e
}

func (t *tokens) remove(e *entry) {
	e.prev.next, e.next.prev = e.next, e.prev
	delete(t.all, e.token)
	of := t.devices[e.device]
	if i := slices.Index(of, e); i >= 0 {
		of = slices.Delete(of, i, i+1)
	}
	if len(of) == 0 {
		delete(t.devices, e.device)
	} else {
		t.devices[e.device] = of
	}
}
