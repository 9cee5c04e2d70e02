package mqtt

import (
	"errors"
)

// Packet types [MQTT-2.1.2].
const (
	typeConnect     = 1
	typeConnack     = 2
	typePublish     = 3
	typePuback      = 4
	typePubrec      = 5
	typePubrel      = 6
	typePubcomp     = 7
	typeSubscribe   = 8
	typeSuback      = 9
	typeUnsubscribe = 10
	typeUnsuback    = 11
	typePingreq     = 12
	typePingresp    = 13
	typeDisconnect  = 14
	typeAuth        = 15
)

var (
	errRemainingLength = errors.New("remaining length of more than four bytes")
	errTruncated       = errors.New("packet ends before its contents")
)

// parseHeader reads a fixed header: its first byte, how long it is and how long the body is. With too few bytes n is 0.
func parseHeader(b []byte) (first byte, n, body int, err error) {
	if len(b) < 2 {
		return 0, 0, 0, nil
	}
	for i := 1; i < len(b); i++ {
		body |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i] < 0x80 {
			return b[0], i + 1, body, nil
		}
		if i == 4 {
			return 0, 0, 0, errRemainingLength
		}
	}
	return 0, 0, 0, nil
}

func appendHeader(dst []byte, first byte, body int) []byte {
	dst = append(dst, first)
	for body >= 0x80 {
		dst = append(dst, byte(body)|0x80)
		body >>= 7
	}
	return append(dst, byte(body))
}

func appendUint16(dst []byte, v uint16) []byte { return append(dst, byte(v>>8), byte(v)) }

// uint16At reads two bytes at i.
func uint16At(b []byte, i int) (uint16, int, error) {
	if len(b) < i+2 {
		return 0, 0, errTruncated
	}
	return uint16(b[i])<<8 | uint16(b[i+1]), i + 2, nil
}

// fieldAt reads a string or binary field at i; it aliases b.
func fieldAt(b []byte, i int) ([]byte, int, error) {
	n, i, err := uint16At(b, i)
	if err != nil || len(b) < i+int(n) {
		return nil, 0, errTruncated
	}
	return b[i : i+int(n)], i + int(n), nil
}

// propertiesAt finds the properties of a 5.0 packet at i: the whole block with its length, as package packets decodes it.
func propertiesAt(b []byte, i int) (block []byte, next int, err error) {
	n, shift := 0, 0
	for at := i; at < len(b) && at < i+4; at++ {
		n |= int(b[at]&0x7f) << shift
		if shift += 7; b[at] < 0x80 {
			if next = at + 1 + n; next > len(b) {
				return nil, 0, errTruncated
			}
			return b[i:next], next, nil
		}
	}
	return nil, 0, errTruncated
}

// appendPublish appends a PUBLISH without properties. pid counts for QoS 1 only.
func appendPublish(dst []byte, version byte, topic string, payload []byte, qos byte, pid uint16, dup bool) []byte {
	first := byte(typePublish<<4) | qos<<1
	if dup {
		first |= 8
	}
	dst = appendHeader(dst, first, publishBody(version, topic, payload, qos))
	dst = appendUint16(dst, uint16(len(topic)))
	dst = append(dst, topic...)
	if qos > 0 {
		dst = appendUint16(dst, pid)
	}
	if version == 5 {
		dst = append(dst, 0)
	}
	return append(dst, payload...)
}

// appendPublishWith is appendPublish for QoS 1 with properties, which exist in 5.0 only.
func appendPublishWith(dst []byte, version byte, topic string, payload []byte, pid uint16, dup bool, properties []byte) []byte {
	if len(properties) == 0 || version != 5 {
		return appendPublish(dst, version, topic, payload, 1, pid, dup)
	}
	first := byte(typePublish<<4) | 1<<1
	if dup {
		first |= 8
	}
	dst = appendHeader(dst, first, publishBody(version, topic, payload, 1)+len(properties)) // their length is one byte: they are short
	dst = appendUint16(dst, uint16(len(topic)))
	dst = append(dst, topic...)
	dst = appendUint16(dst, pid)
	dst = append(dst, byte(len(properties)))
	dst = append(dst, properties...)
	return append(dst, payload...)
}

// appendExpiry appends the property Message Expiry Interval: what is left of a message's time [MQTT-3.3.2-6].
func appendExpiry(dst []byte, expiresAt, now int64) []byte {
	if expiresAt == 0 {
		return dst
	}
	left := uint32(min(max(1, (expiresAt-now+999)/1000), 1<<31))
	return append(dst, 0x02, byte(left>>24), byte(left>>16), byte(left>>8), byte(left))
}

func publishBody(version byte, topic string, payload []byte, qos byte) int {
	n := 2 + len(topic) + len(payload)
	if qos > 0 {
		n += 2
	}
	if version == 5 {
		n++
	}
	return n
}

// appendAck appends a PUBACK or a packet of the same form. A reason other than 0 exists in 5.0 only, and nothing else is ever put
// there: npm mqtt hangs up at a PUBACK with a reason that it does not expect.
func appendAck(dst []byte, first, version byte, pid uint16, reason byte) []byte {
	if version == 5 && reason != 0 {
		return append(dst, first, 3, byte(pid>>8), byte(pid), reason)
	}
	return append(dst, first, 2, byte(pid>>8), byte(pid))
}

// appendCodes appends a SUBACK or UNSUBACK.
func appendCodes(dst []byte, first, version byte, pid uint16, codes []byte) []byte {
	n := 2 + len(codes)
	if version == 5 {
		n++
	}
	dst = appendHeader(dst, first, n)
	dst = appendUint16(dst, pid)
	if version == 5 {
		dst = append(dst, 0)
	}
	return append(dst, codes...)
}

// appendDisconnect appends a DISCONNECT of 5.0.
func appendDisconnect(dst []byte, reason byte) []byte {
	return append(dst, typeDisconnect<<4, 2, reason, 0)
}
