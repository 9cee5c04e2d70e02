package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"relink/scripts/load"
)

// quiet is how long the same refusal is not printed again.
const quiet = 5 * time.Second

// A voice tells what simulated devices hear, above one line that counts. Many devices may be refused for one reason: of refusals with the
// same code one is printed in five seconds, with how many came since.
type voice struct {
	w        io.Writer
	protocol load.Protocol
	all      bool // every answer

	mu      sync.Mutex
	line    int // characters of the counting line that stands there
	refused map[string]*refusals
}

// refusals are those of one code.
type refusals struct {
	told time.Time
	more int // since then
}

// heard takes the answer to a post.
func (v *voice) heard(a load.Answer) {
	failed := a.Err != nil || v.protocol == load.MQTT && a.Code != "200"
	if !failed && !v.all {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	device := a.Device.ProductKey + " " + a.Device.DeviceName
	if !failed {
		v.say("%s: %s %s", device, a.Code, a.Reply)
		return
	}
	if v.refused == nil {
		v.refused = map[string]*refusals{}
	}
	r := v.refused[a.Code]
	if r == nil {
		r = new(refusals)
		v.refused[a.Code] = r
	}
	if now := time.Now(); !v.all && now.Sub(r.told) < quiet {
		r.more++
		return
	} else {
		r.told = now
	}
	more := ""
	if r.more > 0 {
		more = fmt.Sprintf(" (and %d like it before)", r.more)
		r.more = 0
	}
	switch {
	case a.Err == nil:
		v.say("%s: refused with code %s%s; ask: relink why %s", device, a.Code, more, device)
	case a.Code != "":
		v.say("%s: refused: %v%s; ask: relink why %s", device, a.Err, more, device)
	default:
		v.say("%s: %v%s; is the connector up, and the port reachable?", device, a.Err, more)
	}
}

// progress takes the counts, once a second.
func (v *voice) progress(n load.Counts) {
	text := fmt.Sprintf("posted %d, stored %d, refused %d, not answered %d, authentications %d", n.Sent, n.Acked, n.Declined+n.Failed, n.TimedOut, n.Logins)
	if v.protocol == load.MQTT {
		text = fmt.Sprintf("connected %d, posted %d, stored %d, refused %d, reconnects %d", n.Connected, n.Sent, n.Acked, n.Failed, n.Broken)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.w, "\r%s%s", text, strings.Repeat(" ", max(0, v.line-len(text))))
	v.line = len(text)
}

// say prints a line in place of the counting one; v.mu is held.
func (v *voice) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if v.line > 0 {
		text = "\r" + text + strings.Repeat(" ", max(0, v.line-len(text)))
		v.line = 0
	}
	fmt.Fprintln(v.w, text)
}

// end leaves the counting line.
func (v *voice) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.line > 0 {
		fmt.Fprintln(v.w)
	}
}
