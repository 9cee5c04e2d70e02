package coap

import (
	"context"
	"errors"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"

	"relink/connector/session"
	"relink/connector/uplink"
	"relink/shared/refusal"
	"relink/shared/token"
	"relink/shared/topic"
)

const pathPull = "/pull"

// patience is how long a message waits for room in its function's queue. When it ends the device's retransmission is due or near.
const patience = 2 * time.Second

// verifiedFor is how long an address counts as its device's after a request that only the device can have made.
const verifiedFor = 10 * time.Minute

// noWait is a context that has ended: with it Router.Take takes a message at once or not at all.
var noWait = func() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errBusy)
	return ctx
}()

var errBusy = errors.New("the queue is full")

// take decides about a request with a token: POST /topic/… and POST /pull. The order of the checks is the protocol's ("Codes"): token
// known, not expired, sequence number decrypted, within the window, payload decrypted, topic permitted.
func (s *Server) take(x *Exchange, r *request, known *session.Session) {
	now := s.now().UnixMilli()
	if x.seen(s.peers, now) {
		return
	}
	e := s.find(x, r, known, now)
	if e == nil {
		return // answered, or asked about apart
	}
	x.entry = e
	if x.peer.Transport.Protocol() == ProtocolCoAP {
		x.cipher = e.cipher
	}
	if proved := x.peer.Transport.Device(); !proved.IsZero() && proved != e.device {
		x.refuse(session.OpUplink, refusal.New(refusal.PSKOtherDevice, "the connection is of "+proved.String()))
		return
	}
	if x.cipher != nil {
		if err := x.readSequence(r); err != nil {
			x.refuse(session.OpUplink, err)
			return
		}
	}
	sess := known
	if sess == nil {
		var ok bool
		if sess, _, ok = s.opts.Keeper.Try(e.token, x.peer.Transport.Protocol()); !ok {
			s.ask(x, r, e.token)
			return
		}
	}
	x.proved()
	if x.block2.num > 0 {
		s.continueReply(x, r)
		return
	}
	payload, whole := r.payload, true
	if x.block1.present && (x.block1.num > 0 || x.block1.more) {
		if payload, whole = s.upload(x, r, now); !whole {
			return
		}
	}
	if !x.begin(s.peers) {
		return
	}
	if !x.claim() {
		x.forget() // the very same message may come late, and is not to hear this
		x.refuse(session.OpUplink, refusal.New(refusal.SequenceReplayed, "sequence number "+utoa(x.number)))
		return
	}
	s.peers.verify(x.peer, now+verifiedFor.Milliseconds())
	s.opts.Keeper.Heard(sess, x.peer.Transport.Protocol(), x.peer.Addr)
	plain, err := x.open(payload)
	if err != nil {
		x.refuse(session.OpUplink, err)
		return
	}
	if string(r.path) == pathPull { // "Downlink by pull": nothing waits for devices that keep no connection
		x.path = pathPull
		x.respond([]byte("[]"))
		return
	}
	s.publish(x, sess, r.path, plain, now)
}

// find gives the entry of the request's token; nil if the request is answered, or is asked about apart.
func (s *Server) find(x *Exchange, r *request, known *session.Session, now int64) *entry {
	if len(r.auth) == 0 {
		x.stranger(refusal.New(refusal.TokenMissing, ""))
		return nil
	}
	protocol := x.peer.Transport.Protocol()
	e := s.tokens.get(r.auth)
	if e != nil && e.cipher == nil && protocol == ProtocolCoAP {
		e = nil // a token of 5684, without a key
	}
	switch {
	case e != nil && e.expires > 0 && e.expires <= now:
		x.entry = e
		s.discard(e)
		x.refuse(session.OpUplink, refusal.New(refusal.TokenExpired, time.UnixMilli(e.expires).UTC().Format(time.RFC3339)))
		return nil
	case e != nil:
		return e
	case protocol == ProtocolCoAP: // its key is nowhere
		s.unknown(x, r.auth, now)
		return nil
	case known != nil:
		e = s.enlist(&entry{token: string(r.auth), device: known.Ref})
		return e
	}
	s.ask(x, r, string(r.auth))
	return nil
}

// unknown refuses a token that is not in the table. What is wrong with it, and whose it is, is for the log.
func (s *Server) unknown(x *Exchange, text []byte, now int64) {
	claims, err := s.opts.Sealer.Open(string(text))
	switch family, _ := token.FamilyOf(ProtocolCoAP); {
	case err != nil:
		x.stranger(refusal.New(refusal.TokenMalformed, ""))
		return
	case claims.Family != family:
		err = refusal.New(refusal.TokenOtherProtocol, "")
	case claims.ExpiresAt*1000 <= now:
		err = refusal.New(refusal.TokenExpired, time.Unix(claims.ExpiresAt, 0).UTC().Format(time.RFC3339))
	default:
		err = refusal.New(refusal.TokenUnknown, "")
	}
	x.turnAway(session.OpAuth, claims.Device, err, s.sealed.Allow())
}

// enlist puts a token into the table.
func (s *Server) enlist(e *entry) *entry {
	known, gone := s.tokens.put(e)
	for _, old := range gone {
		s.release(old)
	}
	return known
}

// discard forgets a token.
func (s *Server) discard(e *entry) {
	s.tokens.drop(e)
	s.release(e)
}

