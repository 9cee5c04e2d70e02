package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"relink/shared/forward"
	"relink/shared/interest"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/message"
	"relink/shared/rule"
	"relink/shared/rulesql"
	"relink/shared/store"
)

// evaluate asks the rules and subscriptions about each message and makes the items. It counts what became of the messages. An error
// means that something cannot be read at the moment; nothing has been done then.
func (h *handler) evaluate(ctx context.Context, b *message.Messages, row *store.LedgerRow) ([]*forward.Item, error) {
	if err := h.rules.Refresh(ctx); err != nil {
		return nil, err
	}
	tags := &tagReader{tags: h.tags, known: make(map[iot.DeviceRef]map[string]string)}
	sets := make(map[iot.ProductKey]*rule.Set)
	var items []*forward.Item
	var asked rulesql.Message
	for n := range b.List {
		m := &b.List[n]
		row.Taken++
		set := sets[m.Device.ProductKey]
		if set == nil {
			var err error
			if set, err = h.rules.Of(ctx, m.Device.ProductKey); err != nil {
				return nil, err
			}
			sets[m.Device.ProductKey] = set
		}
		asked.Reset()
		asked.Topic, asked.Device, asked.IotID, asked.ID, asked.Payload, asked.Attributes = m.Topic, m.Device, m.IotID, m.ID, m.Payload, tags
		wanted := false
		var failed error
		set.Index.Match(nil, &asked, func(at int) bool {
			r := set.Rules[at]
			result := r.SQL.Eval(ctx, nil, &asked)
			switch result.Outcome {
			case rulesql.Matched:
				wanted = true
				items = h.appendItems(items, r, m, result.Body)
			case rulesql.InvalidFormat, rulesql.Failed:
				if lookup := new(rulesql.LookupError); errors.As(result.Err, &lookup) {
					failed = result.Err
					return false
				}
				forward.Count(row, forward.OwnerOfRule(r.ID), func(c *store.LedgerCounts) { c.FailedSQL++ })
				h.log.LogAttrs(ctx, slog.LevelWarn, "rule not run", slog.String(logs.FieldOperation, "rule"), slog.Int64("rule_id", r.ID), slog.String("rule", r.Name),
					slog.String(logs.FieldMessageID, m.ID), slog.String(logs.FieldTopic, m.Topic), logs.Device(m.Device), slog.String(logs.FieldReason, result.Err.Error()))
			}
			return true
		})
		if failed != nil {
			return nil, iot.Wrap(iot.Unavailable, failed, "tags cannot be read")
		}
		for _, sub := range set.Subscriptions {
			if i := subscribed(sub, m); i != nil {
				wanted = true
				items = append(items, i)
			}
		}
		if !wanted {
			row.Unmatched++
		}
	}
	return items, nil
}

// appendItems makes an item for each action of a rule that matched. An action whose target cannot be filled in has failed for good.
func (h *handler) appendItems(items []*forward.Item, r *rule.Running, m *message.Message, body []byte) []*forward.Item {
	actions := h.compiled.of(r)
	var result *rulesql.Document
	for _, a := range actions {
		if a.Templated() && r.SQL.Format() == rulesql.JSON {
			result, _ = rulesql.ParseDocument(body) // the engine's own JSON
			break
		}
	}
	var onError *forward.ErrorAction
	var original []byte
	if r.OnError != nil {
		onError = &forward.ErrorAction{ID: r.OnError.ID, Type: r.OnError.Type, Configuration: r.OnError.RuleAction.Configuration}
		original = m.Payload
	}
	for n, a := range actions {
		target, err := a.Fill(result)
		i := &forward.Item{Owner: forward.OwnerOfRule(r.ID), RuleName: r.Name, Action: r.Actions[n].ID, Target: target, Message: forward.MessageOf(m), Body: body,
			Original: original, OnError: onError}
		if err != nil {
			i.Failed(err)
		}
		items = append(items, i)
	}
	return items
}

// subscribed makes the item of a subscription; nil if it does not want the message.
func subscribed(sub *store.Subscription, m *message.Message) *forward.Item {
	if sub.Type != interest.MNS || sub.Queue == "" {
		return nil
	}
	for _, kind := range interest.Kinds(sub.Type, sub.Flags) {
		if kind != m.Kind {
			continue
		}
		body, ok := forward.AppendQueueMessage(nil, m)
		if !ok {
			return nil
		}
		return &forward.Item{Owner: forward.OwnerOfSubscription(sub), Target: forward.Target{Type: forward.Queue, Resource: sub.Queue}, Message: forward.MessageOf(m), Body: body}
	}
	return nil
}

// compiled keeps the compiled actions of rules: a rule of another revision is another one.
type compiled struct {
	mu    sync.Mutex
	rules map[*rule.Running][]*forward.Action
}

const maxCompiled = 8192 // rules, old revisions among them

func (c *compiled) of(r *rule.Running) []*forward.Action {
	c.mu.Lock()
	defer c.mu.Unlock()
	if list, ok := c.rules[r]; ok {
		return list
	}
	list := make([]*forward.Action, len(r.Actions))
	for n := range r.Actions {
		list[n] = forward.Compile(r.Actions[n].Type, &r.Actions[n].Configuration)
	}
	if c.rules == nil || len(c.rules) >= maxCompiled {
		c.rules = make(map[*rule.Running][]*forward.Action)
	}
	c.rules[r] = list
	return list
}

// tagReader reads the tags of each device of a batch once.
type tagReader struct {
	tags  store.DeviceInfos
	known map[iot.DeviceRef]map[string]string
}

// Attribute tells a tag.
func (t *tagReader) Attribute(ctx context.Context, dev iot.DeviceRef, _ iot.IotID, key string) (string, bool, error) {
	of, ok := t.known[dev]
	if !ok {
		info, err := t.tags.Get(ctx, dev)
		if err != nil {
			return "", false, err
		}
		of = make(map[string]string)
		if info != nil {
			for _, tag := range info.Tags {
				of[tag.Key] = tag.Value
			}
		}
		t.known[dev] = of
	}
	value, ok := of[key]
	return value, ok, nil
}
