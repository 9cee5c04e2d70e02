package forward

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	ali "github.com/aliyun/aliyun-mns-go-sdk"
)

// A MessageService makes clients of Message Service; *mns.Client is one.
type MessageService interface {
	SDK() ali.MNSClient // nil if the installation has none
}

// Bounds of one request (Message Service, "BatchSendMessage").
const (
	maxQueueMessages = 16
	maxQueueBytes    = 64 << 10 // of all bodies together, and of one
)

var errNoMessageService = refused("there is no endpoint of the message service (MNS_ENDPOINT, RELINK_ACCOUNT_ID)")

// Queues is the destination QUEUE: the queues of subscriptions.
type Queues struct{ Service MessageService }

// Deliver sends items to one queue, up to 16 in a request.
func (q Queues) Deliver(ctx context.Context, items []*Item) []error {
	sdk := q.Service.SDK()
	if sdk == nil {
		return all(len(items), errNoMessageService)
	}
	errs := make([]error, len(items))
	queue := ali.NewMNSQueue(items[0].Target.Resource, sdk, -1) // the service limits by itself, and says so
	var batches [][]int
	size := 0
	for n, i := range items {
		if len(i.Body) > maxQueueBytes {
			errs[n] = refused("the message has %d bytes, a queue takes %d", len(i.Body), maxQueueBytes)
			continue
		}
		last := len(batches) - 1
		if last < 0 || len(batches[last]) == maxQueueMessages || size+len(i.Body) > maxQueueBytes {
			batches, size = append(batches, nil), 0
			last++
		}
		batches[last], size = append(batches[last], n), size+len(i.Body)
	}
	results := make([]error, len(batches))
	each(ctx, len(batches), 8, results, func(b int) error {
		messages := make([]ali.MessageSendRequest, len(batches[b]))
		for k, n := range batches[b] {
			messages[k] = ali.MessageSendRequest{MessageBody: string(items[n].Body), Priority: 8}
		}
		resp, err := queue.BatchSendMessage(messages...)
		if len(resp.Messages) != len(messages) {
			if err == nil {
				err = &Error{Reason: "the answer of the queue is not complete"}
			}
			return messageError(err)
		}
		for k, n := range batches[b] {
			if m := &resp.Messages[k]; m.ErrorCode != "" {
				errs[n] = &Error{Reason: m.ErrorCode + ": " + m.ErrorMessage, Final: refusedByService(m.ErrorCode)}
			}
		}
		return nil
	})
	for b, err := range results {
		if err != nil {
			for _, n := range batches[b] {
				errs[n] = err
			}
		}
	}
	return errs
}

// Topics is the destination MNS: topics of the message service.
type Topics struct{ Service MessageService }

// Deliver publishes each item; there is no request for several.
func (t Topics) Deliver(ctx context.Context, items []*Item) []error {
	sdk := t.Service.SDK()
	if sdk == nil {
		return all(len(items), errNoMessageService)
	}
	errs := make([]error, len(items))
	topic := ali.NewMNSTopic(items[0].Target.Resource, sdk, -1)
	each(ctx, len(items), 16, errs, func(n int) error {
		body := items[n].Body
		switch {
		case len(body) > maxQueueBytes:
			return refused("the message has %d bytes, a topic takes %d", len(body), maxQueueBytes)
		case len(body) == 0 || !text(body):
			return refused("a topic takes text, and the body is none")
		}
		_, err := topic.PublishMessage(ali.MessagePublishRequest{MessageBody: string(body)})
		return messageError(err)
	})
	return errs
}

// text tells whether a body can be a text in XML.
func text(body []byte) bool {
	if !utf8.Valid(body) {
		return false
	}
	for _, r := range string(body) {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return false
		}
	}
	return true
}

func messageError(err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &Error{Reason: err.Error(), Final: refusedByService(err.Error())}
}

// refusedByService tells by a code, or by the text that the SDK makes of an answer, whether the same request is refused again
// (Message Service, "Error codes").
func refusedByService(reason string) bool {
	for _, code := range []string{"QueueNotExist", "TopicNotExist", "AccessDenied", "InvalidArgument", "MalformedXML", "InvalidAccessKeyId", "InvalidQueueName",
		"InvalidTopicName", "SignatureDoesNotMatch", "PayloadTooLarge", "MessageBodyTooLarge", "SubscriptionNameLengthError"} {
		if strings.Contains(reason, code) {
			return true
		}
	}
	return false
}