// ask has function auth look at a token's grant, apart from the reader, and then begins again. Retransmissions meanwhile are absorbed.
func (s *Server) ask(x *Exchange, r *request, token string) {
	if !x.begin(s.peers) {
		return
	}
	again := r.clone()
	if !s.apart(s.looking, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, s.opts.LoginTimeout)
		defer cancel()
		sess, err := s.opts.Keeper.Session(ctx, token, x.peer.Transport.Protocol(), x.peer.Addr.String())
		if err != nil {
			code, _ := codeFor(err) // the Keeper has noted it
			x.respondCode(code)
			return
		}
		x.forget()
		s.serve(x.peer, again, sess)
		s.leave() // serve has entered for itself
	}) {
		x.drop(countBusy)
	}
}

// readSequence decrypts the sequence number. Whether padding or digits are wrong is not told.
func (x *Exchange) readSequence(r *request) error {
	if r.sequence == nil {
		return refusal.New(refusal.SequenceMissing, "")
	}
	if len(r.sequence) > len(r.scratch) {
		return refusal.New(refusal.SequenceMalformed, "")
	}
	text, err := x.cipher.AppendDecrypted(r.scratch[:0], r.sequence)
	if err != nil {
		return refusal.New(refusal.SequenceMalformed, "")
	}
	n, ok := parseSequence(text)
	if !ok {
		return refusal.New(refusal.SequenceMalformed, "")
	}
	x.number = n
	return nil
}

// claim uses the sequence number up; false if it was used before, or is out of the window.
func (x *Exchange) claim() bool {
	e := x.entry
	e.mu.Lock()
	defer e.mu.Unlock()
	if x.cipher != nil {
		if !e.window.fresh(x.number) {
			return false
		}
		e.window.use(x.number)
	}
	e.peer = x.peer
	return true
}

// open gives the payload in clear, in memory of its own.
func (x *Exchange) open(payload []byte) ([]byte, error) {
	if x.cipher == nil || len(payload) == 0 {
		return append(make([]byte, 0, len(payload)), payload...), nil
	}
	plain, err := x.cipher.AppendDecrypted(make([]byte, 0, len(payload)), payload)
	if err != nil {
		return nil, refusal.New(refusal.CiphertextMalformed, "")
	}
	return plain, nil
}

// publish passes a message on.
func (s *Server) publish(x *Exchange, sess *session.Session, path, payload []byte, now int64) {
	qos := byte(1)
	if x.kind == message.NonConfirmable {
		qos = 0
	}
	e := x.entry
	e.mu.Lock()
	if string(path) != e.last.name || sess.Grant.Topics.Version() != e.last.classes {
		if err := e.setTopic(sess, string(path)); err != nil {
			e.mu.Unlock()
			s.notTaken(x, path, qos, err, now)
			return
		}
	}
	last := e.last
	e.mu.Unlock()
	if err := s.opts.Keeper.Allow(sess, qos); err != nil {
		s.notTaken(x, path, qos, err, now)
		return
	}
	x.path, x.reply = last.name, last.reply
	x.message = uplink.Message{Session: sess, Topic: last.topic, Parsed: last.parsed, Payload: payload, QoS: qos, ReceivedAt: now, To: x}
	if s.opts.Router.Take(noWait, &x.message) == nil {
		return
	}
	if !s.apart(s.looking, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if s.opts.Router.Take(ctx, &x.message) != nil {
			x.undo()
		}
	}) {
		x.undo()
	}
}

// undo drops a message that found no room: the device sends it again, and then it is as new.
func (x *Exchange) undo() {
	if x.cipher != nil {
		x.entry.mu.Lock()
		x.entry.window.giveBack(x.number)
		x.entry.mu.Unlock()
	}
	x.drop(countBusy)
}

// notTaken refuses a message because of its topic, or because there are too many.
func (s *Server) notTaken(x *Exchange, path []byte, qos byte, err error, now int64) {
	s.opts.Router.Refused(x.entry.device, string(path[len(topicPrefix)-1:]), qos, err, now)
	code, _ := codeFor(err)
	x.respondCode(code)
}

// setTopic parses a path and checks that the device may publish there.
func (e *entry) setTopic(sess *session.Session, path string) error {
	name := topic.Cut(path[len(topicPrefix)-1:])
	u, err := topic.ParseUplink(name)
	if err == nil {
		if err = topic.MayPublish(sess.Grant, u); err == nil && uplink.NeedsConnection(u.Family) {
			err = refusal.New(refusal.TopicNotPermitted, "it is for devices that keep a connection")
		}
	}
	if err != nil {
		return err
	}
	e.last = lastTopic{name: path, topic: name, reply: u.ReplyTopic(name), parsed: u, classes: sess.Grant.Topics.Version()}
	return nil
}

// continueReply gives out a later block of the last reply.
func (s *Server) continueReply(x *Exchange, r *request) {
	e := x.entry
	e.mu.Lock()
	p := e.pending
	if p == nil || p.path != string(r.path) || !x.mayContinue(p) {
		e.mu.Unlock()
		x.refuse(session.OpUplink, refusal.New(refusal.BlockIncomplete, "there is no reply that goes on"))
		return
	}
	p.at = s.now().UnixMilli()
	e.mu.Unlock()
	if !x.shrink(r.size) { // the request's number was used: anybody who saw it can send it again, from wherever
		x.drop(countBusy)
		return
	}
	if x.block2.offset() >= len(p.body) {
		x.refuse(session.OpUplink, refusal.New(refusal.BlockMalformed, "the number is behind the end"))
		return
	}
	x.message.ID = p.id
	x.respondBlock(codes.Content, p.body, 0)
}

// mayContinue checks the sequence number of a request for a later block: that of the request itself, or a fresh one. The lock is held.
func (x *Exchange) mayContinue(p *reply) bool {
	if x.cipher == nil || x.number == p.number || x.number == p.lastNumber {
		return true
	}
	if !x.entry.window.fresh(x.number) {
		return false
	}
	x.entry.window.use(x.number)
	p.lastNumber = x.number
	return true
}
