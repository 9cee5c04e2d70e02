// Package offline is the queue of QoS 1 messages for devices whose MQTT session is persistent: CleanSession 0, or in 5.0 an expiry
// above 0 ("MQTT behaviour after CONNECT" in the device protocol: offline QoS 1, CleanSession). A message waits at most 7 days, which
// is how long its table keeps it. When as much waits for a device as may, a new message is refused and the old ones stay, because they
// were accepted: whoever sends the new one hears of it, while nobody could be told that an old one was dropped.
//
// # Why a message is never lost between the sender and a device that is just connecting
//
// A sender writes the message to the queue, and only then looks where the device is (package command):
//
//	S1 write the message   S2 read the session row   S3 if it names a connector, hand it the message
//
// A device that connects takes its session row, becomes known to its connector, and only then its queue is read:
//
//	D1 write the session row   D2 the connector knows the session   D3 read the queue
//
// If S2 comes before D1, the sender sees no connection; but then S1 comes before D3, and the device gets the message from the queue.
// If S2 comes after D1, the sender goes to the connector. If that does not know the session yet, S3 comes before D2, so that S1 comes
// before D3, and again the queue has it. If it does know it, it either sends the message at once, or, as long as it has not read the
// queue to its end, leaves it there and notes that it has to read again: that read begins after S1. So the message goes one of both
// ways, or, if its acknowledgement is lost, twice; never none. A sender that finds the connector out of reach leaves the message in the
// queue for the device's next connection.
//
// A message that the device acknowledges leaves the queue afterwards (device.Delivered). What is sent and not acknowledged stays, with
// the packet id that it had, and goes again with DUP on the device's next connection. If the connector dies, nobody knows what it had
// sent: it goes again without DUP.
package offline

import (
	"context"
	"strconv"
	"strings"
	"time"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/store"
)

// Keep is how long a message waits ("QoS 1 retention").
const Keep = 7 * 24 * time.Hour

// Bounds are how much may wait for one device.
type Bounds struct {
	Messages int `env:"RELINK_OFFLINE_MESSAGES,default=1000"`
	Bytes    int `env:"RELINK_OFFLINE_BYTES,default=4194304"` // of topics and payloads
}

// DefaultBounds are those of an environment that says nothing.
func DefaultBounds() Bounds { return Bounds{Messages: 1000, Bytes: 4 << 20} }

// A Queue keeps messages. It is safe for concurrent use.
type Queue struct {
	messages store.OfflineMessages
	bounds   Bounds
	now      func() time.Time
}

// New makes a queue. now is the clock, time.Now if nil.
func New(messages store.OfflineMessages, bounds Bounds, now func() time.Time) *Queue {
	if now == nil {
		now = time.Now
	}
	return &Queue{messages: messages, bounds: bounds, now: now}
}

// ID is a message's place in the queue as connectors know it.
func ID(k store.QueueKey) string { return strconv.FormatInt(k.At, 10) + "." + k.MessageID }

// ParseID is ID backwards.
func ParseID(id string) (store.QueueKey, error) {
	at, message, found := strings.Cut(id, ".")
	n, err := strconv.ParseInt(at, 10, 64)
	if !found || err != nil || message == "" {
		return store.QueueKey{}, iot.Errorf(iot.InvalidParams, "%q is no place in a queue", id)
	}
	return store.QueueKey{At: n, MessageID: message}, nil
}

// Add keeps a message for a device whose session is persistent, and says in QueueID where. Again with the same At and MessageID it
// changes nothing.
func (q *Queue) Add(ctx context.Context, session *store.Session, p *downlink.Publish) error {
	if p.At == 0 {
		p.At = q.now().UnixMilli()
	}
	key := store.QueueKey{At: max(p.At, session.QueueFrom), MessageID: p.MessageID}
	p.QueueID = ID(key)
	return q.messages.Put(ctx, &store.QueuedMessage{QueueKey: key, Ref: p.Ref(), Topic: p.Topic, Payload: p.Payload, ExpiresAt: p.ExpiresAt})
}

// Remove takes a message out.
func (q *Queue) Remove(ctx context.Context, ref iot.DeviceRef, id string) error {
	key, err := ParseID(id)
	if err != nil {
		return err
	}
	return q.messages.Delete(ctx, ref, []store.QueueKey{key})
}

// Overfull reports whether more waits for a device than may. Two senders that fill the last place together may both hear it.
func (q *Queue) Overfull(ctx context.Context, session *store.Session) (bool, error) {
	n, size, err := q.messages.Usage(ctx, session.Ref, q.from(session.QueueFrom))
	return n > q.bounds.Messages || size > q.bounds.Bytes, err
}

// from is where a queue begins: the table may be a while behind with dropping what is too old.
func (q *Queue) from(queueFrom int64) int64 { return max(queueFrom, q.now().Add(-Keep).UnixMilli()) }
