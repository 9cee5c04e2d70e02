package mqtt

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"relink/shared/refusal"
)

const (
	idleInput   = 512     // bytes that a connection keeps for reading while nothing comes, at least
	maxIdle     = 2 << 10 // and at most, if its packets are so large
	streamInput = 8 << 10 // bytes while much comes; shared between connections
)

// An input cuts the stream into packets. It grows as bytes arrive, never because a packet announces many, and shrinks when the
// device falls silent.
type input struct {
	buf       []byte
	r, w      int
	small     []byte // kept for silence; as large as the device's packets, within limits, so that each comes with one read
	largest   int    // packet
	streaming bool   // more comes than small holds
	limit     int    // bytes of a body
}

var streamBuffers = sync.Pool{New: func() any { return new([streamInput]byte) }}

// next returns the next packet. The body is valid until the next call.
func (c *conn) next() (first byte, body []byte, err error) {
	in := &c.in
	for {
		first, n, size, err := parseHeader(in.buf[in.r:in.w])
		switch {
		case err != nil:
			return 0, nil, refusal.New(refusal.ProtocolError, err.Error())
		case n > 0 && size > in.limit:
			return 0, nil, refusal.New(refusal.PayloadTooLarge, fmt.Sprintf("packet of %d bytes", size))
		case n > 0 && in.w-in.r >= n+size:
			body = in.buf[in.r+n : in.r+n+size : in.r+n+size]
			in.r += n + size
			in.largest = max(in.largest, n+size)
			return first, body, nil
		}
		if err := c.fill(); err != nil {
			if errors.Is(err, io.EOF) && in.w > in.r {
				err = io.ErrUnexpectedEOF
			}
			return 0, nil, err
		}
	}
}

// fill reads once.
func (c *conn) fill() error {
	in := &c.in
	in.room()
	n, err := c.stream.Read(in.buf[in.w:])
	in.w += n
	if n > 0 {
		in.streaming = n >= max(len(in.small), idleInput)
		now := time.Now()
		c.now = now.UnixMilli()
		c.lastSeen.Store(int64(now.Sub(c.srv.started)))
		c.srv.meter.Received(n)
		return c.pace(n)
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// pace stops reading for a moment if the device sends more bytes a second than it may. Nothing is lost: TCP slows the device down.
func (c *conn) pace(n int) error {
	if c.sess == nil {
		return nil
	}
	wait := c.bytes.Spend(c.now, n, c.srv.opts.Rates.Bytes)
	if wait == 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(wait) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		c.lastSeen.Store(int64(c.srv.uptime()))
		return nil
	case <-c.done:
		return io.ErrClosedPipe
	}
}

// room makes room for a read.
func (in *input) room() {
	if in.r == in.w {
		in.r, in.w = 0, 0
		if want := in.idleSize(); !in.streaming && len(in.buf) != want {
			in.release()
			if len(in.small) != want {
				in.small = make([]byte, want)
			}
			in.buf = in.small
		}
	}
	switch {
	case in.streaming && len(in.buf) < streamInput:
		in.move(streamBuffers.Get().(*[streamInput]byte)[:])
	case in.w < len(in.buf):
	case in.r > 0:
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	case len(in.buf) < streamInput:
		in.move(streamBuffers.Get().(*[streamInput]byte)[:])
	default:
		in.move(make([]byte, 2*len(in.buf)))
	}
}

func (in *input) idleSize() int {
	size := idleInput
	for size < in.largest && size < maxIdle {
		size *= 2
	}
	return size
}

func (in *input) move(to []byte) {
	n := copy(to, in.buf[in.r:in.w])
	in.release()
	in.buf, in.r, in.w = to, 0, n
}

// release gives up the buffer.
func (in *input) release() {
	if len(in.buf) == streamInput {
		streamBuffers.Put((*[streamInput]byte)(in.buf))
	}
	in.buf = nil
}

// readError is what a failed read says about the end, for the log.
func readError(err error) string {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return ""
	case errors.Is(err, syscall.ECONNRESET):
		return "reset by peer"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "time-out"
	}
	return err.Error()
}
