package forward

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// HTTPS is the type of actions that post to a server of the customer's.
const HTTPS = "HTTPS"

// Servers is the destination HTTPS. Rules are written by many and this runs inside the network: addresses that are not public are refused
// when the connection is dialled, whatever a name resolves to then, and redirects are not followed.
type Servers struct {
	client  *http.Client
	private bool
}

var errPrivate = errors.New("the address is not public")

// NewServers makes the destination. private allows any address, and plain HTTP: for tests and closed networks.
func NewServers(private bool) *Servers {
	dialer := &net.Dialer{Timeout: requestWithin, Control: func(_, address string, _ syscall.RawConn) error {
		if private {
			return nil
		}
		a, err := netip.ParseAddrPort(address)
		if err != nil || !public(a.Addr()) {
			return errPrivate
		}
		return nil
	}}
	return &Servers{private: private, client: &http.Client{
		Timeout: requestWithin,
		Transport: &http.Transport{DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: requestWithin, MaxIdleConns: 64, MaxIdleConnsPerHost: 16,
			MaxConnsPerHost: messagesTogether, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 32 << 10}, // no Proxy: it would dial in our place
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// notPublic are ranges that net/netip has no word for (IANA, special-purpose address registries).
var notPublic = func() (list []netip.Prefix) {
	for _, p := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:db8::/32", "2002::/16"} {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}()

// public tells whether an address is one of the Internet. 100.100.100.200, the metadata of the cloud's machines, is none.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// Deliver posts each item. Any 2xx is arrival; 408, 429 and 5xx may pass, everything else does not.
func (s *Servers) Deliver(ctx context.Context, items []*Item) []error {
	errs := make([]error, len(items))
	each(ctx, len(items), messagesTogether, errs, func(n int) error { return s.deliver(ctx, items[n]) })
	return errs
}

func (s *Servers) deliver(ctx context.Context, i *Item) error {
	u, err := url.Parse(i.Target.Resource)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !(s.private && u.Scheme == "http") {
		return refused("%q is no address of an HTTPS server", i.Target.Resource)
	}
	method := i.Target.Method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(i.Body))
	if err != nil {
		return refused("%v", err)
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range i.Target.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("X-Relink-Message-Id", i.Message.ID) // the same if the message comes again
	resp, err := s.client.Do(req)
	switch {
	case errors.Is(err, errPrivate):
		return refused("%s: %v", u.Host, errPrivate)
	case err != nil:
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection is used again; what the server says is not looked at
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return nil
	case resp.StatusCode == http.StatusRequestTimeout || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return fmt.Errorf("the server answers %s", resp.Status)
	}
	return refused("the server answers %s", resp.Status)
}
