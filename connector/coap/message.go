package coap

import (
	"encoding/binary"
	"errors"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// Options that are not in the registry of RFC 7252 ("POST /topic/${topic}"). Those with odd numbers are critical.
const (
	optionTokenOld  message.OptionID = 61   // token; Link SDK C 2.1 to 3.2
	optionToken     message.OptionID = 2088 // token
	optionSequence  message.OptionID = 2089 // encrypted decimal sequence number
	optionMessageID message.OptionID = 2090 // of the platform, in replies
)

// Bounds of one request. Devices send 15 options at most.
const (
	maxOptions  = 40
	maxDatagram = 1600 // documented are 1 KB, SDKs send up to 1280
)

var (
	errJunk      = errors.New("not a message that is answered")
	errMalformed = errors.New("message format error")
)

// A request is one decoded message. Its slices are parts of the datagram.
type request struct {
	kind    message.Type
	code    codes.Code
	mid     uint16
	token   []byte // of the exchange, at most 8 bytes
	payload []byte
	size    int // of the datagram
	hash    uint64

	path           []byte // with a slash before each segment; "/" if there is none
	auth, sequence []byte // options of the device protocol; nil: absent
	query          bool   // auth and sequence came as text in Uri-Query
	block1, block2 block
	size1          uint32 // of the whole body; 0: not told
	wantsSize      bool   // option Size2 is there
	bad            message.OptionID
	proxy          bool

	options message.Options
	room    [maxOptions]message.Option
	joined  [maxDatagram]byte
	scratch [64]byte // of whoever answers
	small   []byte   // likewise
	raw     []byte   // the datagram
}

var requests = sync.Pool{New: func() any { return new(request) }}

// decode reads a datagram. With errMalformed kind and mid are known, and the message is to be rejected; with errJunk nothing is.
func (r *request) decode(datagram []byte) error {
	if len(datagram) < 4 || datagram[0]>>6 != 1 {
		return errJunk
	}
	r.kind = message.Type(datagram[0] >> 4 & 3)
	r.code = codes.Code(datagram[1])
	r.mid = binary.BigEndian.Uint16(datagram[2:])
	r.size, r.raw = len(datagram), datagram
	r.path, r.auth, r.sequence, r.payload, r.token = r.joined[:0], nil, nil, nil, nil
	r.query, r.wantsSize, r.proxy, r.size1, r.bad = false, false, false, 0, 0
	r.block1, r.block2 = block{}, block{}
	n := int(datagram[0] & 15)
	if n > message.MaxTokenSize || len(datagram) < 4+n {
		return errMalformed
	}
	r.token = datagram[4 : 4+n]
	rest := datagram[4+n:]
	r.options = r.room[:0]
	used, err := r.options.Unmarshal(rest, nil) // lengths are looked at below: the library would leave wrong ones out
	if err != nil {
		return errMalformed
	}
	r.payload = rest[used:]
	if len(r.payload) == 0 && used > 0 && rest[used-1] == 0xff && endsWithMarker(rest) {
		return errMalformed // RFC 7252, 3: a marker with nothing behind it
	}
	if r.code == codes.Empty && len(datagram) > 4 {
		return errMalformed // RFC 7252, 4.1
	}
	r.readOptions()
	return nil
}

// clone is the same request in memory of its own.
func (r *request) clone() *request {
	c := new(request)
	if c.decode(append([]byte(nil), r.raw...)) != nil {
		panic("coap: a request that was decoded is none") // not possible: the bytes are the same
	}
	c.hash = r.hash
	return c
}

// endsWithMarker tells a payload marker at the end from an option whose value ends with the same byte.
func endsWithMarker(options []byte) bool {
	for at := 0; at < len(options); {
		if options[at] == 0xff {
			return true
		}
		delta, length := int(options[at]>>4), int(options[at]&15)
		at++
		switch delta {
		case 13:
			at++
		case 14:
			at += 2
		}
		switch length {
		case 13:
			length = 13 + int(options[at])
			at++
		case 14:
			length = 269 + int(binary.BigEndian.Uint16(options[at:]))
			at += 2
		}
		at += length
	}
	return false
}

// readOptions sorts the options out. An unknown critical one, or one of a length that it cannot have, is bad; unknown elective ones,
// Content-Format, Accept and Observe are not looked at.
func (r *request) readOptions() {
	for i := range r.options {
		o := &r.options[i]
		known := true
		switch o.ID {
		case message.URIPath:
			r.path = append(append(r.path, '/'), o.Value...)
			known = len(o.Value) <= 255
		case message.URIQuery:
			r.readQuery(o.Value)
			known = len(o.Value) <= 255
		case optionToken:
			r.auth, r.query = o.Value, false
		case optionTokenOld:
			if r.auth == nil || r.query {
				r.auth, r.query = o.Value, false
			}
		case optionSequence:
			r.sequence = o.Value
		case message.Block1:
			known = r.block1.read(o.Value) && r.block1.szx < 7
		case message.Block2:
			known = r.block2.read(o.Value) && r.block2.szx < 7
		case message.Size1:
			if len(o.Value) <= 4 {
				for _, b := range o.Value {
					r.size1 = r.size1<<8 | uint32(b)
				}
			}
		case message.Size2:
			r.wantsSize = true
		case message.ProxyURI, message.ProxyScheme:
			r.proxy = true
		case message.URIHost, message.URIPort, message.Accept:
		default:
			known = o.ID&1 == 0 // RFC 7252, 5.4.6: the odd ones are critical
		}
		if !known && r.bad == 0 {
			r.bad = o.ID
		}
	}
	if len(r.path) == 0 {
		r.path = append(r.path, '/')
	}
}

const (
	queryToken    = "token="
	querySequence = "seq="
)

// readQuery takes token and sequence number from a Uri-Query, unless they came as options, which win.
func (r *request) readQuery(text []byte) {
	switch {
	case len(text) > len(queryToken) && string(text[:len(queryToken)]) == queryToken:
		if r.auth == nil {
			r.auth, r.query = text[len(queryToken):], true
		}
	case len(text) > len(querySequence) && string(text[:len(querySequence)]) == querySequence:
		if r.sequence == nil {
			r.sequence = fromHex(text[len(querySequence):])
		}
	}
}

// fromHex decodes hex in its own place; what is none gives no bytes, which no cipher text is.
func fromHex(text []byte) []byte {
	if len(text)%2 != 0 {
		return []byte{}
	}
	out := make([]byte, len(text)/2)
	for i := range out {
		high, low := hexDigit(text[2*i]), hexDigit(text[2*i+1])
		if high > 15 || low > 15 {
			return []byte{}
		}
		out[i] = high<<4 | low
	}
	return out
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}

// appendUint makes the value of an option of a number: no leading zeros.
func appendUint(dst []byte, n uint32) []byte {
	for shift := 24; shift >= 0; shift -= 8 {
		if n>>shift != 0 {
			dst = append(dst, byte(n>>shift))
		}
	}
	return dst
}
