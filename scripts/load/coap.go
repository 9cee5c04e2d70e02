package load

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"

	"relink/shared/iot"
	"relink/shared/sign"
)

// Options of the protocol that RFC 7252 does not have.
const (
	optionToken    message.OptionID = 2088
	optionSequence message.OptionID = 2089
)

// How a device repeats a request ("retransmission by devices": after 2 s, doubling, 4 times), and when it gives up.
const (
	ackTimeout       = 2 * time.Second
	retransmissions  = 4
	exchangeLifetime = ackTimeout * (1<<(retransmissions+1) - 1)
)

const jsonFormat = 50 // Content-Format

// errNotConnected says that the DTLS connection broke and could not be made again.
var errNotConnected = errors.New("there is no connection")

// A coapClient is a device that speaks CoAP over a socket of its own, as devices have an address of their own.
type coapClient struct {
	device *Device
	count  *counters
	dial   func(ctx context.Context) (net.Conn, error)
	secure bool          // 5684: the transport encrypts, and there are no sequence numbers
	first  time.Duration // until a request is sent again; doubles

	mu     sync.Mutex // guards conn and closed against close
	conn   net.Conn
	closed bool

	mid    uint16
	serial uint32
	token  []byte // of /auth
	cipher *sign.SessionCipher
	seq    uint64

	options message.Options
	answer  message.Message
	sealed  []byte
	number  []byte
	out, in []byte
}

func newCoAPClient(o *Options, d *Device, count *counters) *coapClient {
	c := &coapClient{device: d, count: count, first: ackTimeout, mid: uint16(rand.Uint32()), serial: rand.Uint32(), in: make([]byte, 1500), out: make([]byte, 1500)}
	address := o.Address
	c.dial = func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "udp", address) }
	if o.Protocol == CoAPS {
		c.secure = true
		c.dial = dtlsDialer(o, d)
	}
	return c
}

func (c *coapClient) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn != nil {
		c.conn.Close()
	}
}

// open makes the socket, or the DTLS connection.
func (c *coapClient) open(ctx context.Context) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		conn.Close()
		return net.ErrClosed
	}
	if c.conn != nil {
		c.conn.Close()
	}
	c.conn = conn
	return nil
}

func (c *coapClient) login(ctx context.Context) error {
	if c.conn == nil {
		if err := c.open(ctx); err != nil {
			return err
		}
	}
	var more map[string]string
	if !c.secure {
		more = map[string]string{"seq": strconv.Itoa(rand.IntN(10_000))}
	}
	body, err := json.Marshal(signed(c.device, more))
	if err != nil {
		return err
	}
	c.options = append(c.options[:0], message.Option{ID: message.URIPath, Value: []byte("auth")}, message.Option{ID: message.ContentFormat, Value: []byte{jsonFormat}})
	payload, err := c.exchange(ctx, body)
	if err != nil {
		return err
	}
	var grant struct {
		Random    string `json:"random"`
		SeqOffset uint64 `json:"seqOffset"`
		Token     string `json:"token"`
	}
	if err := json.Unmarshal(payload, &grant); err != nil || grant.Token == "" || !c.secure && grant.Random == "" {
		return fmt.Errorf("the answer to /auth is not one of the protocol: %.100q", payload)
	}
	c.token, c.seq, c.cipher = []byte(grant.Token), grant.SeqOffset, nil
	if !c.secure {
		c.cipher = sign.NewSessionCipher(sign.SessionKey(iot.Secret(c.device.DeviceSecret), grant.Random))
	}
	return nil
}

func (c *coapClient) post(ctx context.Context, topic string, payload []byte) ([]byte, error) {
	c.options = append(c.options[:0], message.Option{ID: message.URIPath, Value: []byte("topic")})
	for segment := range strings.SplitSeq(strings.TrimPrefix(topic, "/"), "/") {
		c.options = append(c.options, message.Option{ID: message.URIPath, Value: []byte(segment)})
	}
	c.options = append(c.options, message.Option{ID: message.ContentFormat, Value: []byte{jsonFormat}}, message.Option{ID: optionToken, Value: c.token})
	if c.cipher != nil {
		c.number = c.cipher.AppendEncrypted(c.number[:0], strconv.AppendUint(nil, c.seq, 10))
		c.options = append(c.options, message.Option{ID: optionSequence, Value: c.number})
		c.seq++
		c.sealed = c.cipher.AppendEncrypted(c.sealed[:0], payload)
		payload = c.sealed
	}
	reply, err := c.exchange(ctx, payload)
	if err != nil || c.cipher == nil || len(reply) == 0 {
		return reply, err
	}
	c.sealed, err = c.cipher.AppendDecrypted(c.sealed[:0], reply)
	if err != nil {
		return nil, fmt.Errorf("the reply does not open under the key of the token: %w", err)
	}
	return c.sealed, nil
}

