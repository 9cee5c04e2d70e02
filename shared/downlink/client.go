package downlink

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"relink/shared/config"
	"relink/shared/iot"
)

// Patience is what a call may take on top of what it asks the device to wait.
const Patience = 3 * time.Second

// A Client calls the internal API of connectors. It is safe for concurrent use and keeps connections open. It never retries:
// whether a message that may have been written is sent again is the caller's decision.
type Client struct {
	key  config.Key
	http *http.Client
	now  func() time.Time
}

// NewClient makes a client that signs with the installation's internal key.
func NewClient(key config.Key) *Client {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 64, // one function instance serves many synchronous calls to one node
		IdleConnTimeout:     50 * time.Second,
		TLSHandshakeTimeout: 2 * time.Second,
	}
	return &Client{key: key, http: &http.Client{Transport: transport}, now: time.Now}
}

// Publish asks the connector at base (scheme, host and port) to send one message. Errors are *iot.Error: Unavailable if the
// connector cannot be reached or does not answer properly, InvalidParams if it refused the request as such.
func (c *Client) Publish(ctx context.Context, base string, p *Publish) (Outcome, error) {
	wait := min(max(p.WaitMS, 0), MaxWait)
	return c.call(ctx, base, PathPublish, p, Patience+time.Duration(wait)*time.Millisecond)
}

// Drop asks the connector at base to end a device's connection. Errors are as those of Publish.
func (c *Client) Drop(ctx context.Context, base string, d *Drop) (Outcome, error) {
	return c.call(ctx, base, PathDrop, d, Patience)
}

// Broadcast asks the connector at base to send a message to a product's devices. Errors are as those of Publish.
func (c *Client) Broadcast(ctx context.Context, base string, b *Broadcast) (Outcome, error) {
	return c.call(ctx, base, PathBroadcast, b, BroadcastPatience)
}

// Classes tells the connector at base the topic classes of a product. Errors are as those of Publish.
func (c *Client) Classes(ctx context.Context, base string, t *Classes) (Outcome, error) {
	return c.call(ctx, base, PathClasses, t, Patience)
}

// Forget tells the connector at base that what a device may do has changed. Errors are as those of Publish.
func (c *Client) Forget(ctx context.Context, base string, f *Forget) (Outcome, error) {
	return c.call(ctx, base, PathForget, f, Patience)
}

// CloseIdle closes the connections that no call is using.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

func (c *Client) call(ctx context.Context, base, path string, request any, timeout time.Duration) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := json.Marshal(request)
	if err != nil {
		return Outcome{}, fmt.Errorf("encode %s: %w", path, err)
	}
	if len(body) > MaxBody {
		return Outcome{}, iot.Errorf(iot.InvalidParams, "message of %d bytes is too long", len(body))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(base, "/")+path, bytes.NewReader(body))
	if err != nil {
		return Outcome{}, iot.Wrap(iot.Unavailable, err, "the connector's address is unusable")
	}
	req.Header.Set("Content-Type", "application/json")
	if err := Sign(req, c.key, body, c.now()); err != nil {
		return Outcome{}, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Outcome{}, iot.Wrap(iot.Unavailable, err, "the connector does not answer")
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	if err != nil {
		return Outcome{}, iot.Wrap(iot.Unavailable, err, "the connector's answer broke off")
	}
	return outcome(resp.StatusCode, answer)
}

func outcome(status int, answer []byte) (Outcome, error) {
	switch {
	case status == http.StatusOK && len(answer) <= MaxBody:
		var o Outcome
		if err := json.Unmarshal(answer, &o); err != nil {
			return Outcome{}, iot.Wrap(iot.Unavailable, err, "the connector's answer is not understood")
		}
		return o, nil
	case status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge:
		return Outcome{}, iot.Wrap(iot.InvalidParams, fmt.Errorf("status %d: %.200q", status, answer), "the connector refused the message")
	default:
		return Outcome{}, iot.Wrap(iot.Unavailable, fmt.Errorf("status %d: %.200q", status, answer), "the connector did not take the message")
	}
}
