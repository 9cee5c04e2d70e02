// Package desired is what applications want properties to be, whether or not the device is there: it is set and cleared by the OpenAPI,
// fetched and deleted by the device, which thereby says that it has done it. It follows "Desired properties" of the device protocol
// and the actions of the same name.
package desired

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/topic"
)

// MaxAsked bounds the properties of one request of a device, MaxSet those of one call of an application.
const (
	MaxAsked = 200
	MaxSet   = 10
)

// A Service keeps desired values. It is safe for concurrent use.
type Service struct{ values store.DesiredProperties }

// New makes a service.
func New(values store.DesiredProperties) *Service { return &Service{values} }

// Families are the topics of the service.
func (s *Service) Families() map[topic.Family]exchange.Family {
	return map[topic.Family]exchange.Family{topic.DesiredGet: {Serve: s.get}, topic.DesiredDelete: {Serve: s.remove}}
}

var (
	errTooMany = &alink.Error{Code: alink.CodeTooManyDesired, Cause: refusal.TooManyDesired, Message: "too many properties", Kind: iot.QuotaExceeded}
	errQuery   = &alink.Error{Code: alink.CodeDesiredQuery, Cause: refusal.FunctionFailed, Message: "desired properties are not available", Kind: iot.Internal}
)

// A Change is a new desired value of a property; Value nil clears it.
type Change struct {
	Identifier string
	Value      json.RawMessage
	Expect     *int64 // the version that it must have, if not nil: 0 if it was never set
}

// tries is how often a change is made again because somebody else was faster.
const tries = 5

// Set makes changes, all or none, and answers the versions that they lead to, in their order. A set value has the next version; so has a
// cleared one, if there was something to clear. Errors: Conflict if a version is not what was expected.
func (s *Service) Set(ctx context.Context, ref iot.DeviceRef, changes []Change, at int64) ([]int64, error) {
	return s.change(ctx, ref, func(now map[string]store.Desired) ([]store.Desired, []int64, error) {
		versions := make([]int64, 0, len(changes))
		var list []store.Desired
		for _, c := range changes {
			v := now[c.Identifier]
			if c.Expect != nil && *c.Expect != v.Version {
				return nil, nil, iot.Errorf(iot.Conflict, "the desired value of %s has version %d, not %d", c.Identifier, v.Version, *c.Expect)
			}
			if c.Value != nil || v.Value != nil {
				v = store.Desired{Identifier: c.Identifier, Version: v.Version + 1, Time: at, Value: c.Value}
				list = append(list, v)
			}
			versions = append(versions, v.Version)
		}
		return list, versions, nil
	})
}

// change reads, decides and writes, again if somebody else wrote in between.
func (s *Service) change(ctx context.Context, ref iot.DeviceRef, decide func(now map[string]store.Desired) ([]store.Desired, []int64, error)) ([]int64, error) {
	for try := 1; ; try++ {
		list, revision, err := s.values.Get(ctx, ref)
		if err != nil {
			return nil, err
		}
		changed, versions, err := decide(byIdentifier(list))
		if err != nil || len(changed) == 0 {
			return versions, err
		}
		err = s.values.Update(ctx, ref, revision, changed)
		if err == nil {
			return versions, nil
		}
		if !iot.Is(err, iot.Conflict) {
			return nil, err
		}
		if try == tries {
			return nil, iot.Wrap(iot.Unavailable, err, "the desired values are changed by many at once; repeat the call")
		}
	}
}

func byIdentifier(list []store.Desired) map[string]store.Desired {
	m := make(map[string]store.Desired, len(list))
	for _, v := range list {
		m[v.Identifier] = v
	}
	return m
}

// Get answers all of a device's properties that ever had a desired value, by identifier.
func (s *Service) Get(ctx context.Context, ref iot.DeviceRef) (map[string]store.Desired, error) {
	list, _, err := s.values.Get(ctx, ref)
	return byIdentifier(list), err
}

// get answers the desired values that a device asks for; those that there are.
func (s *Service) get(ctx context.Context, r *exchange.Request) exchange.Answer {
	if r.Alink.Params[0] != '[' {
		return exchange.Answer{Err: alink.ErrParamsMalformed}
	}
	var asked []string
	for v := range alink.Elements(r.Alink.Params) {
		if v[0] != '"' {
			return exchange.Answer{Err: alink.ErrParamsMalformed}
		}
		if id := string(alink.Unquote(v)); !slices.Contains(asked, id) {
			asked = append(asked, id)
		}
		if len(asked) > MaxAsked {
			return exchange.Answer{Err: errTooMany}
		}
	}
	if len(asked) == 0 {
		return exchange.Answer{Err: alink.ErrParamsMissing}
	}
	now, err := s.Get(ctx, r.Ref())
	if err != nil {
		return exchange.Answer{Err: queryError(err)}
	}
	data := []byte{'{'}
	for _, id := range asked {
		v, ok := now[id]
		if !ok || v.Value == nil {
			continue
		}
		if len(data) > 1 {
			data = append(data, ',')
		}
		data = append(alink.AppendString(data, id), `:{"value":`...)
		data = append(append(data, v.Value...), `,"version":`...)
		data = append(strconv.AppendInt(data, v.Version, 10), '}')
	}
	return exchange.Answer{Data: append(data, '}')}
}

func queryError(err error) error {
	if iot.Is(err, iot.Throttled) || iot.Is(err, iot.Unavailable) {
		return err
	}
	return errQuery
}

// remove deletes desired values, each unless it has another version than the device says. The version is kept: it goes on from there.
// A record that comes again finds nothing to delete, or a newer value, which it spares if it says a version.
func (s *Service) remove(ctx context.Context, r *exchange.Request) exchange.Answer {
	if r.Alink.Params[0] != '{' {
		return exchange.Answer{Err: alink.ErrParamsMalformed}
	}
	type deletion struct {
		id      string
		version int64 // -1: whatever it has
	}
	var list []deletion
	for name, v := range alink.Members(r.Alink.Params) {
		version, ok := versionOf(v)
		if !ok {
			return exchange.Answer{Err: alink.ErrParamsMalformed}
		}
		if list = append(list, deletion{string(name), version}); len(list) > MaxAsked {
			return exchange.Answer{Err: errTooMany}
		}
	}
	if len(list) == 0 {
		return exchange.Answer{Err: alink.ErrParamsMissing}
	}
	_, err := s.change(ctx, r.Ref(), func(now map[string]store.Desired) ([]store.Desired, []int64, error) {
		var changed []store.Desired
		for _, d := range list {
			v, ok := now[d.id]
			if !ok || v.Value == nil || d.version >= 0 && d.version != v.Version {
				continue
			}
			if (r.Record.Attempt > 0 || r.Record.Dup) && v.Time > r.Record.ReceivedAt { // set after the first attempt, perhaps
				continue
			}
			v.Value, v.Time = nil, r.Record.ReceivedAt
			changed = append(changed, v)
		}
		return changed, nil, nil
	})
	if err != nil {
		return exchange.Answer{Err: queryError(err)}
	}
	return exchange.Answer{}
}

// versionOf reads {"version":n}; -1 if there is none.
func versionOf(raw []byte) (int64, bool) {
	if raw[0] != '{' {
		return -1, string(raw) == "null"
	}
	version := int64(-1)
	for name, v := range alink.Members(raw) {
		if string(name) != "version" || v[0] == 'n' {
			continue
		}
		if v[0] == '"' {
			v = alink.Unquote(v)
		}
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil || n < 0 {
			return 0, false
		}
		version = n
	}
	return version, true
}
