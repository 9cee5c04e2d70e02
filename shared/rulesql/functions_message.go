package rulesql

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// messageFunctions tell about the message and its device (rule engine reference, "Functions").
var messageFunctions = []function{
	{name: "attribute", min: 1, max: 1, fails: true, eval1: attribute},
	{name: "deviceName", eval0: deviceName},
	{name: "deviceId", eval0: deviceName},
	{name: "productKey", eval0: func(c *run) Value { return stringValue(string(c.msg.Device.ProductKey)) }},
	{name: "messageId", eval0: func(c *run) Value { return stringValue(c.msg.ID) }},
	{name: "newuuid", eval0: newUUID},
	{name: "topic", min: 0, max: 1, fails: true, build: func(args []Expr) op {
		if len(args) == 0 {
			return &call0{f: func(c *run) Value { return stringValue(c.msg.Topic) }}
		}
		return &call1{f: topicLevel, where: "topic()", a: compile(args[0])}
	}},
	{name: "payload", min: 0, max: 1, fails: true, verify: func(args []Expr) string {
		if len(args) == 0 {
			return ""
		}
		if name, ok := constantText(args[0]); !ok || charsets[strings.ToLower(name)] == nil {
			return "the argument of payload is one of 'utf-8', 'gbk', 'iso-8859-1', 'us-ascii', 'utf-16'"
		}
		return ""
	}, build: func(args []Expr) op {
		decode := charsets["utf-8"]
		if len(args) == 1 {
			name, _ := constantText(args[0])
			decode = charsets[strings.ToLower(name)]
		}
		return &call0{f: func(c *run) Value {
			c.spend(len(c.msg.Payload) / 8)
			return c.text("payload()", decode(c.msg.Payload))
		}}
	}},
	{name: "to_base64", star: true, fails: true, eval0: func(c *run) Value {
		if base64.StdEncoding.EncodedLen(len(c.msg.Payload)) > MaxResult {
			return c.fail("to_base64(*)", tooLong)
		}
		return c.text("to_base64(*)", base64.StdEncoding.EncodeToString(c.msg.Payload))
	}},
	{name: "to_hex", star: true, fails: true, eval0: func(c *run) Value {
		if hex.EncodedLen(len(c.msg.Payload)) > MaxResult {
			return c.fail("to_hex(*)", tooLong)
		}
		return c.text("to_hex(*)", hex.EncodeToString(c.msg.Payload))
	}},
	{name: flatMapName, min: 0, max: -1, verify: func(args []Expr) string {
		for _, a := range args {
			if name, ok := constantText(a); !ok || name == "" {
				return "thingPropertyFlatMap takes the names of properties in single quotes"
			}
		}
		return ""
	}},
}

func deviceName(c *run) Value { return stringValue(string(c.msg.Device.DeviceName)) }

// attribute is a tag of the device; null if it has none of that name, and empty in debugging.
func attribute(c *run, where string, key Value) Value {
	name, ok := c.needText(where, key)
	if !ok {
		return Value{}
	}
	if c.msg.Attributes == nil {
		if c.sample {
			return stringValue("")
		}
		return Value{}
	}
	value, ok, err := c.msg.Attributes.Attribute(c.ctx, c.msg.Device, c.msg.IotID, name)
	if err != nil {
		if c.err == nil {
			c.err = &LookupError{Key: name, Err: err}
		}
		return Value{}
	}
	if !ok {
		return Value{}
	}
	return stringValue(value)
}

// newUUID is a random UUID (RFC 9562, version 4).
func newUUID(c *run) Value {
	high, low := c.env.uint64(), c.env.uint64()
	high = high&^0xf000 | 0x4000
	low = low&^(3<<62) | 2<<62
	return stringValue(fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", high>>32, high>>16&0xffff, high&0xffff, low>>48, low&0xffffffffffff))
}

// topicLevel is the nth level of the forwarding topic, from 1; null if it has none.
func topicLevel(c *run, where string, a Value) Value {
	n, ok := c.needNumber(where, a)
	f := n.float()
	if !ok || f < 1 || f > MaxStatement {
		return Value{}
	}
	rest := strings.TrimPrefix(c.msg.Topic, "/")
	for i := int(f); ; i-- {
		level, after, more := strings.Cut(rest, "/")
		if i == 1 {
			return stringValue(level)
		}
		if !more {
			return Value{}
		}
		rest = after
	}
}

// charsets decode a payload. What is not of the charset becomes U+FFFD.
var charsets = map[string]func([]byte) string{
	"utf-8": func(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") },
	"gbk": func(b []byte) string {
		s, err := simplifiedchinese.GBK.NewDecoder().Bytes(b)
		if err != nil {
			return strings.ToValidUTF8(string(b), "\uFFFD") // not reached: the decoder replaces what is wrong
		}
		return string(s)
	},
	"iso-8859-1": func(b []byte) string { return byBytes(b, 0x100) },
	"us-ascii":   func(b []byte) string { return byBytes(b, 0x80) },
	"utf-16":     decodeUTF16,
}

// byBytes decodes a charset whose first bytes, below limit, are Unicode's.
func byBytes(b []byte, limit rune) string {
	var s strings.Builder
	s.Grow(len(b))
	for _, c := range b {
		r := rune(c)
		if r >= limit {
			r = utf8.RuneError
		}
		s.WriteRune(r)
	}
	return s.String()
}

// decodeUTF16 obeys a byte order mark; without one the order is big-endian.
func decodeUTF16(b []byte) string {
	high, low := 0, 1
	if len(b) >= 2 && (b[0] == 0xfe && b[1] == 0xff || b[0] == 0xff && b[1] == 0xfe) {
		if b[0] == 0xff {
			high, low = 1, 0
		}
		b = b[2:]
	}
	units := make([]uint16, 0, len(b)/2+1)
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, uint16(b[high])<<8|uint16(b[low]))
	}
	if len(b) == 1 {
		units = append(units, utf8.RuneError)
	}
	return string(utf16.Decode(units))
}
