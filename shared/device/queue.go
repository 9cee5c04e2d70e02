package device

// TopicDelivered is the internal record that follows the delivery of queued messages: payload Delivered; function lifecycle. With Next
// set, and for Online with Queued set, Result.Replies has the next messages of the queue, oldest first, and Result.Data a QueuePage
// that says which they are.
const TopicDelivered = "lifecycle/delivered"

// A Delivered says which queued messages a device has acknowledged, so that they can be forgotten, and which it may have got.
type Delivered struct {
	Epoch     int64         `json:"epoch"`
	IDs       []string      `json:"ids,omitempty"`       // acknowledged
	Sent      []SentMessage `json:"sent,omitempty"`      // sent, not acknowledged, and the connection has ended
	Next      bool          `json:"next,omitempty"`      // more of the queue is wanted
	QueueFrom int64         `json:"queueFrom,omitempty"` // of the grant
}

// A SentMessage is a queued message that the device has perhaps received.
type SentMessage struct {
	ID       string `json:"id"`
	PacketID uint16 `json:"packetId"`
}

// A QueuePage describes messages of a queue; Messages has the order of Result.Replies. More says that there are others: they are asked
// for when these are acknowledged. A page without messages that has more came when the function's answer was full.
type QueuePage struct {
	Messages []QueuedMessage `json:"messages,omitempty"`
	More     bool            `json:"more,omitempty"`
}

// A QueuedMessage says which message one of the replies is.
type QueuedMessage struct {
	ID        string `json:"id"`                  // its place in the queue
	PacketID  uint16 `json:"packetId,omitempty"`  // under which it was sent before, on a connection that broke
	ExpiresAt int64  `json:"expiresAt,omitempty"` // Unix milliseconds
}
