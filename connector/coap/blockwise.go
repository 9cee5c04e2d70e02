package coap

import (
	"bytes"
	"strconv"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"relink/connector/session"
	"relink/shared/refusal"
)

const (
	maxBody       = 128 << 10 // of a message that comes in blocks
	maxSealed     = maxBody + 16
	blockPatience = 60_000 // milliseconds between two blocks
)

// An upload is a body that comes in blocks: at most one of each token.
type upload struct {
	path   string
	number uint64 // all blocks have the same sequence number; the last one uses it up
	body   []byte
	at     int64
}

// A reply is a payload that is given out in blocks: the last one of each token.
type reply struct {
	path               string
	number, lastNumber uint64 // sequence numbers of the request, and of the last one for a later block
	body               []byte // encrypted, if the device speaks so
	id                 string
	at                 int64
}

// upload takes one block. It gives the body when it is whole; else the exchange is over. Blocks are not noted as seen: the same one again
// is told by its place and its bytes.
func (s *Server) upload(x *Exchange, r *request, now int64) ([]byte, bool) {
	e := x.entry
	e.mu.Lock()
	body, err := s.addBlock(x, r, now)
	e.mu.Unlock()
	switch {
	case err != nil:
		x.refuse(session.OpUplink, err)
		return nil, false
	case body == nil:
		x.respondCode(codes.Continue)
		return nil, false
	}
	return body, true
}

// addBlock needs the entry's lock.
func (s *Server) addBlock(x *Exchange, r *request, now int64) ([]byte, error) {
	e, b := x.entry, x.block1
	if x.cipher != nil && !e.window.fresh(x.number) {
		return nil, refusal.New(refusal.SequenceReplayed, "sequence number "+utoa(x.number))
	}
	offset := b.offset()
	switch {
	case b.more && len(r.payload) != b.size() || !b.more && (len(r.payload) == 0 || len(r.payload) > b.size()):
		return nil, refusal.New(refusal.BlockMalformed, strconv.Itoa(len(r.payload))+" bytes in a block of "+strconv.Itoa(b.size()))
	case r.size1 > maxSealed || offset+len(r.payload) > maxSealed:
		s.dropUpload(e)
		return nil, refusal.New(refusal.BlockTooLarge, "")
	}
	if b.num == 0 {
		s.dropUpload(e)
		e.upload = &upload{path: string(r.path), number: x.number}
	}
	u := e.upload
	if u == nil || u.path != string(r.path) || x.cipher != nil && u.number != x.number || b.num > 0 && now-u.at > blockPatience {
		s.dropUpload(e)
		return nil, refusal.New(refusal.BlockIncomplete, "the beginning is not there")
	}
	u.at = now
	end := offset + len(r.payload)
	switch {
	case offset == len(u.body):
		if s.bodies.Add(int64(len(r.payload))) > s.opts.MaxBodies {
			s.bodies.Add(-int64(len(r.payload)))
			s.dropUpload(e)
			return nil, refusal.New(refusal.NodeFull, "too many bodies in blocks")
		}
		u.body = append(u.body, r.payload...)
	case end > len(u.body) || !bytes.Equal(u.body[offset:end], r.payload):
		s.dropUpload(e)
		return nil, refusal.New(refusal.BlockIncomplete, "block "+strconv.Itoa(int(b.num))+" does not follow")
	}
	if b.more {
		return nil, nil
	}
	body := u.body
	s.dropUpload(e)
	return body, nil
}

// dropUpload needs the entry's lock.
func (s *Server) dropUpload(e *entry) {
	if e.upload != nil {
		s.bodies.Add(-int64(len(e.upload.body)))
		e.upload = nil
	}
}

func (s *Server) dropPending(e *entry) {
	if e.pending != nil {
		s.bodies.Add(-int64(len(e.pending.body)))
		e.pending = nil
	}
}

// release gives back what a token that is forgotten holds.
func (s *Server) release(e *entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s.dropUpload(e)
	s.dropPending(e)
}

// stale gives back what has not gone on for too long.
func (s *Server) stale(e *entry, now int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.upload != nil && now-e.upload.at > blockPatience {
		s.dropUpload(e)
	}
	if e.pending != nil && now-e.pending.at > blockPatience {
		s.dropPending(e)
	}
}

// respondInBlocks keeps a payload for requests of its later blocks, and sends the first.
func (x *Exchange) respondInBlocks(payload []byte) {
	s, e := x.srv, x.entry
	body := payload
	if x.cipher != nil {
		body = x.cipher.AppendEncrypted(make([]byte, 0, len(payload)+16), payload)
	}
	e.mu.Lock()
	s.dropPending(e)
	full := s.bodies.Add(int64(len(body))) > s.opts.MaxBodies
	if full {
		s.bodies.Add(-int64(len(body)))
	} else {
		e.pending = &reply{path: x.path, number: x.number, lastNumber: x.number, body: body, id: x.id(), at: s.now().UnixMilli()}
	}
	e.mu.Unlock()
	if full {
		x.refuse(session.OpReply, refusal.New(refusal.NodeFull, "too many bodies in blocks"))
		return
	}
	x.respondBlock(codes.Content, body, 0)
}

// respondBlock sends the block of a body that the request asks for; by default the first one of 1024 bytes. etag 0: none.
func (x *Exchange) respondBlock(code codes.Code, body []byte, etag uint64) {
	x.respondPart(code, body[min(x.block2.offset(), len(body)):], int64(len(body)), etag)
}

// respondPart is respondBlock for the part of a body that begins with the block. size is that of the whole.
func (x *Exchange) respondPart(code codes.Code, part []byte, size int64, etag uint64) {
	b := x.block2
	if !b.present {
		b = block{present: true, szx: maxSZX}
	}
	n := min(len(part), b.size())
	b.more = int64(b.offset()+n) < size
	w := x.header(code, 48+n)
	if etag != 0 {
		w.header(message.ETag, 8)
		for shift := 56; shift >= 0; shift -= 8 {
			w.b = append(w.b, byte(etag>>shift))
		}
	}
	w.option(message.Block2, b.value(make([]byte, 0, 4)))
	if x.block1.present {
		w.option(message.Block1, x.block1.value(make([]byte, 0, 4)))
	}
	if b.num == 0 {
		w.option(message.Size2, appendUint(make([]byte, 0, 4), uint32(size)))
	}
	if id := x.id(); id != "" {
		w.option(optionMessageID, []byte(id))
	}
	if n > 0 {
		w.b = append(append(w.b, 0xff), part[:n]...)
	}
	x.finish(w)
}
