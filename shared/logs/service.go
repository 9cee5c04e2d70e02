package logs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	sls "github.com/aliyun/aliyun-log-go-sdk"

	"relink/shared/iot"
)

// A ServiceConfig says where Log Service is and who asks.
type ServiceConfig struct {
	Endpoint        string // URL; the SDK puts the project before its host
	Dial            string // host:port to dial whatever the host name says; empty in the cloud
	Project         string
	AccessKeyID     string
	AccessKeySecret iot.Secret
	SecurityToken   iot.Secret
	Timeout         time.Duration // of one try; 10 s if zero
	RetryFor        time.Duration // all tries together; 10 s if zero
}

// NewClient makes the official SDK's client with a transport of our own: connections are kept (the SDK's default keeps two),
// and Dial takes the place of name resolution where project names do not resolve.
func NewClient(c ServiceConfig) (sls.ClientInterface, error) {
	if c.Endpoint == "" {
		return nil, errors.New("no endpoint of Log Service is configured (SLS_ENDPOINT)")
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.RetryFor == 0 {
		c.RetryFor = 10 * time.Second
	}
	client := sls.CreateNormalInterface(c.Endpoint, c.AccessKeyID, c.AccessKeySecret.Reveal(), c.SecurityToken.Reveal())
	client.SetHTTPClient(&http.Client{Transport: NewTransport(c.Dial), Timeout: c.Timeout})
	client.SetRetryTimeout(c.RetryFor)
	return client, nil
}

// NewTransport keeps more connections than the SDK's default, and dials the given host:port, if any, whatever the host name.
func NewTransport(dial string) *http.Transport {
	dialer := &net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second, MaxIdleConns: 32, MaxIdleConnsPerHost: 8, IdleConnTimeout: 50 * time.Second,
	}
	if dial != "" {
		t.Proxy = nil
		t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, dial)
		}
	}
	return t
}

// A Query asks one logstore. Expression is Log Service's query language: `device_name: lamp-001 and operation: auth`.
type Query struct {
	Logstore   string
	Expression string
	From, To   time.Time
	Limit      int  // lines in all
	Oldest     bool // oldest first; newest first otherwise
}

// Search answers the lines that match, each as a map from field to text.
func Search(client sls.ClientInterface, project string, q Query) ([]map[string]string, error) {
	var lines []map[string]string
	for len(lines) < q.Limit {
		r, err := client.GetLogsV2(project, q.Logstore, &sls.GetLogRequest{
			From: q.From.Unix(), To: q.To.Unix() + 1, Query: q.Expression,
			Lines: int64(min(100, q.Limit-len(lines))), Offset: int64(len(lines)), Reverse: !q.Oldest,
		})
		if err != nil {
			return nil, fmt.Errorf("search logstore %s: %w", q.Logstore, err)
		}
		lines = append(lines, r.Logs...)
		if len(r.Logs) < 100 {
			break
		}
	}
	return lines, nil
}

// Phrase quotes a value for a query expression.
func Phrase(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}
