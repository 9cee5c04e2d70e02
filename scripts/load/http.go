package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"relink/shared/iot"
	"relink/shared/sign"
)

// httpPatience is how long a device waits for the answer to a request.
const httpPatience = 20 * time.Second

// An httpClient is a device that speaks HTTP(S): POST /auth, then POST /topic/… under the token, over one connection that stays.
type httpClient struct {
	protocol Protocol
	base     string
	device   *Device
	client   *http.Client
	token    string
}

func newHTTPClient(o *Options, d *Device) *httpClient {
	return &httpClient{
		protocol: o.Protocol, base: strings.TrimRight(o.Address, "/"), device: d,
		client: &http.Client{Timeout: httpPatience, Transport: &http.Transport{
			DialContext:     (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, DisableCompression: true,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.TLS.Roots},
			ReadBufferSize:  2 << 10, WriteBufferSize: 2 << 10,
		}},
	}
}

func (c *httpClient) close() { c.client.CloseIdleConnections() }

// signed makes the members of POST /auth, signed with HMAC-SHA256 as Link SDK C 4 does it.
func signed(d *Device, more map[string]string) map[string]string {
	members := map[string]string{"clientId": d.ProductKey + "." + d.DeviceName, "productKey": d.ProductKey, "deviceName": d.DeviceName}
	for name, value := range more {
		members[name] = value
	}
	members["sign"] = sign.Sign(sign.HMACSHA256, iot.Secret(d.DeviceSecret), sign.TokenContent(members))
	members["signmethod"] = "hmacsha256"
	return members
}

func (c *httpClient) login(ctx context.Context) error {
	body, err := json.Marshal(signed(c.device, map[string]string{"version": "default"}))
	if err != nil {
		return err
	}
	info, err := c.do(ctx, "/auth", "application/json", "", body)
	if err != nil {
		return err
	}
	if info.Token == "" {
		return errors.New("the answer to /auth has no token")
	}
	c.token = info.Token
	return nil
}

func (c *httpClient) post(ctx context.Context, topic string, payload []byte) ([]byte, error) {
	info, err := c.do(ctx, "/topic"+topic, "application/octet-stream", c.token, payload)
	if err == nil && info.MessageID == 0 {
		err = errors.New("the answer to a post has no messageId")
	}
	return nil, err
}

// info is what a success carries.
type info struct {
	Token     string `json:"token"`
	MessageID int64  `json:"messageId"`
}

func (c *httpClient) do(ctx context.Context, path, kind, token string, body []byte) (info, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return info{}, err
	}
	r.Header.Set("Content-Type", kind)
	if token != "" {
		r.Header.Set("password", token)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return info{}, lost(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return info{}, lost(err)
	}
	if resp.StatusCode != http.StatusOK { // no code of the protocol: something in between, or no device port
		return info{}, &Refusal{Protocol: c.protocol, Code: "HTTP " + strconv.Itoa(resp.StatusCode)}
	}
	var answer struct {
		Code    *int   `json:"code"`
		Message string `json:"message"`
		Info    info   `json:"info"`
	}
	if err := json.Unmarshal(data, &answer); err != nil || answer.Code == nil {
		return info{}, fmt.Errorf("the answer to %s is not one of the protocol: %.100q", path, data)
	}
	if *answer.Code != 0 {
		return info{}, &Refusal{Protocol: c.protocol, Code: strconv.Itoa(*answer.Code), Message: answer.Message}
	}
	return answer.Info, nil
}

// lost tells an answer that did not come in time from a connection that broke.
func lost(err error) error {
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return fmt.Errorf("%w within %s", errNoAnswer, httpPatience)
	}
	return err
}
