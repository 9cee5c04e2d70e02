package coap

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"

	"relink/shared/iot"
)

func TestWindow(t *testing.T) {
	t.Parallel()
	var w window
	for _, c := range []struct {
		n     uint64
		fresh bool
	}{
		{0, false}, {1, true}, {1, false}, {3, true}, {2, true}, {2, false}, {66, true}, {2, false}, {3, false}, {4, true}, {65, true},
		{1000, true}, {66, false}, {936, false}, {937, true}, {937, false}, {1 << 62, true}, {1000, false}, {1<<62 - 63, true}, {1<<62 - 64, false},
	} {
		if got := w.fresh(c.n); got != c.fresh {
			t.Fatalf("fresh(%d) = %t, highest %d", c.n, got, w.highest)
		}
		if c.fresh {
			w.use(c.n)
		}
	}
	w.giveBack(1 << 62)
	if !w.fresh(1 << 62) {
		t.Error("what was given back is not fresh")
	}
}

func key(port uint16) Peer {
	return Peer{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), port)}
}

func TestPeersAreBounded(t *testing.T) {
	t.Parallel()
	p := newPeers(peersLimit{perPeer: 4, bytesPerPeer: 100, records: 20, bytes: 1000})
	for mid := range uint16(4) {
		if got, _ := p.begin(key(1), mid, 1, 0); got != fresh {
			t.Fatalf("message %d: %v", mid, got)
		}
	}
	if got, _ := p.begin(key(1), 9, 1, 0); got != tooFar {
		t.Errorf("a fifth under way: %v", got)
	}
	if got, _ := p.begin(key(1), 2, 1, 0); got != early {
		t.Errorf("one under way again: %v", got)
	}
	p.finish(key(1), 2, 1, []byte("reply"))
	if got, reply := p.look(key(1), 2, 1, 246_999); got != again || string(reply) != "reply" {
		t.Errorf("%v %q", got, reply)
	}
	if got, _ := p.look(key(1), 2, 2, 0); got != fresh {
		t.Errorf("other bytes with this id: %v", got)
	}
	if got, _ := p.look(key(2), 2, 1, 0); got != fresh {
		t.Errorf("another peer: %v", got)
	}
	if got, _ := p.look(key(1), 2, 1, lifetime); got != fresh {
		t.Errorf("after its lifetime: %v", got)
	}
	if got, _ := p.begin(key(1), 9, 1, 1); got != fresh { // the finished one makes room
		t.Errorf("in its place: %v", got)
	}
	p.finish(key(1), 9, 1, make([]byte, 60))
	p.finish(key(1), 3, 1, make([]byte, 60)) // together too many bytes
	if _, n, size := p.size(); n != 3 || size != 60 {
		t.Errorf("%d messages, %d bytes", n, size)
	}
	for port := range uint16(100) {
		p.begin(key(1000+port), 1, 1, 2)
		p.finish(key(1000+port), 1, 1, make([]byte, 10))
	}
	if all, n, size := p.size(); n > 20 || size > 1000 || all > 20 {
		t.Errorf("%d peers, %d messages, %d bytes", all, n, size)
	}
	if got, _ := p.look(key(1), 0, 1, 2); got != early {
		t.Errorf("what is under way was forgotten: %v", got)
	}
	p.forget(key(1), 0, 1)
	p.forget(key(1), 1, 1)
	p.sweep(lifetime + 10)
	if all, n, size := p.size(); all != 0 || n != 0 || size != 0 {
		t.Errorf("after a sweep: %d peers, %d messages, %d bytes", all, n, size)
	}
}

// What is taken back leaves no peer behind, but for one whose address is known to be its device's.
func TestForgottenPeersLeaveNothing(t *testing.T) {
	t.Parallel()
	p := newPeers(peersLimit{perPeer: 4, bytesPerPeer: 100, records: 20, bytes: 1000})
	p.begin(key(1), 1, 1, 0)
	p.verify(key(1), 500)
	p.forget(key(1), 1, 1)
	for port := range uint16(1000) {
		p.begin(key(1000+port), 1, 1, 0)
		p.forget(key(1000+port), 1, 1)
	}
	if all, n, _ := p.size(); all != 1 || n != 0 || !p.verified(key(1), 499) {
		t.Errorf("%d peers, %d messages", all, n)
	}
}

