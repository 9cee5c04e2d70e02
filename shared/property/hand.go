package property

import (
	"context"
	"log/slog"

	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/message"
	"relink/shared/record"
	"relink/shared/store"
	"relink/shared/topic"
	"relink/shared/tsl"
)

// HandTo has posts that somebody wants handed to the rule engine, once they are stored and before they are answered. It is called before
// the first Post. A post of a product that nobody wants anything of costs nothing.
func (s *Service) HandTo(rules *message.Sender) { s.rules = rules }

// A told message is sent if its record was stored.
type told struct {
	record int
	message.Message
}

// unknown answers a batch while it is not known what is wanted; it reports whether that is so.
func (s *Service) unknown(ctx context.Context, results []record.Result) bool {
	err := s.rules.Refresh(ctx)
	if err == nil {
		return false
	}
	s.log.LogAttrs(ctx, slog.LevelError, "posts not taken: it is not known what rules want", logs.Err(err))
	for i := range results {
		results[i] = retry(err)
	}
	return true
}

// tell notes a property post for the rule engine.
func (s *Service) tell(b *batch, i int, id string, product *store.CachedProduct, checked *tsl.Checked) {
	rec := &b.records[i]
	a := message.About{Device: rec.Device, IotID: rec.IotID, DeviceType: product.CategoryKey, RequestID: id, At: rec.ReceivedAt}
	name := a.Topic(message.PropertyTopic)
	if !s.rules.Wants(message.Property, rec.Device.ProductKey, name) {
		return
	}
	b.add(i, &a, 0, message.Property, name, message.AppendProperties(nil, &a, checked.Values, checked.Failed))
}

// add adds the n-th message of a record.
func (b *batch) add(i int, a *message.About, n int, kind message.Kind, name string, body []byte) {
	rec := &b.records[i]
	b.told = append(b.told, told{i, message.Message{ID: message.DerivedID(rec.MessageID, n), Topic: name, Kind: kind, Device: a.Device, IotID: a.IotID,
		GeneratedAt: rec.ReceivedAt, QoS: rec.QoS, Payload: body}})
}

// tellMany notes what a batch, pack or history post says of one device, and answers the number of the record's next message. The numbers
// do not depend on what is wanted: a record that comes again has the same ids.
func (s *Service) tellMany(b *batch, m *many, family topic.Family, ref iot.DeviceRef, g *tsl.Gathered, deviceType string, n int) int {
	rec := &b.records[m.record]
	a := message.About{Device: ref, IotID: rec.IotID, DeviceType: deviceType, RequestID: m.id, At: rec.ReceivedAt}
	if ref != rec.Device {
		a.IotID = b.relations.of[ref].iotID
	}
	wanted := s.rules.Any(ref.ProductKey)
	say := func(kind message.Kind, rest string, body func() []byte) {
		if wanted {
			if name := a.Topic(rest); s.rules.Wants(kind, ref.ProductKey, name) {
				b.add(m.record, &a, n, kind, name, body())
			}
		}
		n++
	}
	failed := propertiesFailed(g)
	switch family {
	case topic.PropertyBatchPost:
		if len(g.Values) > 0 {
			say(message.Batch, message.PropertyBatchTopic, func() []byte { return message.AppendPropertyBatch(nil, &a, g.Values) })
		}
		for i := range g.Events {
			if g.Events[i].Failed == nil {
				say(message.Batch, message.EventBatchTopic, func() []byte { return message.AppendEventBatch(nil, &a, g.Events) })
				break
			}
		}
		return n
	case topic.PropertyHistoryPost:
		for _, values := range sameTimes(g.Values) {
			say(message.History, message.PropertyHistoryTopic, func() []byte { return message.AppendProperties(nil, &a, values, failed) })
			failed = nil // told once
		}
	default:
		if len(g.Values) > 0 || len(failed) > 0 {
			say(message.Property, message.PropertyTopic, func() []byte { return message.AppendProperties(nil, &a, g.Values, failed) })
		}
	}
	history, kind := family == topic.PropertyHistoryPost, message.Event
	if history {
		kind = message.History
	}
	for i := range g.Events {
		if e := &g.Events[i]; e.Failed == nil {
			say(kind, message.EventTopic(e.Identifier, history), func() []byte { return message.AppendEvent(nil, &a, e) })
		}
	}
	return n
}

// propertiesFailed is what was refused of properties: failures of events are among them.
func propertiesFailed(g *tsl.Gathered) []tsl.Failure {
	var list []tsl.Failure
	for i := range g.Failed {
		event := false
		for j := range g.Events {
			if f := g.Events[j].Failed; f != nil && f.Identifier == g.Failed[i].Identifier && f.Time == g.Failed[i].Time {
				event = true
			}
		}
		if !event {
			list = append(list, g.Failed[i])
		}
	}
	return list
}

// sameTimes parts values by their time, in the order in which the times come first.
func sameTimes(values []tsl.Value) [][]tsl.Value {
	at := make(map[int64]int)
	var sets [][]tsl.Value
	for _, v := range values {
		i, known := at[v.Time]
		if !known {
			i = len(sets)
			at[v.Time], sets = i, append(sets, nil)
		}
		sets[i] = append(sets[i], v)
	}
	return sets
}

// handOver sends what was noted of the records that are stored. Records of which something may not have been handed over are tried again.
func (s *Service) handOver(ctx context.Context, b *batch) {
	if len(b.told) == 0 {
		return
	}
	list := make([]message.Message, 0, len(b.told))
	for i := range b.told {
		if stored(&b.results[b.told[i].record]) {
			list = append(list, b.told[i].Message)
		}
	}
	err := s.rules.Send(ctx, list)
	if err == nil {
		return
	}
	s.log.LogAttrs(ctx, slog.LevelError, "posts not handed to the rule engine", slog.Int("records", len(list)), logs.Err(err))
	for i := range b.told {
		if r := &b.results[b.told[i].record]; stored(r) {
			*r = retry(err)
		}
	}
}

func stored(r *record.Result) bool {
	return !r.Retry && (r.Code == alink.CodeOK || r.Code == alink.CodeChecked)
}
