// Package mns makes clients of the message service by the vendor's SDK, and queues for subscriptions (Message Service, "CreateQueue",
// "DeleteQueue").
package mns

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"

	ali "github.com/aliyun/aliyun-mns-go-sdk"

	"relink/shared/iot"
)

// timeout bounds one request, in seconds; the SDK knows no contexts.
const timeout = 3

// A Config says where the service is.
type Config struct {
	Endpoint        string // http://account.mns.region.aliyuncs.com: the SDK insists on four dots
	AccessKeyID     string
	AccessKeySecret iot.Secret
	SecurityToken   iot.Secret
}

// A Client is the SDK with credentials that can change. It is safe for concurrent use. The nil Client is one of an installation without
// the service: everything is Unavailable.
type Client struct {
	endpoint string
	sdk      atomic.Pointer[ali.MNSClient]
}

// New makes a client; nil without an error if there is no endpoint.
func New(c Config) (*Client, error) {
	if c.Endpoint == "" {
		return nil, nil
	}
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || strings.Count(c.Endpoint, ".") < 4 {
		return nil, fmt.Errorf("endpoint of the message service %q: want http://account.mns.region.aliyuncs.com (MNS_ENDPOINT)", c.Endpoint)
	}
	client := &Client{endpoint: c.Endpoint}
	return client, client.SetCredentials(c.AccessKeyID, c.AccessKeySecret, c.SecurityToken)
}

// SetCredentials changes the keys for requests that begin from now on.
func (c *Client) SetCredentials(id string, secret, token iot.Secret) (err error) {
	if c == nil {
		return nil
	}
	defer func() { // the SDK panics on what it does not like
		if p := recover(); p != nil {
			err = fmt.Errorf("client of the message service: %v", p)
		}
	}()
	sdk := ali.NewAliMNSClientWithConfig(ali.AliMNSClientConfig{EndPoint: c.endpoint, AccessKeyId: id, AccessKeySecret: secret.Reveal(),
		Token: token.Reveal(), TimeoutSecond: timeout, MaxConnsPerHost: 64})
	c.sdk.Store(&sdk)
	return nil
}

// SDK is the vendor's client, for queues and topics; nil without the service.
func (c *Client) SDK() ali.MNSClient {
	if c == nil {
		return nil
	}
	return *c.sdk.Load()
}

// Exists tells whether there is a queue.
func (c *Client) Exists(ctx context.Context, queue string) (bool, error) {
	err := c.do(ctx, func(m ali.AliQueueManager) error {
		_, err := m.GetQueueAttributes(queue)
		return err
	})
	if is(err, ali.ERR_MNS_QUEUE_NOT_EXIST.IsEqual) {
		return false, nil
	}
	return err == nil, wrap(err, "the queue cannot be looked for")
}

// Create creates a queue; one that is there is no error.
func (c *Client) Create(ctx context.Context, queue string) error {
	err := c.do(ctx, func(m ali.AliQueueManager) error { return m.CreateSimpleQueue(queue) })
	if is(err, ali.ERR_MNS_QUEUE_ALREADY_EXIST.IsEqual) || is(err, ali.ERR_MNS_QUEUE_ALREADY_EXIST_AND_HAVE_SAME_ATTR.IsEqual) {
		return nil
	}
	return wrap(err, "the queue cannot be created")
}

// Delete deletes a queue; one that is not there is no error.
func (c *Client) Delete(ctx context.Context, queue string) error {
	err := c.do(ctx, func(m ali.AliQueueManager) error { return m.DeleteQueue(queue) })
	if is(err, ali.ERR_MNS_QUEUE_NOT_EXIST.IsEqual) {
		return nil
	}
	return wrap(err, "the queue cannot be deleted")
}

var errNone = errors.New("there is no endpoint of the message service (MNS_ENDPOINT, RELINK_ACCOUNT_ID)")

func (c *Client) do(ctx context.Context, f func(ali.AliQueueManager) error) error {
	if c == nil {
		return errNone
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return f(ali.NewMNSQueueManager(*c.sdk.Load()))
}

func is(err error, equal func(error) bool) bool { return err != nil && equal(err) }

func wrap(err error, detail string) error {
	if err == nil {
		return nil
	}
	return iot.Wrap(iot.Unavailable, err, detail)
}
