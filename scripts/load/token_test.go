package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"

	"relink/shared/iot"
	"relink/shared/sign"
)

const testRandom = "ad2b3c4d5e6f7081"

// signedRight reports whether the members of POST /auth are signed with the secret of the device they name.
func signedRight(members map[string]string) bool {
	for _, d := range devices {
		if d.DeviceName == members["deviceName"] {
			return members["sign"] == sign.Sign(sign.HMACSHA256, iot.Secret(d.DeviceSecret), sign.TokenContent(members))
		}
	}
	return false
}

// coapServer answers datagrams; answer gets the number of the datagram, from 1, and nil datagrams that it returns are not sent.
func coapServer(t *testing.T, answer func(n int, m message.Message) []message.Message) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		for n := 1; ; n++ {
			b := make([]byte, 1500)
			size, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			m := message.Message{Options: make(message.Options, 0, 16)}
			if _, err := coder.DefaultCoder.Decode(b[:size], &m); err != nil {
				t.Errorf("%x: %v", b[:size], err)
				return
			}
			for _, r := range answer(n, m) {
				out := make([]byte, 1500)
				size, err := coder.DefaultCoder.Encode(r, out)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := conn.WriteTo(out[:size], from); err != nil {
					return
				}
			}
		}
	}()
	return conn.LocalAddr().String()
}

func ack(m message.Message, code codes.Code, payload []byte) message.Message {
	return message.Message{Type: message.Acknowledgement, Code: code, MessageID: m.MessageID, Token: m.Token, Payload: payload}
}

func path(m message.Message) string {
	p, _ := m.Options.Path()
	return p
}

func value(m message.Message, id message.OptionID) []byte {
	v, _ := m.Options.GetBytes(id)
	return v
}

// grant answers POST /auth as 5682 does, if it is signed right.
func grant(m message.Message) []message.Message {
	var members map[string]string
	if json.Unmarshal(m.Payload, &members) != nil || !signedRight(members) {
		return []message.Message{ack(m, codes.Unauthorized, nil)}
	}
	return []message.Message{ack(m, codes.Content, []byte(`{"random":"`+testRandom+`","seqOffset":1,"token":"T"}`))}
}

