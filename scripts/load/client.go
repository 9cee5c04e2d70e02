package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// A client is one device. Its connection's reader finishes posts and, in closed loop, sends the next ones at once; what a read
// brought together is answered with one write.
type client struct {
	g      *generator
	device *Device
	number int // index of the device
	topic  string

	mu        sync.Mutex // guards all below, and writes to conn
	conn      net.Conn
	reader    *bufio.Reader
	out       []byte
	slots     []slot // one per post in flight
	ackedSeqs []uint32
	closed    bool
}

// A slot is one place of the window. Its packet id is its index + 1, its numbers are FirstSeq + index + k × window.
type slot struct {
	seq     uint32
	due     time.Time
	busy    bool
	acked   bool
	replied bool
	code    int  // of the reply
	last    int  // code of the reply to the number before
	repeat  bool // sent again after a reconnect: a second answer may come
}

func newClient(g *generator, d *Device, number int) *client {
	c := &client{g: g, device: d, number: number, topic: d.Topic(), slots: make([]slot, g.o.Window)}
	for i := range c.slots {
		c.slots[i].seq = g.o.FirstSeq + uint32(i)
	}
	return c
}

var errRefused = errors.New("refused with CONNACK code")

// connect dials, logs in and subscribes the replies.
func (c *client) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", c.g.o.Address)
	if err != nil {
		return err
	}
	end, _ := ctx.Deadline()
	err = conn.SetDeadline(end)
	id := c.device.ProductKey + "." + c.device.DeviceName // as Link SDKs do; a bare broker tells sessions apart by it
	packet := appendConnect(nil, c.device.ClientID(id), c.device.Username(), c.device.Password(id), uint16(c.g.o.KeepAlive/time.Second))
	packet = appendSubscribe(packet, 0xFFFF, c.topic+"_reply", 0)
	if err == nil {
		_, err = conn.Write(packet)
	}
	r := bufio.NewReaderSize(conn, 4096)
	for _, want := range []byte{packetConnack, packetSuback} {
		if err != nil {
			break
		}
		var kind byte
		var body []byte
		kind, body, err = readPacket(r, nil)
		switch {
		case err != nil:
		case kind == packetConnack && len(body) == 2 && body[1] != 0:
			c.g.count.refused.Add(1)
			err = fmt.Errorf("%w %d", errRefused, body[1])
		case kind != want:
			err = fmt.Errorf("packet %#x where %#x belongs", kind, want)
		}
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.Close()
		return net.ErrClosed
	}
	c.conn, c.reader = conn, r
	c.g.count.logins.Add(1)
	c.g.count.connected.Add(1)
	return nil
}

// run serves the connection, and its successors, until ctx ends or the client is closed.
func (c *client) run(ctx context.Context) {
	for again := false; ; again = true {
		c.begin(again)
		err := c.read()
		c.mu.Lock()
		closed := c.closed
		c.conn.Close()
		c.mu.Unlock()
		c.g.count.connected.Add(-1)
		if closed || ctx.Err() != nil {
			return
		}
		c.g.count.broken.Add(1)
		c.g.note(err)
		if !c.g.o.Reconnect {
			return
		}
		for c.connect(ctx) != nil {
			if pause(ctx, 100*time.Millisecond); ctx.Err() != nil {
				return
			}
		}
	}
}

// begin repeats, on a connection that is not the first, what was open on the one before, and fills the window in closed loop.
func (c *client) begin(again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.slots {
		s := &c.slots[i]
		switch {
		case s.busy && !again: // sent a moment ago on this very connection
		case s.busy:
			s.repeat, s.acked, s.replied = true, false, false
			c.send(i, flagDup)
		case c.g.o.Rate == 0 && c.g.posting.Load():
			s.due = time.Now()
			c.first(i)
		}
	}
	c.flush()
}

// first sends the number that slot i is at; c.mu is held.
func (c *client) first(i int) {
	s := &c.slots[i]
	s.busy, s.acked, s.replied, s.repeat, s.code = true, false, false, false, 0
	c.g.count.sent.Add(1)
	c.send(i, 0)
}

func (c *client) send(i int, flags byte) {
	var buf [1024]byte
	payload := c.g.o.appendPayload(buf[:0], c.number, c.slots[i].seq)
	c.out = appendPublish(c.out, flags|flagQoS1, c.topic, uint16(i+1), payload)
}