// exchange sends a confirmable POST with c.options until it is answered, and gives the payload of a 2.05. A piggybacked response and a
// separate one ("both are handled") are the same to it.
func (c *coapClient) exchange(ctx context.Context, payload []byte) ([]byte, error) {
	c.mid++
	c.serial++
	request := message.Message{Type: message.Confirmable, Code: codes.POST, MessageID: int32(c.mid), Token: binary.BigEndian.AppendUint32(nil, c.serial), Options: c.options, Payload: payload}
	n, err := coder.DefaultCoder.Encode(request, c.out)
	if errors.Is(err, message.ErrTooSmall) && n <= 64<<10 {
		c.out = make([]byte, n)
		n, err = coder.DefaultCoder.Encode(request, c.out)
	}
	if err != nil {
		return nil, err
	}
	conn, datagram := c.conn, c.out[:n]
	if conn == nil {
		return nil, errNotConnected
	}
	acknowledged := false
	timeout := c.first
	for sent := 0; sent <= retransmissions; sent++ {
		if sent > 0 && !acknowledged {
			c.count.retransmitted.Add(1)
		}
		if !acknowledged {
			if _, err := conn.Write(datagram); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				return nil, c.broken(err)
			}
		}
		end := time.Now().Add(timeout)
		timeout *= 2
		if err := conn.SetReadDeadline(end); err != nil {
			return nil, c.broken(err)
		}
		for {
			n, err := conn.Read(c.in)
			switch {
			case err == nil:
			case errors.Is(err, syscall.ECONNREFUSED): // nobody listens; who sends again later may find somebody
				continue
			case isTimeout(err):
			default:
				return nil, c.broken(err)
			}
			if err != nil {
				break
			}
			done, empty, reply, err := c.answered(request, c.in[:n])
			if done {
				return reply, err
			}
			acknowledged = acknowledged || empty
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, fmt.Errorf("%w within %s, sent %d times", errNoAnswer, timeout-c.first, 1+retransmissions)
}

// answered looks whether a datagram answers the request. empty: it only says that the request arrived.
func (c *coapClient) answered(request message.Message, datagram []byte) (done, empty bool, reply []byte, err error) {
	m := &c.answer
	m.Options = m.Options[:0]
	if cap(m.Options) == 0 {
		m.Options = make(message.Options, 0, 16)
	}
	if _, err := coder.DefaultCoder.Decode(datagram, m); err != nil {
		c.count.unexpected.Add(1)
		return false, false, nil, nil
	}
	mine := m.MessageID == request.MessageID
	switch {
	case mine && m.Type == message.Reset:
		return true, false, nil, &Refusal{Protocol: CoAP, Code: "RST"}
	case mine && m.Type == message.Acknowledgement && m.Code == codes.Empty:
		return false, true, nil, nil
	case m.Code == codes.Empty, string(m.Token) != string(request.Token), m.Type == message.Acknowledgement && !mine, m.Code>>5 < 2:
		c.count.unexpected.Add(1) // of a request that was given up or answered already
		return false, false, nil, nil
	case m.Type == message.Confirmable:
		_, err := c.conn.Write([]byte{0x60, 0, byte(m.MessageID >> 8), byte(m.MessageID)})
		if err != nil {
			return true, false, nil, c.broken(err)
		}
	}
	if m.Code != codes.Content {
		return true, false, nil, &Refusal{Protocol: CoAP, Code: codeText(m.Code)}
	}
	return true, false, m.Payload, nil
}

// broken gives up the connection; the next login opens another one.
func (c *coapClient) broken(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
	return err
}

func codeText(code codes.Code) string { return fmt.Sprintf("%d.%02d", code>>5, code&0x1f) }

func isTimeout(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}
