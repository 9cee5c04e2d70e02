package property

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"

	"relink/shared/alink"
	"relink/shared/event"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/topic"
	"relink/shared/tsl"
)

// maxSubDevices bounds the sub-devices of one pack post ("Gateway pack post").
const maxSubDevices = 20

// A many is a message that carries several posts and events: what its answer is once all of them are stored.
type many struct {
	record     int
	replyTopic string
	id         string
	method     string
	data       []byte
	reason     string
	detail     string
	err        error // the first failure to store any of it; one that passes wins, because then all of it is tried again
}

func (m *many) note(err error) {
	if err != nil && (m.err == nil || !passing(m.err) && passing(err)) {
		m.err = err
	}
}

func passing(err error) bool { return iot.Is(err, iot.Throttled) || iot.Is(err, iot.Unavailable) }

// A section is what a message says about one device.
type section struct {
	ref  iot.DeviceRef
	json []byte // the object that holds properties and events
}

// checkMany reads and checks a batch, pack or history post.
func (s *Service) checkMany(ctx context.Context, b *batch, i int, up topic.Uplink) {
	rec := &b.records[i]
	m := many{record: i, replyTopic: up.ReplyTopic(rec.Topic), method: up.Method}
	req, err := alink.Parse(rec.Payload)
	if !req.Ack {
		m.replyTopic = ""
	}
	m.id = req.ID
	if err != nil {
		b.refuse(i, m.replyTopic, req.ID, up.Method, err)
		return
	}
	sections, err := sectionsOf(up.Family, rec.Device, req.Params)
	if err == nil && up.Family != topic.PropertyBatchPost {
		err = s.related(b, rec.Device, sections, &m)
	}
	if err == nil {
		err = s.gather(ctx, b, &m, up.Family, sections)
	}
	switch {
	case err == nil:
		b.many = append(b.many, m)
	case passing(err):
		b.results[i] = retry(err)
	default:
		b.refuse(i, m.replyTopic, req.ID, up.Method, err)
		if m.detail != "" {
			b.results[i].Detail = m.detail
		}
	}
}

// sectionsOf takes the params of a message apart. Errors: ErrParamsMalformed, errTooManySubs.
func sectionsOf(family topic.Family, sender iot.DeviceRef, params []byte) ([]section, error) {
	switch family {
	case topic.PropertyBatchPost:
		return []section{{sender, params}}, nil
	case topic.PropertyPackPost:
		list := []section{{sender, params}}
		if len(params) == 0 || params[0] != '{' {
			return nil, alink.Detailed(alink.ErrParamsMalformed, "params is not an object")
		}
		for name, v := range alink.Members(params) {
			if string(name) != "subDevices" || v[0] == 'n' {
				continue
			}
			if v[0] != '[' {
				return nil, alink.Detailed(alink.ErrParamsMalformed, "subDevices is not an array")
			}
			for sub := range alink.Elements(v) {
				ref, err := identity(sub)
				if err != nil {
					return nil, alink.Detailed(err, fmt.Sprintf("subDevices[%d]: %s", len(list)-1, alink.DetailOf(err)))
				}
				if len(list) > maxSubDevices {
					return nil, alink.Detailed(errTooManySubs, fmt.Sprintf("more than %d entries in subDevices", maxSubDevices))
				}
				list = append(list, section{ref, sub})
			}
		}
		return list, nil
	}
	if len(params) == 0 || params[0] != '[' {
		return nil, alink.Detailed(alink.ErrParamsMalformed, "params is not an array")
	}
	var list []section
	for entry := range alink.Elements(params) {
		ref, err := identity(entry)
		switch {
		case entry[0] == '{' && err != nil && !has(entry, "identity"):
			ref = sender
		case err != nil:
			return nil, alink.Detailed(err, fmt.Sprintf("params[%d]: %s", len(list), alink.DetailOf(err)))
		}
		list = append(list, section{ref, entry})
	}
	if len(list) == 0 {
		return nil, alink.ErrParamsMissing
	}
	return list, nil
}

func has(object []byte, member string) bool {
	for name := range alink.Members(object) {
		if string(name) == member {
			return true
		}
	}
	return false
}

