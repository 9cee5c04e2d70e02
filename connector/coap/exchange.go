package coap

import (
	"errors"
	"strconv"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"relink/connector/session"
	"relink/connector/uplink"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/sign"
)

// An Exchange is one request and its response: the piggybacked ACK of a confirmable request, a NON for one that is not. It is answered
// or dropped once.
type Exchange struct {
	srv      *Server
	peer     Peer
	kind     message.Type
	mid      uint16
	tokenLen byte
	token    [message.MaxTokenSize]byte
	hash     uint64
	noted    *peers // where it is noted as under way; nil: nowhere

	entry  *entry              // of the request's token; nil: none
	cipher *sign.SessionCipher // of responses; nil: in clear
	number uint64              // the sequence number
	path   string              // of a request whose reply may take several blocks

	block1, block2 block // of the request

	message uplink.Message
	reply   string // topic of the reply that the response carries
}

// id is the message id that the response carries.
func (x *Exchange) id() string { return x.message.ID }

// begin notes the exchange as under way. It answers false if the datagram came before, or if too many of its peer are under way: then
// the exchange is over.
func (x *Exchange) begin(in *peers) bool {
	switch what, reply := in.begin(x.peer, x.mid, x.hash, x.srv.now().UnixMilli()); what {
	case again:
		x.repeat(reply)
		return false
	case early:
		x.drop(countAbsorbed)
		return false
	case tooFar:
		x.drop(countBusy)
		return false
	}
	x.noted = in
	return true
}

// seen answers a datagram that came before; false if it did not.
func (x *Exchange) seen(in *peers, now int64) bool {
	switch what, reply := in.look(x.peer, x.mid, x.hash, now); what {
	case again:
		x.repeat(reply)
		return true
	case early:
		x.drop(countAbsorbed)
		return true
	}
	return false
}

func (x *Exchange) repeat(reply []byte) {
	x.srv.counts.add(countRepeated)
	x.srv.send(x.peer, reply)
	x.srv.leave()
}

// drop ends the exchange as if the datagram had been lost.
func (x *Exchange) drop(why count) {
	x.srv.counts.add(why)
	x.forget()
	x.srv.leave()
}

func (x *Exchange) forget() {
	if x.noted != nil {
		x.noted.forget(x.peer, x.mid, x.hash)
		x.noted = nil
	}
}

// header begins the response, with room for so many bytes behind it.
func (x *Exchange) header(code codes.Code, room int) writer {
	n := int(x.tokenLen)
	w := writer{b: make([]byte, 4, 4+n+room)}
	kind, mid := message.Acknowledgement, x.mid
	if x.kind == message.NonConfirmable {
		kind, mid = message.NonConfirmable, uint16(x.srv.mid.Add(1))
	}
	w.b[0], w.b[1], w.b[2], w.b[3] = 1<<6|byte(kind)<<4|x.tokenLen, byte(code), byte(mid>>8), byte(mid)
	w.b = append(w.b, x.token[:n]...)
	return w
}

// finish sends the response and ends the exchange.
func (x *Exchange) finish(w writer) {
	if x.noted != nil {
		x.noted.finish(x.peer, x.mid, x.hash, w.b)
	}
	x.srv.send(x.peer, w.b)
	x.srv.leave()
}

// respondCode answers without a payload, as all errors are ("keep error responses without payload").
func (x *Exchange) respondCode(code codes.Code) {
	w := x.header(code, 12)
	if x.block1.present && code != codes.RequestEntityIncomplete {
		x.block1.more = code == codes.Continue
		w.option(message.Block1, x.block1.value(nil))
	}
	if code == codes.RequestEntityTooLarge {
		w.option(message.Size1, appendUint(nil, maxBody))
	}
	x.finish(w)
}

// stranger refuses a request that has not proved to know a token. Such lines of the device log are limited.
func (x *Exchange) stranger(err error) {
	x.turnAway(session.OpAuth, iot.DeviceRef{}, err, x.srv.lines.Allow())
}

