package forward

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"relink/shared/iot"
	"relink/shared/message"
	"relink/shared/store"
)

// Types of destinations, as actions have them ("Actions").
const (
	Republish = "REPUBLISH"
	OTS       = "OTS"
	FC        = "FC"
	MNS       = "MNS"   // a topic
	Queue     = "QUEUE" // the queue of a subscription
)

// A Target is where an item goes. Of the members only those of its type are set.
type Target struct {
	Type      string `json:"type"`
	Region    string `json:"region,omitempty"`
	Resource  string `json:"resource"` // topic (REPUBLISH, MNS), table, function, queue
	TopicType int    `json:"topicType,omitempty"`
	Instance  string `json:"instance,omitempty"` // of OTS
	Keys      []Key  `json:"keys,omitempty"`     // of OTS

	Method  string            `json:"method,omitempty"`  // of HTTPS
	Headers map[string]string `json:"headers,omitempty"` // of HTTPS
}

// A Key is one primary key column of a row.
type Key struct {
	Name  string `json:"name"`
	Type  string `json:"type"`            // INTEGER, STRING, BINARY
	Value string `json:"value,omitempty"` // in decimal for INTEGER
	Auto  bool   `json:"auto,omitempty"`  // the service makes the value
}

// place names what a breaker watches: one for all devices that messages are republished to, as the way down is one.
func (t *Target) place() string {
	if t.Type == Republish {
		return Republish
	}
	return t.Type + "/" + t.Instance + "/" + t.Resource
}

// An Item is one delivery: a message for one action of one rule, or for a subscription.
type Item struct {
	Owner    string       `json:"owner"` // rule/1000, MNS/productKey
	RuleName string       `json:"ruleName,omitempty"`
	Action   int64        `json:"action,omitempty"` // 0 of a subscription
	Target   Target       `json:"target"`
	Message  Message      `json:"message"`
	Body     []byte       `json:"body"`
	Original []byte       `json:"original,omitempty"` // the message before SQL, if there is an error action
	OnError  *ErrorAction `json:"onError,omitempty"`
	Attempts int          `json:"attempts,omitempty"`
	Reason   string       `json:"reason,omitempty"` // of the last failure
	Final    bool         `json:"final,omitempty"`  // trying again does not help
}

// A Message is what an item keeps of its message.
type Message struct {
	ID     string        `json:"id"`
	Topic  string        `json:"topic"`
	Device iot.DeviceRef `json:"device"`
	At     int64         `json:"at"`
	QoS    byte          `json:"qos,omitempty"`
}

// MessageOf is what an item keeps of m.
func MessageOf(m *message.Message) Message {
	return Message{ID: m.ID, Topic: m.Topic, Device: m.Device, At: m.GeneratedAt, QoS: m.QoS}
}

// An ErrorAction is where a failure is told. ${…} in it is filled from what is told.
type ErrorAction struct {
	ID            int64           `json:"id"`
	Type          string          `json:"type"`
	Configuration json.RawMessage `json:"configuration"`
}

// OwnerOfRule is the owner of a rule's items.
func OwnerOfRule(id int64) string { return "rule/" + strconv.FormatInt(id, 10) }

// OwnerOfSubscription is the owner of a subscription's items.
func OwnerOfSubscription(s *store.Subscription) string { return s.Type + "/" + string(s.ProductKey) }

// An Error says why a delivery failed.
type Error struct {
	Reason string
	Final  bool // the same delivery fails again: wrong parameters, no such table
}

func (e *Error) Error() string { return e.Reason }

func refused(format string, args ...any) error {
	return &Error{Reason: fmt.Sprintf(format, args...), Final: true}
}

func failed(err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &Error{Reason: err.Error()}
}

// Failed notes on an item that an attempt failed.
func (i *Item) Failed(err error) {
	i.Attempts++
	i.Reason = err.Error()
	if len(i.Reason) > maxReason {
		i.Reason = i.Reason[:maxReason]
	}
	var e *Error
	i.Final = errors.As(err, &e) && e.Final
}

const maxReason = 500

// Dead is the letter of an item that is given up. at, Unix milliseconds, is that of the batch that it was in, so that giving it up
// twice makes one letter.
func (i *Item) Dead(at int64) (*store.ForwardDead, error) {
	again := *i
	again.Attempts, again.Reason, again.Final = 0, "", false
	again.Body = nil // it has a column of its own
	text, err := json.Marshal(&again)
	if err != nil {
		return nil, err
	}
	return &store.ForwardDead{Owner: i.Owner, At: at, MessageID: i.Message.ID, Action: i.Action, Type: i.Target.Type, Resource: i.Target.Resource,
		Device: i.Message.Device, Topic: i.Message.Topic, Reason: i.Reason, Attempts: i.Attempts, Body: i.Body, Item: text}, nil
}

// Revive is the item of a dead letter, to be delivered again.
func Revive(d *store.ForwardDead) (*Item, error) {
	i := new(Item)
	if err := json.Unmarshal(d.Item, i); err != nil {
		return nil, fmt.Errorf("dead letter of message %s: %w", d.MessageID, err)
	}
	i.Body = d.Body
	return i, nil
}
