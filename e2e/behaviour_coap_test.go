package e2e

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"

	"relink/scripts/load"
	"relink/shared/token"
)

// A coapSpeaker posts over CoAP: on 5682 with encrypted payloads, on 5684 in clear within DTLS. What is longer than a block goes in blocks.
type coapSpeaker struct {
	*coapLamp
	dial func() (net.Conn, error)
	dtls bool
	last message.Message // the request whose response was the answer
}

func openCoAP(t *testing.T, s *system, d load.Device) speaker {
	return &coapSpeaker{coapLamp: newCoapLamp(t, s, d)}
}

func openCoAPS(t *testing.T, s *system, d load.Device) speaker {
	c := &coapSpeaker{coapLamp: &coapLamp{t: t, device: d, mid: uint16(time.Now().UnixNano())}, dtls: true}
	c.dial = func() (net.Conn, error) { return dialDTLS(s.env["RELINK_COAPS"], coapsCertificate(t, s)) }
	t.Cleanup(c.leave)
	return c
}

func (c *coapSpeaker) secret(secret string) { c.device.DeviceSecret = secret }

func (c *coapSpeaker) token(text string) (string, token.Family) {
	old := c.coapLamp.token
	c.coapLamp.token = text
	return old, token.CoAP
}

func codeOf(c codes.Code) string {
	if c == codes.Content {
		return accepted
	}
	return fmt.Sprintf("%d.%02d", c>>5, c&31)
}

func (c *coapSpeaker) login() string {
	c.t.Helper()
	if err := c.reconnect(); err != nil {
		return "no connection"
	}
	got := c.auth()
	if got.Code != codes.Content {
		return codeOf(got.Code)
	}
	if err := c.accept(got.Payload); err != nil {
		c.t.Fatal(err)
	}
	return accepted
}

// reconnect opens a new connection on 5684; on 5682 there are none.
func (c *coapSpeaker) reconnect() error {
	if !c.dtls {
		return nil
	}
	c.leave()
	conn, err := c.dial()
	if err == nil {
		c.conn = conn
	}
	return err
}

// tell sends a non-confirmable message. The response has no reader: it answers another message than the next one.
func (c *coapSpeaker) tell(topic, payload string) bool {
	m := c.sealed(topic, payload)
	m.Type = message.NonConfirmable
	b := make([]byte, 2048)
	n, err := coder.DefaultCoder.Encode(m, b)
	if err == nil {
		_, err = c.conn.Write(b[:n])
	}
	if err != nil {
		c.t.Error(err)
	}
	return true
}

func (c *coapSpeaker) say(topic, payload, _ string) answer {
	c.t.Helper()
	if c.conn == nil {
		return answer{code: "no connection"}
	}
	whole := c.sealed(topic, payload)
	body := whole.Payload
	const size = 1024
	for n := 0; ; n++ {
		c.last = whole
		more := len(body) > (n+1)*size
		if n > 0 || more {
			c.mid++
			c.last.MessageID = int32(c.mid)
			c.last.Payload = body[n*size : min(len(body), (n+1)*size)]
			block := uint32(n)<<4 | 6
			if more {
				block |= 8
			}
			c.last.Options = append(message.Options{}, whole.Options...)
			c.last.Options = c.last.Options.Add(number(message.Block1, block)).Add(number(message.Size1, uint32(len(body))))
		}
		got, ok := c.tries(c.last, 3)
		switch {
		case !ok:
			return answer{code: "unanswered"}
		case more && got.Code == codes.Continue:
			continue
		case got.Code != codes.Content:
			return answer{code: codeOf(got.Code), body: string(got.Payload)}
		}
		return answer{code: accepted, body: c.decrypt(got.Payload)}
	}
}

func number(id message.OptionID, n uint32) message.Option {
	var b [4]byte
	k, err := message.EncodeUint32(b[:], n)
	if err != nil {
		panic(err)
	}
	return message.Option{ID: id, Value: b[:k]}
}

func (c *coapSpeaker) again() answer {
	c.t.Helper()
	got := c.exchange(c.last)
	return answer{code: codeOf(got.Code), body: c.decrypt(got.Payload)}
}

// hear asks for what waits, as the pull of Link SDK C 4 does.
func (c *coapSpeaker) hear(topic string, within time.Duration) (string, bool) {
	for end := time.Now().Add(within); time.Now().Before(end); pause(c.t, within/4) {
		m := c.sealed("", `{"pageSize":"10"}`)
		m.Options = m.Options.Remove(message.URIPath).Add(message.Option{ID: message.URIPath, Value: []byte("pull")})
		got := c.exchange(m)
		if text := c.decrypt(got.Payload); got.Code == codes.Content && text != "[]" {
			return text, true
		}
	}
	return "", false
}

// leave: there is no goodbye; a device on 5684 may close its connection.
func (c *coapSpeaker) leave() {
	if c.dtls && c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}
