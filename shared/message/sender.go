package message

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"relink/shared/fc"
	"relink/shared/iot"
)

// Rule is the function that takes what is sent.
const Rule = "rule"

// MaxBatch is how many bytes a batch has at most: an asynchronous invocation takes 128 KB (Function Compute, "Limits"), and the function
// has to have room to hand on what it could not deliver. A message that is larger by itself, up to what a device may publish, travels
// alone and synchronously.
const MaxBatch = 100 << 10

// Interest is what rules and subscriptions want. It is *interest.Watch, or a test's.
type Interest interface {
	// Refresh makes sure that what is known of interest is as new as it has to be: it reads if the last look is too long ago. It is called
	// once per batch. An error means that nothing is known; messages must not be passed over then.
	Refresh(ctx context.Context) error
	// Any tells whether any message of the product may be wanted. It neither allocates nor blocks.
	Any(pk iot.ProductKey) bool
	// Wants tells whether a message of that kind with that forwarding topic is wanted. It neither allocates nor blocks.
	Wants(kind Kind, pk iot.ProductKey, topic string) bool
}

// An Invoker runs functions; *fc.Client is one.
type Invoker interface {
	InvokeAsync(ctx context.Context, function string, event []byte) error
	Invoke(ctx context.Context, function string, event []byte) (fc.Result, error)
}

// A Sender hands messages to the rule engine. It is safe for concurrent use. The nil Sender wants nothing and sends nothing.
type Sender struct {
	interest Interest
	fc       Invoker
	function string
	now      func() time.Time
}

// NewSender makes a sender of one function, whose name is for the log. now is the clock, time.Now if nil.
func NewSender(interest Interest, client Invoker, function string, now func() time.Time) *Sender {
	if now == nil {
		now = time.Now
	}
	return &Sender{interest, client, function, now}
}

// Refresh is to be called once per batch of records, before Any and Wants. An error means that nothing is known of what is wanted: the
// source answers Retry for what could be.
func (s *Sender) Refresh(ctx context.Context) error {
	if s == nil {
		return nil
	}
	return s.interest.Refresh(ctx)
}

// Any tells whether anything of the product may be wanted, before a source makes a topic. It costs nothing.
func (s *Sender) Any(pk iot.ProductKey) bool { return s != nil && s.interest.Any(pk) }

// Wants tells whether somebody wants such a message.
func (s *Sender) Wants(kind Kind, pk iot.ProductKey, topic string) bool {
	return s != nil && s.interest.Any(pk) && s.interest.Wants(kind, pk, topic)
}

// Send hands over those of the messages that somebody wants. If it returns nil they are stored and will be delivered at least once. An
// error means that some may not have been handed over: the source has the records sent again, and sends all of them again. It is of
// kind iot.Throttled or iot.Unavailable. The messages are not read any more once Send has returned.
func (s *Sender) Send(ctx context.Context, messages []Message) error {
	if s == nil || len(messages) == 0 {
		return nil
	}
	if err := s.interest.Refresh(ctx); err != nil {
		return iot.Wrap(iot.Unavailable, err, "what is wanted is not known")
	}
	var event []byte
	for i := range messages {
		m := &messages[i]
		if !s.Wants(m.Kind, m.Device.ProductKey, m.Topic) {
			continue
		}
		size := m.size()
		if len(event) > 0 && len(event)+size > MaxBatch {
			if err := s.invoke(ctx, event); err != nil {
				return err
			}
			event = event[:0]
		}
		if len(event) == 0 {
			event = s.head(event, size)
		}
		event = appendMessage(event, m)
	}
	if len(event) == 0 {
		return nil
	}
	return s.invoke(ctx, event)
}

func (s *Sender) head(dst []byte, size int) []byte {
	if dst == nil {
		dst = make([]byte, 0, max(4<<10, size+128))
	}
	var id [16]byte
	rand.Read(id[:]) // never fails
	return appendHead(dst, &Messages{ID: hex.EncodeToString(id[:]), CreatedAt: s.now().UnixMilli(), Function: s.function})
}

func (s *Sender) invoke(ctx context.Context, event []byte) error {
	var err error
	if len(event) > MaxBatch {
		_, err = s.fc.Invoke(ctx, Rule, event)
	} else {
		err = s.fc.InvokeAsync(ctx, Rule, event)
	}
	if err == nil {
		return nil
	}
	kind := iot.Unavailable
	if e, ok := err.(*fc.Error); ok && e.Throttled() {
		kind = iot.Throttled
	}
	return iot.Wrap(kind, err, "not handed to the rule engine")
}
