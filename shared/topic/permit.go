package topic

import (
	"strings"
	"unicode/utf8"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/refusal"
)

// owns reports whether ref is the granted device itself. A sub-device that is logged in through a gateway has a grant of its own.
func owns(g *device.Grant, ref iot.DeviceRef) bool {
	return ref.DeviceName == g.DeviceName && ref.ProductKey == g.ProductKey
}

// MayPublish decides whether a device may publish on the topic that u was parsed from ("Permission check"). The error is a
// *refusal.Error with TopicNotOwn or TopicNotPermitted: drop the message, keep the connection.
func MayPublish(g *device.Grant, u Uplink) error {
	switch {
	case u.Family == ExtRRPC && u.Device.IsZero(): // whether such a call is waiting is known to whoever made it
		return nil
	case !u.Family.Uplink():
		return refusal.New(refusal.TopicNotPermitted, "only the platform sends here")
	case !owns(g, u.Device):
		return refusal.New(refusal.TopicNotOwn, "")
	case u.Family != Custom:
		return nil
	}
	classes := g.Topics.List()
	for i := range classes {
		if c := &classes[i]; c.Publish && Match(c.Filter, u.Name) {
			return nil
		}
	}
	return refusal.New(refusal.TopicNotPermitted, "no topic class with permission to publish")
}

// MaySubscribe decides whether a device's filter is granted ("Wildcards and filters that must be accepted"): refused is what
// could match topics of another device, and a custom topic in none of the product's classes. Granting delivers nothing by itself:
// MayReceive has the last word.
func MaySubscribe(g *device.Grant, filter string) (ok bool) {
	if !ValidFilter(filter) || filter[0] != '/' {
		return false
	}
	first, rest, more := level(filter[1:])
	if !more {
		return false
	}
	switch first {
	case "sys":
		tail, ok := ownPrefix(g, rest)
		return ok && tail != ""
	case "ota":
		_, rest, _ = level(rest)
		fallthrough
	case "shadow":
		_, rest, _ = level(rest)
		tail, ok := ownPrefix(g, rest)
		return ok && (tail == "" || tail == "#")
	case "broadcast":
		pk, name, more := level(rest)
		return more && name != "" && pk == string(g.ProductKey)
	case "ext":
		if global[filter] != nil {
			return true
		}
		kind, rest, _ := level(rest)
		switch kind {
		case "rrpc": // only what is addressed to this device arrives there
			return rest == "#" || strings.IndexByte(rest, '/') > 0
		case "#", "+":
			return false
		}
		_, ok := ownPrefix(g, rest)
		return ok
	}
	tail, ok := ownPrefix(g, filter[1:])
	if !ok || tail == "" {
		return false
	}
	classes := g.Topics.List()
	for i := range classes {
		if c := &classes[i]; c.Subscribe && Overlap(c.Filter, tail) {
			return true
		}
	}
	return false
}

// ownPrefix cuts the granted device's pk/dn off s.
func ownPrefix(g *device.Grant, s string) (tail string, ok bool) {
	pk, s, more := level(s)
	dn, tail, _ := level(s)
	return tail, more && owns(g, iot.DeviceRef{ProductKey: iot.ProductKey(pk), DeviceName: iot.DeviceName(dn)})
}

// FilterOwner is the device whose topics a filter asks for, by the fixed position of its family ("Permission check"); zero if it names
// none, or none alone (/broadcast/…, /ext/rrpc/…, a wildcard before the name).
func FilterOwner(filter string) iot.DeviceRef {
	if filter == "" || filter[0] != '/' {
		return iot.DeviceRef{}
	}
	first, rest, _ := level(filter[1:])
	switch first {
	case "sys":
	case "ota":
		_, rest, _ = level(rest)
		fallthrough
	case "shadow":
		_, rest, _ = level(rest)
	case "broadcast":
		return iot.DeviceRef{}
	case "ext":
		if kind, _, _ := level(rest); kind == "rrpc" {
			return iot.DeviceRef{}
		}
		_, rest, _ = level(rest)
	default:
		rest = filter[1:]
	}
	ref, _, ok := owner(rest)
	if !ok {
		return iot.DeviceRef{}
	}
	return ref
}

// MayReceive decides whether a message with this topic may go to a device at all, subscribed or not.
func MayReceive(g *device.Grant, topic string) bool {
	ok, _ := receives(g, topic)
	return ok
}

// Automatic reports whether a message with this topic goes to a device without a SUBSCRIBE ("Topics that need no SUBSCRIBE"),
// unless the device has unsubscribed it: Grant.Muted and this session's UNSUBSCRIBEs are the caller's to look at.
func Automatic(g *device.Grant, topic string) bool {
	ok, automatic := receives(g, topic)
	return ok && automatic
}

func receives(g *device.Grant, topic string) (ok, automatic bool) {
	if check(topic) != nil {
		return false, false
	}
	if u, ok := isReplyToDevice(topic); ok {
		return owns(g, u.Device), true
	}
	u, err := classify(topic)
	if err != nil {
		return false, false
	}
	e := families[u.Family]
	switch u.Family {
	case ExtRRPC:
		return g.ExtRRPC && (u.Device.IsZero() || owns(g, u.Device)), true
	case DownRegistered:
		return true, true
	case DownBroadcastTopic:
		pk, name, _ := level(u.Name)
		return pk == string(g.ProductKey) && name != "", false
	case Custom:
		if !owns(g, u.Device) {
			return false, false
		}
		found := false
		for i, classes := 0, g.Topics.List(); i < len(classes); i++ {
			if c := &classes[i]; c.Subscribe && Match(c.Filter, u.Name) {
				if c.Automatic {
					return true, true
				}
				found = true
			}
		}
		return found, false
	case UnknownSystem:
		return owns(g, u.Device), false
	}
	if u.Family.Uplink() && !e.Automatic { // a device's own requests do not come back to it
		return false, false
	}
	return owns(g, u.Device), e.Automatic
}

// ValidFilter reports whether filter is a topic filter by MQTT's rules, of a length that any permitted topic can have.
func ValidFilter(filter string) bool {
	if filter == "" || len(filter) > MaxLength+maxExtRRPC || !utf8.ValidString(filter) {
		return false
	}
	for i := 0; i < len(filter); i++ {
		switch c := filter[i]; {
		case c < ' ' || c == 0x7f:
			return false
		case c == '#' && (i != len(filter)-1 || i > 0 && filter[i-1] != '/'):
			return false
		case c == '+' && (i > 0 && filter[i-1] != '/' || i < len(filter)-1 && filter[i+1] != '/'):
			return false
		}
	}
	return true
}
