// Package interest knows which messages somebody wants: what running rules and subscriptions ask for, so that a message that nobody
// wants costs no invocation (rule engine reference, "What happens to a message"; "Server-side subscription", "Message kinds").
//
// There is one document in the table `rule_index`. Rebuild makes it out of the tables `rule` and `subscription` whenever one of them
// changes; Watch reads it in functions and connectors and notices a change within seconds.
package interest

import (
	"context"
	"encoding/json"

	"relink/shared/iot"
	"relink/shared/message"
	"relink/shared/rulesql"
	"relink/shared/store"
)

// Types of subscriptions.
const (
	MNS  = "MNS"
	AMQP = "AMQP"
)

// A Document is what is wanted, by product.
type Document struct {
	Products map[iot.ProductKey]Product `json:"products"`
}

// A Product is what is wanted of one product.
type Product struct {
	Rules         []Rule         `json:"rules,omitempty"`
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
}

// A Rule is a running rule.
type Rule struct {
	ID       int64        `json:"id"`
	Revision int64        `json:"revision"` // of its row: what was compiled of another one is out of date
	Kind     message.Kind `json:"kind"`
	Topic    string       `json:"topic"` // forwarding topic, with + and #
}

// A Subscription is one that messages are delivered to.
type Subscription struct {
	Type     string `json:"type"`
	Revision int64  `json:"revision"`
	Kinds    []int  `json:"kinds"` // message.Kind; as bytes JSON would make a text of them
}

// sourceKinds are the kinds of messages that a FROM can name.
var sourceKinds = map[rulesql.Source]message.Kind{
	rulesql.Custom: message.Custom, rulesql.Status: message.Status, rulesql.PropertyPost: message.Property, rulesql.EventPost: message.Event,
	rulesql.PropertyBatch: message.Batch, rulesql.EventBatch: message.Batch, rulesql.DownlinkReply: message.Reply,
	rulesql.PropertyHistory: message.History, rulesql.EventHistory: message.History, rulesql.Lifecycle: message.Lifecycle,
	rulesql.TopoLifecycle: message.Topology, rulesql.ListFound: message.Found, rulesql.Tags: message.Tags, rulesql.OTAResult: message.OTAResult,
	rulesql.OTAProgress: message.OTAProgress, rulesql.OTAVersion: message.OTAVersion, rulesql.OTAJob: message.OTAJob,
}

// KindOf is the kind of messages of a source; 0 for one that does not exist.
func KindOf(s rulesql.Source) message.Kind { return sourceKinds[s] }

// Kinds are the kinds of messages that flags of a subscription select ("Message kinds"). MNS has no message type for tags, versions and
// jobs: it never gets them.
func Kinds(kind string, f store.SubscriptionFlags) []message.Kind {
	var list []message.Kind
	add := func(on bool, kinds ...message.Kind) {
		if on {
			list = append(list, kinds...)
		}
	}
	add(f.DeviceData, message.Custom, message.Property, message.Event, message.Batch, message.Reply)
	add(f.DeviceStatus, message.Status)
	add(f.FoundDevices, message.Found)
	add(f.DeviceTopology, message.Topology)
	add(f.DeviceLifecycle, message.Lifecycle)
	add(f.ThingHistory, message.History)
	add(f.OTAEvent, message.OTAResult, message.OTAProgress)
	if kind != MNS {
		add(f.DeviceTags, message.Tags)
		add(f.OTAVersion, message.OTAVersion)
		add(f.OTAJob, message.OTAJob)
	}
	return list
}

// Stores are the tables that the document is made of, and its own. *store.Store has them.
type Stores interface {
	Rules() store.Rules
	Subscriptions() store.Subscriptions
	RuleIndex() store.RuleIndex
}

// Rebuild makes the document anew out of the tables, and stores it if it has changed. Whoever changes a rule or a subscription calls
// it after the change is stored. If that never happens, because the caller dies between the two, the next change of anything makes good
// for it, and so does the same change asked for again.
//
// It reads the document's version before the tables and writes over that version alone. Of two callers at the same time the one that
// wrote last has therefore read the tables after the other's document was there, and so after the other's change.
func Rebuild(ctx context.Context, s Stores) error {
	return store.Revise(ctx, func() error {
		old, version, err := s.RuleIndex().Get(ctx)
		if err != nil {
			return err
		}
		document, err := build(ctx, s)
		if err != nil {
			return err
		}
		text, err := json.Marshal(document)
		if err != nil || string(text) == string(old) {
			return err
		}
		_, err = s.RuleIndex().Put(ctx, text, version)
		return err
	})
}

func build(ctx context.Context, s Stores) (*Document, error) {
	d := &Document{Products: make(map[iot.ProductKey]Product)}
	rules, err := s.Rules().List(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		if !r.Running {
			continue
		}
		from, err := rulesql.FromParts(r.ProductKey, r.ShortTopic, r.TopicType)
		if err != nil {
			continue // a rule does not start with such a topic; one that an older version let start cannot match
		}
		p := d.Products[r.ProductKey]
		p.Rules = append(p.Rules, Rule{ID: r.ID, Revision: r.Revision, Kind: KindOf(from.Source), Topic: from.Pattern})
		d.Products[r.ProductKey] = p
	}
	subs, err := s.Subscriptions().List(ctx)
	if err != nil {
		return nil, err
	}
	for _, sub := range subs {
		kinds := Kinds(sub.Type, sub.Flags)
		if sub.Type != MNS || len(kinds) == 0 { // nothing delivers to consumer groups yet
			continue
		}
		numbers := make([]int, len(kinds))
		for i, k := range kinds {
			numbers[i] = int(k)
		}
		p := d.Products[sub.ProductKey]
		p.Subscriptions = append(p.Subscriptions, Subscription{Type: sub.Type, Revision: sub.Revision, Kinds: numbers})
		d.Products[sub.ProductKey] = p
	}
	return d, nil
}
