package mqtt

import (
	"fmt"
	"sync"

	"relink/connector/session"
	"relink/shared/refusal"
)

// An output is what waits to be written. It is bounded by Options.MaxPending: a device that does not read its answers is
// disconnected, and a downlink that finds no room is refused; nothing is dropped in silence.
type output struct {
	mu        sync.Mutex
	pending   *[]byte // encoded packets; nil if there are none
	scheduled bool    // in the flusher's list, or being flushed
	stalled   bool    // the socket is busy; drained comes
	over      bool    // ended: nothing more is queued
	cause     refusal.Cause
	detail    string

	lastID  uint16
	unacked []unacked // QoS 1 messages that are sent again
	replies int       // QoS 1 replies without PUBACK; they are not sent again, the device asks again

	later    map[*session.Session]bool // sessions whose queues are to be looked at again; nil if there are none
	resuming bool                      // some are being looked at
}

const keptBuffer = 64 << 10 // larger ones are not kept

// room is where to append. The lock is held.
func (o *output) room() *[]byte {
	if o.pending == nil {
		o.pending = smallBuffers.Get().(*[]byte)
	}
	return o.pending
}

// schedule has what is pending written. The lock is held.
func (c *conn) schedule() {
	if o := &c.out; !o.scheduled && !o.stalled {
		o.scheduled = true
		c.srv.flusher.add(c)
	}
}

// flush writes what is pending, and closes the socket if the connection has ended. The flusher calls it.
func (c *conn) flush() {
	o := &c.out
	o.mu.Lock()
	for o.pending != nil {
		buf := o.pending
		o.pending = nil
		o.mu.Unlock()
		_, err := c.stream.Write(*buf)
		c.srv.meter.Sent(len(*buf))
		if cap(*buf) <= keptBuffer {
			*buf = (*buf)[:0]
			smallBuffers.Put(buf)
		}
		if err != nil {
			c.End(refusal.ConnectionClosed, "")
			o.mu.Lock()
			break
		}
		o.mu.Lock()
		if c.sock.busy() {
			if o.over {
				break // it has had its time
			}
			o.stalled = true
			break
		}
	}
	o.scheduled = false
	over := o.over
	o.mu.Unlock()
	if over {
		c.close()
	}
}

// drained is called when a busy socket has taken all.
func (c *conn) drained() {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stalled {
		o.stalled = false
		c.schedule()
	}
}

// stuck is called when a busy socket takes nothing more.
func (c *conn) stuck() { c.End(refusal.WriteTimeout, "") }

// End ends the connection once; in 5.0 the device is told why [MQTT-4.13], in 3.x it is not ("Duplicate connections").
func (c *conn) End(cause refusal.Cause, detail string) {
	o := &c.out
	o.mu.Lock()
	if o.over {
		o.mu.Unlock()
		return
	}
	o.over, o.cause, o.detail = true, cause, detail
	close(c.done)
	if reason, told := disconnectReason(cause); told && c.version == 5 && c.sess != nil {
		b := o.room()
		*b = appendDisconnect(*b, reason)
	}
	stalled := o.stalled
	if !stalled {
		c.schedule()
	}
	o.mu.Unlock()
	if stalled {
		c.close()
	}
}

func (c *conn) cause() (refusal.Cause, string) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	detail := c.out.detail
	if n := len(c.out.unacked); n > 0 {
		detail = fmt.Sprintf("%s%d messages to the device were not acknowledged", separated(detail), n)
	}
	return c.out.cause, detail
}

func separated(s string) string {
	if s == "" {
		return ""
	}
	return s + "; "
}

func (c *conn) close() {
	if err := c.sock.Close(); err != nil {
		return // closed already
	}
}

// write queues one encoded packet of the handshake or an acknowledgement.
func (c *conn) write(packet []byte) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if !c.fits(len(packet)) {
		return
	}
	b := o.room()
	*b = append(*b, packet...)
	c.schedule()
}

// fits reports whether size more bytes may be queued; if not, the device has not read for too long. The lock is held, and given
// up meanwhile.
func (c *conn) fits(size int) bool {
	o := &c.out
	if o.over {
		return false
	}
	if o.pending == nil || len(*o.pending)+size <= c.srv.opts.MaxPending {
		return true
	}
	o.mu.Unlock()
	c.End(refusal.WriteTimeout, "too much waits to be read by the device")
	o.mu.Lock()
	return false
}