func TestTokensAreBounded(t *testing.T) {
	t.Parallel()
	s := newTokens(3)
	names := []string{"a", "b", "c", "d"}
	for i, name := range names {
		if i == 3 {
			s.get([]byte("a")) // used lately
		}
		s.put(&entry{token: name, device: deviceOf(name), expires: int64(10 * (i + 1))})
	}
	if s.get([]byte("b")) != nil || s.get([]byte("a")) == nil || s.len() != 3 {
		t.Error("want the token that was not used longest forgotten")
	}
	if gone := s.expired(10); len(gone) != 1 || gone[0].token != "a" || len(s.of(deviceOf("a"))) != 0 {
		t.Errorf("%d expired", len(gone))
	}
}

// FuzzDecode: what is decoded is what go-coap's own coder reads, and nothing fails.
func FuzzDecode(f *testing.F) {
	post := message.Message{
		Type: message.Confirmable, Code: codes.POST, MessageID: 7, Token: message.Token{1, 2}, Payload: []byte("payload"),
		Options: message.Options{{ID: message.URIPath, Value: []byte("topic")}, {ID: message.URIPath, Value: []byte("sys")}, {ID: message.URIQuery, Value: []byte("seq=0A")},
			{ID: message.Block2, Value: []byte{6}}, {ID: message.Block1, Value: []byte{0x1e}}, {ID: message.Size1, Value: []byte{1, 0}}, {ID: optionTokenOld, Value: []byte("token")},
			{ID: optionToken, Value: bytes.Repeat([]byte("t"), 192)}, {ID: optionSequence, Value: make([]byte, 16)}},
	}
	seed := make([]byte, 512)
	n, err := coder.DefaultCoder.Encode(post, seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed[:n])
	f.Add([]byte{0x40, 0, 0, 1})
	f.Add([]byte{0x40, 2, 0, 1, 0xff})
	f.Add([]byte{0x40, 2, 0, 1, 0x11, 0xff, 0xff})
	f.Add([]byte{0x40, 2, 0, 1, 0xdd, 0xff, 0xff})
	f.Add([]byte{0x4f, 2, 0, 1})
	f.Fuzz(func(t *testing.T, datagram []byte) {
		r := new(request)
		if r.decode(datagram) != nil {
			return
		}
		if len(r.path) == 0 || r.path[0] != '/' || len(r.token) > 8 || len(r.payload) > len(datagram) {
			t.Errorf("path %q, token %x", r.path, r.token)
		}
		m := message.Message{Options: make(message.Options, 0, maxOptions)}
		if _, err := coder.DefaultCoder.Decode(datagram, &m); err != nil {
			t.Fatalf("go-coap: %v", err)
		}
		if !bytes.Equal(m.Payload, r.payload) || m.MessageID != int32(r.mid) || m.Code != r.code {
			t.Errorf("payload %x, go-coap's %x", r.payload, m.Payload)
		}
		if c := r.clone(); !bytes.Equal(c.path, r.path) || !bytes.Equal(c.auth, r.auth) || c.block1 != r.block1 || c.hash != r.hash {
			t.Error("the clone differs")
		}
	})
}

// FuzzWriter: what is written is what go-coap reads.
func FuzzWriter(f *testing.F) {
	f.Add(uint16(4), uint16(2090), []byte("123"), []byte("payload"))
	f.Add(uint16(23), uint16(23), bytes.Repeat([]byte("x"), 300), []byte{})
	f.Fuzz(func(t *testing.T, first, second uint16, value, payload []byte) {
		if first == 0 || second < first || len(value) > 1000 {
			return
		}
		w := writer{b: []byte{0x60, 0x45, 1, 2}}
		w.option(message.OptionID(first), value)
		w.option(message.OptionID(second), nil)
		if len(payload) > 0 {
			w.b = append(append(w.b, 0xff), payload...)
		}
		r := new(request)
		if err := r.decode(w.b); err != nil {
			t.Fatal(err)
		}
		if len(r.options) != 2 || r.options[0].ID != message.OptionID(first) || r.options[1].ID != message.OptionID(second) || !bytes.Equal(r.options[0].Value, value) || !bytes.Equal(r.payload, payload) {
			t.Errorf("%x is read as %v %x", w.b, r.options, r.payload)
		}
	})
}

// FuzzSequence: a number is read as what it is.
func FuzzSequence(f *testing.F) {
	for _, seed := range []string{"1", "10", "0", "", "18446744073709551616", "-1", " 1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, ok := parseSequence([]byte(text))
		if !ok {
			return
		}
		got := utoa(n)
		for len(text) > 1 && text[0] == '0' {
			text = text[1:]
		}
		if got != text {
			t.Errorf("%q is read as %s", text, got)
		}
	})
}

func deviceOf(name string) iot.DeviceRef {
	return iot.DeviceRef{ProductKey: "p", DeviceName: iot.DeviceName(name)}
}