// A CoAP device encrypts payload and sequence number, reads the encrypted reply, gets a new token on 4.01, and keeps account.
func TestCoAPDevices(t *testing.T) {
	t.Parallel()
	var logins, posts atomic.Int64
	address := coapServer(t, func(_ int, m message.Message) []message.Message {
		if path(m) == "/auth" || path(m) == "auth" {
			logins.Add(1)
			return grant(m)
		}
		if posts.Add(1) == 3 {
			return []message.Message{ack(m, codes.Unauthorized, nil)}
		}
		d := devices[0]
		if strings.Contains(path(m), devices[1].DeviceName) {
			d = devices[1]
		}
		key := sign.SessionKey(iot.Secret(d.DeviceSecret), testRandom)
		payload, err := sign.DecryptMessage(key, m.Payload)
		number, err2 := sign.DecryptMessage(key, value(m, 2089))
		if _, err3 := strconv.Atoi(string(number)); err != nil || err2 != nil || err3 != nil || string(value(m, 2088)) != "T" {
			return []message.Message{ack(m, codes.BadRequest, nil)}
		}
		if id, _ := numberAfter(payload, `"id":"`); id < 1000 || strings.TrimPrefix(path(m), "/") != "topic"+d.Topic() {
			return []message.Message{ack(m, codes.NotFound, nil)}
		}
		return []message.Message{ack(m, codes.Content, sign.EncryptMessage(key, []byte(`{"code":200,"id":"1"}`)))}
	})
	var heard atomic.Int64
	r, err := Run(context.Background(), Options{
		Protocol: CoAP, Address: address, Devices: devices, Duration: 200 * time.Millisecond, Rate: 200, FirstSeq: 1000, Bytes: 200,
		Heard: func(Answer) { heard.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Acked < 20 || r.Acked != r.Sent || r.Replied != r.Acked || r.Declined+r.TimedOut+int64(r.Open) != 0 || r.Codes["4.01"] != 1 {
		t.Errorf("%+v codes %v, first %v", r.Counts, r.Codes, r.FirstError)
	}
	if logins.Load() != 3 || r.Logins != 3 || heard.Load() != r.Acked+1 {
		t.Errorf("%d logins, %d counted, %d heard", logins.Load(), r.Logins, heard.Load())
	}
	for i, numbers := range r.Numbers {
		slices.Sort(numbers)
		if len(numbers) == 0 || numbers[0] != 1000 || len(slices.Compact(slices.Clone(numbers))) != len(numbers) {
			t.Errorf("device %d: %v", i, numbers)
		}
	}
}

// A refused post is counted by its code, and what was acknowledged is nothing of it.
func TestCoAPRefused(t *testing.T) {
	t.Parallel()
	address := coapServer(t, func(_ int, m message.Message) []message.Message {
		if strings.Trim(path(m), "/") == "auth" {
			return grant(m)
		}
		return []message.Message{ack(m, codes.Forbidden, nil)}
	})
	r, err := Run(context.Background(), Options{Protocol: CoAP, Address: address, Devices: devices[:1], Duration: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Acked != 0 || r.Declined != 1 || r.Codes["4.03"] != 1 || len(r.Numbers[0]) != 0 {
		t.Errorf("%+v codes %v", r.Counts, r.Codes)
	}
	if r.FirstError == nil || !strings.Contains(r.FirstError.Error(), "disabled") {
		t.Errorf("says %v", r.FirstError)
	}
	wrong := []Device{{devices[0].ProductKey, devices[0].DeviceName, "another"}}
	_, err = Run(context.Background(), Options{Protocol: CoAP, Address: address, Devices: wrong, Duration: time.Second})
	if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Code != "4.01" {
		t.Errorf("wrong secret: %v", err)
	}
}

// Devices that try again give up when the time of the run is over, though nothing answers.
func TestCoAPNothingAnswers(t *testing.T) {
	t.Parallel()
	devices := []Device{{"a1ProductKey", "dev-1", "0123456789abcdef0123456789abcdef"}}
	address := coapServer(t, func(int, message.Message) []message.Message { return nil })
	begun := time.Now()
	_, err := Run(context.Background(), Options{Protocol: CoAP, Address: address, Devices: devices, Duration: 100 * time.Millisecond, Reconnect: true})
	if err == nil || !strings.Contains(err.Error(), "could authenticate at "+address) {
		t.Errorf("says %v", err)
	}
	if took := time.Since(begun); took > 10*time.Second { // a device alone would try for a minute
		t.Errorf("after %s", took)
	}
}

// A device sends again what is lost, the same bytes; a separate response counts as much as a piggybacked one and is acknowledged; strange
// datagrams are passed over; and it gives up.
func TestCoAPExchange(t *testing.T) {
	t.Parallel()
	var first int32 // of the reader alone
	acknowledged := make(chan message.Message, 1)
	address := coapServer(t, func(n int, m message.Message) []message.Message {
		switch {
		case m.Type == message.Acknowledgement:
			acknowledged <- m
			return nil
		case n == 1:
			first = m.MessageID
			return nil
		case n == 2 && first != m.MessageID:
			t.Errorf("sent again with id %d", m.MessageID)
		case n > 2:
			return nil
		}
		separate := message.Message{Type: message.Confirmable, Code: codes.Content, MessageID: 77, Token: m.Token, Payload: []byte("late")}
		stray := ack(m, codes.Content, []byte("stray"))
		stray.Token = message.Token{9}
		return []message.Message{stray, ack(message.Message{MessageID: m.MessageID}, codes.Empty, nil), separate}
	})
	count := new(counters)
	c := newCoAPClient(&Options{Protocol: CoAP, Address: address}, &devices[0], count)
	defer c.close()
	c.first = 20 * time.Millisecond
	if err := c.open(context.Background()); err != nil {
		t.Fatal(err)
	}
	reply, err := c.exchange(context.Background(), []byte("hello"))
	if err != nil || string(reply) != "late" || count.retransmitted.Load() != 1 || count.unexpected.Load() != 1 {
		t.Errorf("%q, %v, %d sent again, %d unexpected", reply, err, count.retransmitted.Load(), count.unexpected.Load())
	}
	select {
	case m := <-acknowledged:
		if m.MessageID != 77 || m.Code != codes.Empty {
			t.Errorf("acknowledged %v", m.String())
		}
	case <-time.After(5 * time.Second):
		t.Error("the separate response is not acknowledged")
	}
	c.first = time.Millisecond
	if _, err := c.exchange(context.Background(), []byte("hello")); !errors.Is(err, errNoAnswer) || count.retransmitted.Load() != 1+retransmissions {
		t.Errorf("%v, %d sent again", err, count.retransmitted.Load())
	}
}

// An HTTP device posts under its token over one connection, and gets a new one on 20001.
func TestHTTPDevices(t *testing.T) {
	t.Parallel()
	var logins, posts, connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		switch {
		case r.URL.Path == "/auth":
			var members map[string]string
			if json.Unmarshal(body, &members) != nil || !signedRight(members) {
				io.WriteString(w, `{"code":20000,"message":"auth check error"}`)
				return
			}
			logins.Add(1)
			io.WriteString(w, `{"code":0,"message":"success","info":{"token":"T"}}`)
		case r.Header.Get("Password") != "T" || posts.Add(1) == 3:
			io.WriteString(w, `{"code":20001,"message":"token is expired"}`)
		case !bytes.Contains(body, []byte(`"seq":`)) || !strings.HasPrefix(r.URL.Path, "/topic/sys/"):
			io.WriteString(w, `{"code":10001,"message":"param error"}`)
		default:
			io.WriteString(w, `{"code":0,"message":"success","info":{"messageId":892687627916247040}}`)
		}
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	r, err := Run(context.Background(), Options{Protocol: HTTP, Address: server.URL, Devices: devices, Duration: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Acked < 4 || r.Acked != r.Sent || r.Declined+r.TimedOut+r.Broken+int64(r.Open) != 0 || r.Codes["20001"] != 1 || logins.Load() != 3 {
		t.Errorf("%+v codes %v, %d logins", r.Counts, r.Codes, logins.Load())
	}
	if connections.Load() != int64(len(devices)) {
		t.Errorf("%d connections", connections.Load())
	}
	_, err = Run(context.Background(), Options{Protocol: HTTP, Address: server.URL, Devices: []Device{{"a1ProductKey", "dev-1", "no"}}, Duration: time.Second})
	if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Code != "20000" || !strings.Contains(err.Error(), "check name and secret") {
		t.Errorf("wrong secret: %v", err)
	}
}

func TestProtocolUnknown(t *testing.T) {
	t.Parallel()
	if _, err := Run(context.Background(), Options{Protocol: "amqp", Address: "x:1", Devices: devices}); err == nil || !strings.Contains(err.Error(), "amqp") {
		t.Error(err)
	}
}
