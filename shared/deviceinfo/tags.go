package deviceinfo

import (
	"context"
	"slices"
	"strings"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/message"
	"relink/shared/refusal"
	"relink/shared/store"
)

// Limits of tags ("Tags = device info").
const (
	MaxTags      = 100  // of users, and as many of the SDK
	maxTagParams = 200  // in one message
	maxTagKey    = 64   // bytes
	maxTagValue  = 4096 // bytes, from devices
)

// domainSystem marks what an SDK says of itself.
const domainSystem = "SYSTEM"

// A given tag is one that a device names.
type given struct {
	store.Tag
	system bool
}

// readTags reads the params of an update or a delete.
func readTags(params []byte) ([]given, error) {
	if params[0] != '[' {
		return nil, alink.ErrParamsMalformed
	}
	var tags []given
	for item := range alink.Elements(params) {
		if item[0] != '{' {
			return nil, alink.ErrParamsMalformed
		}
		var t given
		for name, value := range alink.Members(item) {
			switch string(name) {
			case "attrKey":
				t.Key = text(value)
			case "attrValue":
				t.Value = text(value)
			case "domain":
				t.system = strings.EqualFold(text(value), domainSystem)
			}
		}
		switch {
		case t.Key == "" || len(t.Key) > maxTagKey:
			return nil, refused(refusal.TagMalformed, "attrKey has 1 to 64 bytes")
		case len(t.Value) > maxTagValue:
			return nil, refused(refusal.TagMalformed, "attrValue has at most 4096 bytes")
		case len(tags) == maxTagParams:
			return nil, refused(refusal.TooManyTags, "more than 200 tags in one message")
		}
		tags = append(tags, t)
	}
	if len(tags) == 0 {
		return nil, alink.ErrParamsMissing
	}
	return tags, nil
}

// put adds or replaces a tag and reports whether that changed anything.
func put(tags *[]store.Tag, t store.Tag) bool {
	i := slices.IndexFunc(*tags, func(o store.Tag) bool { return o.Key == t.Key })
	if i < 0 {
		*tags = append(*tags, t)
		return true
	}
	changed := (*tags)[i].Value != t.Value
	(*tags)[i].Value = t.Value
	return changed
}

func drop(tags *[]store.Tag, key string) bool {
	before := len(*tags)
	*tags = slices.DeleteFunc(*tags, func(o store.Tag) bool { return o.Key == key })
	return len(*tags) < before
}

// updateTags is thing/deviceinfo/update: each key that is named gets its value, the others stay. All or nothing.
func (s *Service) updateTags(ctx context.Context, r *exchange.Request) exchange.Answer {
	tags, err := readTags(r.Alink.Params)
	if err != nil {
		return failed(err)
	}
	answer := failed(s.change(ctx, r.Ref(), func(d *store.DeviceInfo) (bool, error) {
		changed := false
		for _, t := range tags {
			list := &d.Tags
			if t.system {
				list = &d.Facts
			}
			changed = put(list, t.Tag) || changed
		}
		if len(d.Tags) > MaxTags || len(d.Facts) > MaxTags {
			return false, refused(refusal.TooManyTags, "more than 100 tags")
		}
		return changed, nil
	}))
	if answer.Err == nil && r.Any(r.Ref().ProductKey) {
		told := make([]message.Tag, len(tags))
		for i, t := range tags {
			told[i] = message.Tag{Key: t.Key, Value: t.Value}
		}
		rec := r.Record
		answer.Messages = []message.Message{message.NewTags(rec.MessageID, message.Named{Device: rec.Device, IotID: rec.IotID}, told, rec.ReceivedAt, rec.QoS)}
	}
	return answer
}

// deleteTags is thing/deviceinfo/delete; keys that there are not do no harm.
func (s *Service) deleteTags(ctx context.Context, r *exchange.Request) exchange.Answer {
	tags, err := readTags(r.Alink.Params)
	if err != nil {
		return failed(err)
	}
	return failed(s.change(ctx, r.Ref(), func(d *store.DeviceInfo) (bool, error) {
		changed := false
		for _, t := range tags {
			list := &d.Tags
			if t.system {
				list = &d.Facts
			}
			changed = drop(list, t.Key) || changed
		}
		return changed, nil
	}))
}

// getTags is thing/deviceinfo/get: the tags that are named, or all, without the SDK's.
func (s *Service) getTags(ctx context.Context, r *exchange.Request) exchange.Answer {
	var keys []string
	for item := range alink.Elements(r.Alink.Params) {
		if item[0] != '"' {
			return failed(alink.ErrParamsMalformed)
		}
		keys = append(keys, text(item))
	}
	d, err := s.infos.Get(ctx, r.Ref())
	if err != nil {
		return failed(err)
	}
	data := []byte{'['}
	for _, t := range d.Tags {
		if len(keys) > 0 && !slices.Contains(keys, t.Key) {
			continue
		}
		if len(data) > 1 {
			data = append(data, ',')
		}
		data = alink.AppendString(append(data, `{"attrKey":`...), t.Key)
		data = alink.AppendString(append(data, `,"attrValue":`...), t.Value)
		data = append(data, '}')
	}
	return exchange.Answer{Data: append(data, ']')}
}