// refuse refuses a request with a token that is known. Tokens go over the network in clear, so such lines are limited too.
func (x *Exchange) refuse(operation string, err error) {
	x.turnAway(operation, x.entry.device, err, x.srv.sealed.Allow())
}

func (x *Exchange) turnAway(operation string, dev iot.DeviceRef, err error, note bool) {
	code, cause := codeFor(err)
	x.srv.opts.Meter.Refused(cause)
	if note {
		x.srv.opts.Journal.Record(session.Event{
			Device: dev, Operation: operation, Topic: x.message.Topic, Code: number(code), Reason: cause, Detail: detailOf(err), RemoteAddr: x.peer.Addr.String(),
		})
	}
	x.respondCode(code)
}

func detailOf(err error) string {
	if e, ok := errors.AsType[*refusal.Error](err); ok {
		return e.Detail
	}
	return err.Error()
}

// respond answers with a payload, encrypted if the device speaks so. One that does not fit into a block is given out in several.
func (x *Exchange) respond(payload []byte) {
	if len(payload) == 0 {
		w := x.header(codes.Content, 32)
		x.describe(&w)
		x.finish(w)
		return
	}
	size := maxBlock
	if x.block2.present {
		size = x.block2.size()
	}
	sealed := len(payload)
	if x.cipher != nil {
		sealed += 16 - sealed%16
	}
	if sealed > size && x.entry != nil {
		x.respondInBlocks(payload)
		return
	}
	w := x.header(codes.Content, 40+sealed)
	x.describe(&w)
	w.b = append(w.b, 0xff)
	if x.cipher != nil {
		w.b = x.cipher.AppendEncrypted(w.b, payload)
	} else {
		w.b = append(w.b, payload...)
	}
	x.finish(w)
}

// describe writes the options of a success: the block of the request that it acknowledges, and the message id.
func (x *Exchange) describe(w *writer) {
	if x.block1.present {
		w.option(message.Block1, x.block1.value(make([]byte, 0, 4)))
	}
	if id := x.id(); id != "" {
		w.header(optionMessageID, len(id))
		w.b = append(w.b, id...)
	}
}

// Answer sends what became of a message: 2.05 with the Alink reply, or a server error if nothing was decided, after which the device
// tries again.
func (x *Exchange) Answer(m *uplink.Message, r record.Result, err error) {
	if err != nil {
		code, _ := codeFor(err)
		if code != tooManyRequests {
			code = codes.InternalServerError
		}
		x.respondCode(code)
		return
	}
	for i := range r.Replies {
		if r.Replies[i].Topic == x.reply {
			x.respond(r.Replies[i].Payload)
			return
		}
	}
	x.respond(nil)
}

// A writer appends options in the order of their numbers.
type writer struct {
	b    []byte
	last message.OptionID
}

// header appends the head of an option whose value follows (RFC 7252, 3.1).
//
//	| delta | length | delta extended, 0-2 | length extended, 0-2 |
func (w *writer) header(id message.OptionID, length int) {
	delta, deltaExt, deltaBytes := extend(int(id - w.last))
	size, sizeExt, sizeBytes := extend(length)
	w.b = append(w.b, byte(delta<<4|size))
	for _, e := range [2]struct{ value, bytes int }{{deltaExt, deltaBytes}, {sizeExt, sizeBytes}} {
		switch e.bytes {
		case 1:
			w.b = append(w.b, byte(e.value))
		case 2:
			w.b = append(w.b, byte(e.value>>8), byte(e.value))
		}
	}
	w.last = id
}

func extend(n int) (nibble, value, bytes int) {
	switch {
	case n < 13:
		return n, 0, 0
	case n < 269:
		return 13, n - 13, 1
	}
	return 14, n - 269, 2
}

func (w *writer) option(id message.OptionID, value []byte) {
	w.header(id, len(value))
	w.b = append(w.b, value...)
}

func optionName(id message.OptionID) string { return "option " + strconv.Itoa(int(id)) }
