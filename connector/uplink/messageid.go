package uplink

import (
	"strconv"
	"sync/atomic"
)

const (
	sequenceBits = 12
	nodeBits     = 10
	epochMS      = 1_577_836_800_000 // 2020-01-01, so that 63 bits last until 2089
)

// IDs makes message ids: 63 bits, decimal, growing with time on each node and different on different nodes. It is safe for
// concurrent use.
//
//	41 bits milliseconds since 2020 | 10 bits node | 12 bits sequence
type IDs struct {
	node uint64
	last atomic.Uint64 // milliseconds and sequence
}

// NewIDs makes the ids of one node; only the lowest ten bits of node count.
func NewIDs(node uint32) *IDs { return &IDs{node: uint64(node) & (1<<nodeBits - 1)} }

// Next gives an id. now is the time in Unix milliseconds; a clock that stands still or goes back does no harm.
func (g *IDs) Next(now int64) string {
	var buffer [20]byte
	return string(strconv.AppendUint(buffer[:0], g.next(now), 10))
}

func (g *IDs) next(now int64) uint64 {
	at := uint64(max(0, now-epochMS)) << sequenceBits
	for {
		last := g.last.Load()
		next := max(last+1, at)
		if g.last.CompareAndSwap(last, next) {
			return next>>sequenceBits<<(sequenceBits+nodeBits) | g.node<<sequenceBits | next&(1<<sequenceBits-1)
		}
	}
}
