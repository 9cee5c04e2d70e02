package main

import (
	"crypto/rand"
	"encoding/binary"
	"strconv"
	"sync/atomic"
	"time"
)

// ids makes the two kinds of message ids.
type ids struct {
	now   func() time.Time
	alink atomic.Uint32
	pub   atomic.Int64
}

func newIDs(now func() time.Time) *ids {
	var b [4]byte
	rand.Read(b[:])
	i := &ids{now: now}
	i.alink.Store(binary.BigEndian.Uint32(b[:]))
	return i
}

// request makes the id of an Alink request to a device: digits, at most ten, at most 2147483647 ("Interoperability rules", 5),
// because shipped firmware reads it into an int. Instances start at random places and count, so that an id comes back on one
// instance after two billion messages and on two instances hardly ever on the same device and day.
func (i *ids) request() string {
	for {
		if n := i.alink.Add(1) & 0x7fffffff; n != 0 {
			return strconv.FormatUint(uint64(n), 10)
		}
	}
}

// idEpoch is what message ids count milliseconds from: 19 digits until 2084.
const idEpoch = 1_400_000_000_000

// message makes the id of a message that is no Alink request ("MessageId"): 19 digits, ascending within one instance, unique
// among all by 22 random bits beside the millisecond.
func (i *ids) message() string {
	var b [4]byte
	rand.Read(b[:])
	next := (i.now().UnixMilli()-idEpoch)<<22 | int64(binary.BigEndian.Uint32(b[:])>>10)
	for {
		last := i.pub.Load()
		if next <= last {
			next = last + 1
		}
		if i.pub.CompareAndSwap(last, next) {
			return strconv.FormatInt(next, 10)
		}
	}
}
