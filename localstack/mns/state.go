package mns

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A class is what a message waits for.
type class uint8

const (
	active   class = iota // a receiver
	delayed               // the end of its delay
	inactive              // the end of the time that a receiver has it
)

// A state is what changes of a message. Layout of its value, big endian:
//
//	version(1) class(1) priority(1) size(4) enqueued(8) visible(8) first(8) count(4) token(8)
type state struct {
	class    class
	priority uint8  // 1, which is received first, to 16
	size     uint32 // bytes of the body
	enqueued int64  // ms
	visible  int64  // ms; when it became or becomes active
	first    int64  // ms; of the first delivery, 0 before it
	count    uint32 // deliveries
	token    uint64 // of the receipt handle that holds; 0: none
}

const (
	stateVersion = 1
	stateSize    = 43
)

func (st *state) encode() []byte {
	b := make([]byte, 0, stateSize)
	b = append(b, stateVersion, byte(st.class), st.priority)
	b = binary.BigEndian.AppendUint32(b, st.size)
	b = binary.BigEndian.AppendUint64(b, uint64(st.enqueued))
	b = binary.BigEndian.AppendUint64(b, uint64(st.visible))
	b = binary.BigEndian.AppendUint64(b, uint64(st.first))
	b = binary.BigEndian.AppendUint32(b, st.count)
	return binary.BigEndian.AppendUint64(b, st.token)
}

func decodeState(b []byte) (state, error) {
	if len(b) != stateSize || b[0] != stateVersion || b[1] > byte(inactive) || b[2] < 1 || b[2] > maxPriority {
		return state{}, errors.New("damaged state of a message")
	}
	return state{
		class: class(b[1]), priority: b[2],
		size:     binary.BigEndian.Uint32(b[3:]),
		enqueued: int64(binary.BigEndian.Uint64(b[7:])),
		visible:  int64(binary.BigEndian.Uint64(b[15:])),
		first:    int64(binary.BigEndian.Uint64(b[23:])),
		count:    binary.BigEndian.Uint32(b[31:]),
		token:    binary.BigEndian.Uint64(b[35:]),
	}, nil
}

// expired tells whether the retention is over.
func (st *state) expired(now int64, retention int64) bool { return st.enqueued+retention*1000 <= now }

// A receipt is what a receipt handle says: which message, and which of its deliveries.
type receipt struct {
	priority uint8
	id       uint64
	visible  int64 // ms
	token    uint64
}

// String is a handle in the form of the service: the priority, a hyphen, and base64 of numbers.
func (r receipt) String() string {
	inner := fmt.Appendf(nil, "%d-%d-%d", r.id, r.visible, r.token)
	return strconv.Itoa(int(r.priority)) + "-" + base64.StdEncoding.EncodeToString(inner)
}

// maxHandle bounds the handles that are looked at.
const maxHandle = 256

// parseReceipt reads a handle; only what String makes is one.
func parseReceipt(s string) (receipt, bool) {
	var r receipt
	if len(s) > maxHandle {
		return r, false
	}
	priority, rest, _ := strings.Cut(s, "-")
	p, err := strconv.ParseUint(priority, 10, 8)
	if err != nil || p < 1 || p > maxPriority {
		return r, false
	}
	inner, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		return r, false
	}
	parts := strings.Split(string(inner), "-")
	if len(parts) != 3 {
		return r, false
	}
	id, err1 := strconv.ParseUint(parts[0], 10, 64)
	visible, err2 := strconv.ParseInt(parts[1], 10, 64)
	token, err3 := strconv.ParseUint(parts[2], 10, 64)
	if errors.Join(err1, err2, err3) != nil || token == 0 {
		return r, false
	}
	r = receipt{priority: uint8(p), id: id, visible: visible, token: token}
	return r, r.String() == s
}

// messageID is how the service writes the id of a message of a queue or topic: 32 hex digits.
func messageID(number uint32, id uint64) string { return fmt.Sprintf("AC100200%08X%016X", number, id) }