// identity reads {"identity":{"productKey":…,"deviceName":…}, …}.
func identity(object []byte) (ref iot.DeviceRef, err error) {
	for name, v := range alink.Members(object) {
		if string(name) != "identity" {
			continue
		}
		for name, v := range alink.Members(v) {
			if len(v) < 2 || v[0] != '"' {
				continue
			}
			switch string(name) {
			case "productKey":
				ref.ProductKey = iot.ProductKey(alink.Unquote(v))
			case "deviceName":
				ref.DeviceName = iot.DeviceName(alink.Unquote(v))
			}
		}
	}
	switch {
	case len(object) == 0 || object[0] != '{':
		return ref, alink.Detailed(alink.ErrParamsMalformed, "is not an object")
	case !has(object, "identity"):
		return ref, alink.Detailed(alink.ErrParamsMalformed, "identity is missing")
	case !iot.ValidProductKey(string(ref.ProductKey)):
		return ref, alink.Detailed(alink.ErrParamsMalformed, "identity.productKey is missing or not a product key")
	case !iot.ValidDeviceName(string(ref.DeviceName)):
		return ref, alink.Detailed(alink.ErrParamsMalformed, "identity.deviceName is missing or not a device name")
	}
	return ref, nil
}

var (
	errTooManySubs = &alink.Error{Code: alink.CodeTooManySubs, Cause: refusal.TooManySubDevices, Message: "too many sub-devices", Kind: iot.QuotaExceeded}
	errTooMany     = &alink.Error{Code: alink.CodeTooManyProperties, Cause: refusal.TooManyProperties,
		Message: alink.MessageTooManyProperties, Kind: iot.QuotaExceeded}
)

// gather checks all sections and, if the message is taken, adds what passed to what is to be stored.
func (s *Service) gather(ctx context.Context, b *batch, m *many, family topic.Family, sections []section) error {
	rec := &b.records[m.record]
	all := make(map[iot.DeviceRef]*tsl.Gathered, len(sections))
	var order []iot.DeviceRef // rows are of device, message and time: what is of one device has to be told from each other
	strict, types := map[iot.DeviceRef]tsl.Mode{}, map[iot.DeviceRef]string{}
	for _, sec := range sections {
		product, err := s.product(ctx, b, sec.ref.ProductKey)
		if err != nil {
			return err
		}
		if product.ThingErr != nil {
			s.log.LogAttrs(ctx, slog.LevelError, "thing model not usable", logs.Device(sec.ref), slog.String(logs.FieldMessageID, rec.MessageID), logs.Err(product.ThingErr))
			return alink.ErrValidator
		}
		model, mode := product.Thing, tsl.Mode(product.ValidateType)
		if model == nil {
			model = noModel
		}
		g := all[sec.ref]
		if g == nil {
			g = new(tsl.Gathered)
			all[sec.ref], order = g, append(order, sec.ref)
		}
		strict[sec.ref], types[sec.ref] = mode, product.CategoryKey
		switch family {
		case topic.PropertyBatchPost:
			err = g.Batch(model, sec.json, mode, rec.ReceivedAt)
		case topic.PropertyPackPost:
			err = g.Pack(model, sec.json, mode, rec.ReceivedAt)
		default:
			err = g.History(model, sec.json, mode, rec.ReceivedAt)
		}
		if err != nil {
			return err
		}
		if f := g.Failed; family == topic.PropertyPackPost && mode == tsl.Strong && len(f) > 0 {
			m.detail = sec.ref.String() + ": " + f[0].Message
			return &alink.Error{Code: f[0].Code, Cause: f[0].Cause, Message: f[0].Message, Kind: iot.InvalidParams}
		}
	}
	properties, events := 0, 0
	for _, g := range all {
		events += len(g.Events)
		properties += len(g.Values) + len(g.Failed)
	}
	switch {
	case properties+events == 0:
		return alink.ErrParamsMissing
	case family == topic.PropertyPackPost && properties > tsl.MaxProperties:
		return errTooMany
	case family == topic.PropertyPackPost && events > tsl.MaxEvents:
		return tsl.ErrTooManyEvents
	}
	m.data = append(m.data, '{')
	sequence, messages := 0, 0
	for _, ref := range order {
		g := all[ref]
		prefix := ""
		if ref != rec.Device {
			prefix = ref.String() + "/"
		}
		m.data = g.AppendData(m.data, prefix)
		if len(g.Failed) > 0 && m.reason == "" {
			m.reason, m.detail = string(g.Failed[0].Cause), prefix+detailOf(g.Failed)
		}
		sequence = b.keepMany(m, rec, ref, g, strict[ref], family == topic.PropertyHistoryPost, sequence)
		messages = s.tellMany(b, m, family, ref, g, types[ref], messages)
	}
	m.data = append(m.data, '}')
	return nil
}

