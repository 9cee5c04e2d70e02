package message

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"relink/shared/iot"
)

// Version is the version of the encoding that this build writes. A reader refuses any other; fields that it does not know it skips.
const Version = 1

// MaxMessages bounds a batch, whoever wrote it.
const MaxMessages = 10_000

// A Messages is one invocation of the function `rule`: what was sent in one piece. ID and CreatedAt name it for good: when the service
// delivers the event again they are the same.
type Messages struct {
	ID        string // 32 hexadecimal digits
	CreatedAt int64  // Unix milliseconds
	Function  string // that sent it: property, event, …; for the log
	List      []Message
}

// ErrMalformed is wrapped by every decoding error.
var ErrMalformed = errors.New("message: malformed")

// fieldVersion comes first: an event that begins with its tag is a batch of messages, one that begins with 0x08 a batch of records
// (package record), one that begins with a brace JSON.
const fieldVersion = 15

// IsBatch tells whether an event is what AppendBatch wrote.
func IsBatch(event []byte) bool { return len(event) > 0 && event[0] == fieldVersion<<3 }

// AppendBatch appends b to dst.
func AppendBatch(dst []byte, b *Messages) []byte {
	dst = appendHead(dst, b)
	for i := range b.List {
		dst = appendMessage(dst, &b.List[i])
	}
	return dst
}

func appendHead(dst []byte, b *Messages) []byte {
	dst = appendVarint(dst, fieldVersion, Version)
	dst = appendString(dst, 1, b.ID)
	dst = appendVarint(dst, 2, uint64(b.CreatedAt))
	return appendString(dst, 3, b.Function)
}

// size is how many bytes m takes in a batch.
func (m *Message) size() int {
	n := m.inner()
	return protowire.SizeTag(4) + protowire.SizeBytes(n)
}

func (m *Message) inner() int {
	return sizeBytes(1, len(m.ID)) + sizeBytes(2, len(m.Topic)) + sizeVarint(3, uint64(m.Kind)) +
		sizeBytes(4, len(m.Device.ProductKey)) + sizeBytes(5, len(m.Device.DeviceName)) + sizeBytes(6, len(m.IotID)) +
		sizeVarint(7, uint64(m.GeneratedAt)) + sizeVarint(8, uint64(m.QoS)) + sizeBytes(9, len(m.Payload))
}

func appendMessage(dst []byte, m *Message) []byte {
	dst = protowire.AppendVarint(protowire.AppendTag(dst, 4, protowire.BytesType), uint64(m.inner()))
	dst = appendString(dst, 1, m.ID)
	dst = appendString(dst, 2, m.Topic)
	dst = appendVarint(dst, 3, uint64(m.Kind))
	dst = appendString(dst, 4, string(m.Device.ProductKey))
	dst = appendString(dst, 5, string(m.Device.DeviceName))
	dst = appendString(dst, 6, string(m.IotID))
	dst = appendVarint(dst, 7, uint64(m.GeneratedAt))
	dst = appendVarint(dst, 8, uint64(m.QoS))
	if len(m.Payload) > 0 {
		dst = protowire.AppendBytes(protowire.AppendTag(dst, 9, protowire.BytesType), m.Payload)
	}
	return dst
}

// DecodeBatch reads a batch. Payloads alias data. Every error wraps ErrMalformed.
func DecodeBatch(data []byte) (Messages, error) {
	var b Messages
	if !IsBatch(data) {
		return b, fmt.Errorf("%w: no batch of messages", ErrMalformed)
	}
	err := eachField(data, func(num protowire.Number, v uint64, raw []byte) error {
		switch num {
		case fieldVersion:
			if v != Version {
				return fmt.Errorf("%w: version %d is not known here", ErrMalformed, v)
			}
		case 1:
			b.ID = string(raw)
		case 2:
			b.CreatedAt = int64(v)
		case 3:
			b.Function = string(raw)
		case 4:
			if len(b.List) == MaxMessages {
				return fmt.Errorf("%w: more than %d messages", ErrMalformed, MaxMessages)
			}
			var m Message
			if err := m.decode(raw); err != nil {
				return err
			}
			b.List = append(b.List, m)
		}
		return nil
	})
	return b, err
}

func (m *Message) decode(data []byte) error {
	return eachField(data, func(num protowire.Number, v uint64, raw []byte) error {
		switch num {
		case 1:
			m.ID = string(raw)
		case 2:
			m.Topic = string(raw)
		case 3:
			if v < KindCount { // a later one is unknown here
				m.Kind = Kind(v)
			}
		case 4:
			m.Device.ProductKey = iot.ProductKey(raw)
		case 5:
			m.Device.DeviceName = iot.DeviceName(raw)
		case 6:
			m.IotID = iot.IotID(raw)
		case 7:
			m.GeneratedAt = int64(v)
		case 8:
			m.QoS = byte(v)
		case 9:
			m.Payload = raw
		}
		return nil
	})
}

// eachField calls f for every field of a message; v is set for varints, raw for length-delimited fields, and fields of other types
// are skipped.
func eachField(data []byte, f func(num protowire.Number, v uint64, raw []byte) error) error {
	for len(data) > 0 {
		num, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrMalformed, protowire.ParseError(n))
		}
		data = data[n:]
		var v uint64
		var raw []byte
		known := true
		switch typ {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			raw, n = protowire.ConsumeBytes(data)
		default:
			known = false
			n = protowire.ConsumeFieldValue(num, typ, data)
		}
		if n < 0 {
			return fmt.Errorf("%w: %w", ErrMalformed, protowire.ParseError(n))
		}
		data = data[n:]
		if !known {
			continue
		}
		if err := f(num, v, raw); err != nil {
			return err
		}
	}
	return nil
}

// Zero values are left out, as protobuf does.

func appendVarint(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.VarintType), v)
}

func appendString(dst []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, num, protowire.BytesType), s)
}

func sizeVarint(num protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeVarint(v)
}

func sizeBytes(num protowire.Number, n int) int {
	if n == 0 {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeBytes(n)
}
