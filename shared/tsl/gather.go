package tsl

import (
	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/refusal"
)

// MaxEvents bounds the events of a pack post.
const MaxEvents = 200

// ErrTooManyEvents refuses a pack post with more than MaxEvents events.
var ErrTooManyEvents = &alink.Error{Code: alink.CodeTooManyEvents, Cause: refusal.TooManyEvents, Message: "too many events", Kind: iot.QuotaExceeded}

// Gathered is what became of a message that carries several values of properties, and events, of one device.
type Gathered struct {
	Checked
	Events []CheckedEvent // failed ones too, whose failures are in Failed as well
}

// Batch checks {"properties":{id:[…]},"events":{id:[…]}} ("Batch property and event post"). Its values are as in a post, wrapped or not;
// where there is but one the array may be missing. Errors: as CheckPost, for params that are neither or nothing.
func (g *Gathered) Batch(m *Model, params []byte, mode Mode, now int64) error {
	return g.gather(m, params, mode, clock{now, now + maxAhead, false}, true)
}

// Pack checks {"properties":{id:…},"events":{id:…}} ("Gateway pack post"), one value each; both may be missing or empty.
func (g *Gathered) Pack(m *Model, params []byte, mode Mode, now int64) error {
	return g.gather(m, params, mode, clock{now, now + maxAhead, false}, false)
}

// History checks {"properties":[{id:…}…],"events":[{id:…}…]} ("History post"). Times may lie in the future, and members may be spelled
// Value and Time.
func (g *Gathered) History(m *Model, params []byte, mode Mode, now int64) error {
	properties, events, err := sections(params, true)
	if err != nil {
		return err
	}
	c := noLimit(now)
	for set := range alink.Elements(properties) {
		if set[0] != '{' {
			return alink.Detailed(alink.ErrParamsMalformed, "an entry of properties is not an object")
		}
		for name, item := range alink.Members(set) {
			g.property(m, name, item, mode, c)
		}
	}
	for set := range alink.Elements(events) {
		if set[0] != '{' {
			return alink.Detailed(alink.ErrParamsMalformed, "an entry of events is not an object")
		}
		for name, item := range alink.Members(set) {
			g.event(m, name, item, mode, c)
		}
	}
	return nil
}

func (g *Gathered) gather(m *Model, params []byte, mode Mode, c clock, arrays bool) error {
	properties, events, err := sections(params, false)
	if err != nil {
		return err
	}
	n := 0
	for name, items := range alink.Members(properties) {
		if n++; n > MaxProperties {
			return errTooMany
		}
		if !arrays || items[0] != '[' {
			g.property(m, name, items, mode, c)
			continue
		}
		for item := range alink.Elements(items) {
			g.property(m, name, item, mode, c)
		}
	}
	for name, items := range alink.Members(events) {
		if !arrays || items[0] != '[' {
			g.event(m, name, items, mode, c)
			continue
		}
		for item := range alink.Elements(items) {
			g.event(m, name, item, mode, c)
		}
	}
	return nil
}

// sections finds properties and events, which are objects, or arrays of objects; nil where they are missing or null.
func sections(params []byte, arrays bool) (properties, events []byte, err error) {
	if len(params) == 0 || params[0] != '{' {
		return nil, nil, alink.Detailed(alink.ErrParamsMalformed, "params is not an object")
	}
	open, shape := byte('{'), "an object"
	if arrays {
		open, shape = '[', "an array"
	}
	for name, v := range alink.Members(params) {
		switch string(name) {
		case "properties", "events":
		default:
			continue
		}
		if v[0] != open && v[0] != 'n' {
			return nil, nil, alink.Detailed(alink.ErrParamsMalformed, string(name)+" is not "+shape)
		}
		if v[0] == 'n' {
			v = nil
		}
		if name[0] == 'p' {
			properties = v
		} else {
			events = v
		}
	}
	return properties, events, nil
}

func (g *Gathered) event(m *Model, name, item []byte, mode Mode, c clock) {
	e := checkEvent(m, string(name), item, mode, c)
	if e.Failed != nil {
		g.Failed = append(g.Failed, *e.Failed)
	}
	g.Events = append(g.Events, e)
}

// AppendData is Checked.AppendData for items that are there several times: the first message of each counts.
func (g *Gathered) AppendData(dst []byte, prefix string) []byte {
	seen := make(map[string]bool, len(g.Failed))
	for i := range g.Failed {
		f := &g.Failed[i]
		if seen[f.Identifier] {
			continue
		}
		seen[f.Identifier] = true
		if len(dst) > 0 && dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = alink.AppendString(dst, prefix+f.Identifier)
		dst = append(dst, ':')
		dst = alink.AppendString(dst, f.Message)
	}
	return dst
}