// keepMany adds what passed of one device to what is to be stored, and answers the number of the next event.
func (b *batch) keepMany(m *many, rec *record.Record, ref iot.DeviceRef, g *tsl.Gathered, mode tsl.Mode, historyOnly bool, sequence int) int {
	index := len(b.many) + 1
	if mode != tsl.None {
		for _, values := range byTime(g.Values) {
			b.posts = append(b.posts, store.Post{Ref: ref, MessageID: rec.MessageID, Values: values, HistoryOnly: historyOnly})
			b.waiting = append(b.waiting, waiting{record: int32(m.record), many: int32(index)})
		}
	}
	for i := range g.Events {
		e := &g.Events[i]
		if e.Failed == nil {
			b.events = append(b.events, event.Stored(rec, ref, sequence, e))
			b.eventOf = append(b.eventOf, index)
		}
		sequence++
	}
	return sequence
}

// chunk is how many values one post of a message with many times has, about.
const chunk = 200

// byTime makes posts of values: all values of one time in one of them, because they are one row; of a property that is twice in a
// time the later counts.
func byTime(values []tsl.Value) [][]store.Value {
	type place struct {
		id   string
		time int64
	}
	at := make(map[place]int, len(values))
	list := make([]store.Value, 0, len(values))
	for _, v := range values {
		p := place{v.Identifier, v.Time}
		if i, again := at[p]; again {
			list[i].JSON = v.JSON
			continue
		}
		at[p] = len(list)
		list = append(list, store.Value{Identifier: v.Identifier, Time: v.Time, JSON: v.JSON})
	}
	slices.SortStableFunc(list, func(a, b store.Value) int { return cmp.Compare(a.Time, b.Time) })
	var posts [][]store.Value
	start := 0
	for i := range list {
		if last := i == len(list)-1; last || i-start >= chunk-1 && list[i+1].Time != list[i].Time {
			posts = append(posts, list[start:i+1:i+1])
			start = i + 1
		}
	}
	return posts
}

// noteMany keeps the receipts of messages that carry many posts. One that could not be noted is tried again as a whole.
func (s *Service) noteMany(ctx context.Context, b *batch) {
	if len(b.many) == 0 {
		return
	}
	which := make([]int, len(b.many))
	for i := range b.many {
		which[i] = b.many[i].record
	}
	for i, err := range s.again.Note(ctx, b.records, which) {
		b.many[i].note(err)
	}
}

// storeEvents stores the events of the batch.
func (s *Service) storeEvents(ctx context.Context, b *batch) {
	if len(b.events) == 0 {
		return
	}
	for i, err := range s.events.Put(ctx, b.events) {
		b.many[b.eventOf[i]-1].note(err)
	}
}

// settleMany answers the messages that carry many posts, once all of them are stored.
func (s *Service) settleMany(ctx context.Context, b *batch) {
	for i := range b.many {
		m := &b.many[i]
		r := &b.results[m.record]
		switch {
		case m.err == nil:
			*r = record.Result{Code: alink.CodeOK, Reason: m.reason, Detail: m.detail}
			if m.reason != "" {
				r.Code = alink.CodeChecked
			}
			if at := b.reply(m.replyTopic, alink.CodeOK, m.id, m.data, alink.MessageOK, m.method); at >= 0 {
				r.Replies = b.replies[at : at+1 : at+1]
			}
		case passing(m.err):
			*r = retry(m.err)
		default:
			rec := &b.records[m.record]
			s.log.LogAttrs(ctx, slog.LevelError, "posts not stored", logs.Device(rec.Device), slog.String(logs.FieldMessageID, rec.MessageID), logs.Err(m.err))
			b.refuse(m.record, m.replyTopic, m.id, m.method, m.err)
			r.Reason = string(exchange.CauseOf(m.err))
		}
	}
}