func (c *client) flush() {
	if len(c.out) > 0 && c.conn != nil {
		// A write error shows in the reader; what was not written stays open and is repeated.
		_ = c.conn.SetWriteDeadline(time.Now().Add(30 * time.Second))
		_, _ = c.conn.Write(c.out)
	}
	c.out = c.out[:0]
}

// offer sends a post that was due then, if the window has room.
func (c *client) offer(due time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.slots {
		if !c.slots[i].busy {
			c.slots[i].due = due
			c.first(i)
			c.flush()
			return true
		}
	}
	return false
}

// open counts the posts in flight.
func (c *client) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for i := range c.slots {
		if c.slots[i].busy {
			n++
		}
	}
	return n
}

// close ends the client without a word to the server.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn != nil {
		c.conn.Close()
	}
}

// read takes what the server sends until the connection breaks.
func (c *client) read() error {
	var buf []byte
	for {
		kind, body, err := readPacket(c.reader, buf)
		if err != nil {
			return err
		}
		buf = body[:0]
		c.mu.Lock()
		switch kind & 0xF0 {
		case packetPuback:
			if len(body) >= 2 {
				c.acknowledged(int(binary.BigEndian.Uint16(body)) - 1)
			}
		case packetPublish:
			_, id, payload, splitErr := splitPublish(kind, body)
			err = splitErr
			if id != 0 {
				c.out = appendPuback(c.out, id)
			}
			c.answered(payload)
		case packetPingresp:
		default:
			err = fmt.Errorf("unexpected packet %#x", kind)
		}
		if c.reader.Buffered() == 0 || len(c.out) > 16<<10 {
			c.flush()
		}
		c.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

func (c *client) acknowledged(i int) {
	if i < 0 || i >= len(c.slots) || !c.slots[i].busy || c.slots[i].acked {
		c.g.count.unexpected.Add(1)
		return
	}
	s := &c.slots[i]
	s.acked = true
	c.ackedSeqs = append(c.ackedSeqs, s.seq)
	c.g.count.acked.Add(1)
	c.g.ack.record(time.Since(s.due))
	c.finish(i)
}

// answered matches a reply to its post by the number in its id.
func (c *client) answered(payload []byte) {
	seq, ok := numberAfter(payload, `"id":"`)
	code, ok2 := numberAfter(payload, `"code":`)
	if !ok || !ok2 {
		c.g.count.unexpected.Add(1)
		return
	}
	i := int((seq - c.g.o.FirstSeq) % uint32(len(c.slots)))
	s := &c.slots[i]
	if s.seq != seq || !s.busy || s.replied {
		// A repetition may be answered again: for the number before, or for this one.
		c.g.count.unexpected.Add(1)
		if s.seq == seq && s.replied && s.code != int(code) || s.seq == seq+uint32(len(c.slots)) && s.last != int(code) {
			c.g.count.different.Add(1)
		}
		return
	}
	s.replied, s.code = true, int(code)
	if code == 200 {
		c.g.count.replied.Add(1)
	} else {
		c.g.count.failed.Add(1)
	}
	c.g.reply.record(time.Since(s.due))
	if c.g.o.Heard != nil {
		c.g.o.Heard(Answer{Device: c.device, Code: strconv.FormatUint(uint64(code), 10), Reply: payload})
	}
	c.finish(i)
}

// finish frees a slot whose post is acknowledged and answered, and posts the next number there in closed loop.
func (c *client) finish(i int) {
	s := &c.slots[i]
	if !s.acked || !s.replied {
		return
	}
	s.busy, s.last = false, s.code
	s.seq += uint32(len(c.slots))
	if c.g.o.Rate == 0 && c.g.posting.Load() {
		s.due = time.Now()
		c.first(i)
	}
}

func numberAfter(payload []byte, mark string) (uint32, bool) {
	i := bytes.Index(payload, []byte(mark))
	if i < 0 {
		return 0, false
	}
	var n uint64
	digits := 0
	for _, b := range payload[i+len(mark):] {
		if b < '0' || b > '9' {
			break
		}
		n = n*10 + uint64(b-'0')
		digits++
	}
	return uint32(n), digits > 0 && digits <= 10
}
