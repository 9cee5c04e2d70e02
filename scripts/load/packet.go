package load

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The few MQTT 3.1.1 packets that a posting device needs, written by hand: the generator shares the machine with what it
// measures, so it has to be cheap.

const (
	packetConnect    = 0x10
	packetConnack    = 0x20
	packetPublish    = 0x30
	packetPuback     = 0x40
	packetSubscribe  = 0x82
	packetSuback     = 0x90
	packetPingreq    = 0xC0
	packetPingresp   = 0xD0
	packetDisconnect = 0xE0
	flagQoS1         = 0x02
	flagDup          = 0x08
	maxRemaining     = 1 << 20 // a server that announces more is broken
)

func appendString(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

func appendHeader(dst []byte, kind byte, remaining int) []byte {
	return binary.AppendUvarint(append(dst, kind), uint64(remaining)) // MQTT's length is a base-128 varint too [MQTT-2.2.3]
}

// appendConnect writes CONNECT with CleanSession 1.
func appendConnect(dst []byte, clientID, username, password string, keepAlive uint16) []byte {
	dst = appendHeader(dst, packetConnect, 10+6+len(clientID)+len(username)+len(password))
	dst = appendString(dst, "MQTT")
	dst = append(dst, 4, 0xC2) // level 3.1.1; user name, password, clean session
	dst = binary.BigEndian.AppendUint16(dst, keepAlive)
	dst = appendString(dst, clientID)
	dst = appendString(dst, username)
	return appendString(dst, password)
}

func appendSubscribe(dst []byte, id uint16, filter string, qos byte) []byte {
	dst = appendHeader(dst, packetSubscribe, 2+2+len(filter)+1)
	dst = binary.BigEndian.AppendUint16(dst, id)
	return append(appendString(dst, filter), qos)
}

func appendPublish(dst []byte, flags byte, topic string, id uint16, payload []byte) []byte {
	n := 2 + len(topic) + len(payload)
	if flags&flagQoS1 != 0 {
		n += 2
	}
	dst = appendHeader(dst, packetPublish|flags, n)
	dst = appendString(dst, topic)
	if flags&flagQoS1 != 0 {
		dst = binary.BigEndian.AppendUint16(dst, id)
	}
	return append(dst, payload...)
}

func appendPuback(dst []byte, id uint16) []byte {
	return binary.BigEndian.AppendUint16(append(dst, packetPuback, 2), id)
}

// readPacket reads one packet; body is valid until the next call and may be reused through buf.
func readPacket(r *bufio.Reader, buf []byte) (kind byte, body []byte, err error) {
	kind, err = r.ReadByte()
	if err != nil {
		return 0, buf, err
	}
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, buf, err
	}
	if n > maxRemaining {
		return 0, buf, fmt.Errorf("the server announces a packet of %d bytes", n)
	}
	if uint64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	body = buf[:n]
	_, err = io.ReadFull(r, body)
	return kind, body, err
}

var errShort = errors.New("packet is too short")

// splitPublish takes the topic, the packet id (0 for QoS 0) and the payload out of a PUBLISH body.
func splitPublish(kind byte, body []byte) (topic []byte, id uint16, payload []byte, err error) {
	if len(body) < 2 {
		return nil, 0, nil, errShort
	}
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	if len(body) < n {
		return nil, 0, nil, errShort
	}
	topic, body = body[:n], body[n:]
	if kind&0x06 != 0 {
		if len(body) < 2 {
			return nil, 0, nil, errShort
		}
		id, body = binary.BigEndian.Uint16(body), body[2:]
	}
	return topic, id, body, nil
}
