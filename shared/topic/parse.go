// Package topic knows the platform's topics: what each is for, whose it is, who may publish, subscribe and receive it, and
// where its answer goes. The facts are those of the device protocol, "Topics" and "Topic index", and all come from one table.
//
// Parsing a topic does not allocate, except that the Alink method of an event or a service, which is nowhere in the topic as
// a whole, has to be put together.
package topic

import (
	"strings"
	"unicode/utf8"

	"relink/shared/iot"
	"relink/shared/refusal"
)

// Limits of topics ("Limits"). System topics are exempt from the number of slashes, and what precedes the inner topic of
// /ext/rrpc/ from the length.
const (
	MaxLength  = 128 // bytes
	MaxSlashes = 7   // of a custom topic
	maxExtRRPC = len("/ext/rrpc/") + 20
)

// An Uplink is what the topic of a message that a device published says. Its strings are parts of the topic.
type Uplink struct {
	Device iot.DeviceRef // whom the topic names; zero if it names nobody (some of /ext/rrpc/)
	Family Family
	Method string // thing.event.property.post; "" where the payload is not Alink
	Name   string // the event, the service, the RRPC's message id, the custom suffix: see Family
}

// ParseUplink reads the topic of a published message. What follows a question mark is cut off (SDKs append ?_rid=…). The error is a
// *refusal.Error with TopicMalformed (end the connection), TopicTooLong, TopicTooDeep or UnknownTopic (drop the message).
// Topics on which only the platform sends parse too: MayPublish refuses them.
func ParseUplink(topic string) (Uplink, error) {
	topic = Cut(topic)
	if err := check(topic); err != nil {
		return Uplink{}, err
	}
	return classify(topic)
}

// Cut removes what follows a question mark.
func Cut(topic string) string {
	if i := strings.IndexByte(topic, '?'); i >= 0 {
		return topic[:i]
	}
	return topic
}

func check(topic string) error {
	limit := MaxLength
	if strings.HasPrefix(topic, "/ext/rrpc/") {
		limit += maxExtRRPC
	}
	if len(topic) > limit {
		return refusal.New(refusal.TopicTooLong, "")
	}
	if topic == "" {
		return refusal.New(refusal.TopicMalformed, "empty")
	}
	ascii := true
	for i := 0; i < len(topic); i++ {
		c := topic[i]
		if c == '+' || c == '#' {
			return refusal.New(refusal.TopicMalformed, "wildcard")
		}
		if c < ' ' || c == 0x7f {
			return refusal.New(refusal.TopicMalformed, "control character")
		}
		if c >= utf8.RuneSelf {
			ascii = false
		}
	}
	if !ascii && !utf8.ValidString(topic) {
		return refusal.New(refusal.TopicMalformed, "not UTF-8")
	}
	return nil
}

// level cuts the first level off s.
func level(s string) (first, rest string, more bool) {
	if i := strings.IndexByte(s, '/'); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// owner reads pk/dn or pk/dn/rest.
func owner(s string) (ref iot.DeviceRef, rest string, ok bool) {
	pk, s, more := level(s)
	if !more {
		return ref, "", false
	}
	dn, rest, _ := level(s)
	ref = iot.DeviceRef{ProductKey: iot.ProductKey(pk), DeviceName: iot.DeviceName(dn)}
	return ref, rest, iot.ValidProductKey(pk) && iot.ValidDeviceName(dn)
}

func unknown(detail string) error { return refusal.New(refusal.UnknownTopic, detail) }

func classify(topic string) (Uplink, error) {
	if !strings.HasPrefix(topic, "/") {
		return Uplink{}, unknown("no leading slash")
	}
	first, rest, more := level(topic[1:])
	if !more {
		return Uplink{}, unknown("too short")
	}
	switch first {
	case "sys":
		ref, rest, ok := owner(rest)
		if !ok || rest == "" {
			return Uplink{}, unknown("no device after /sys/")
		}
		return system(ref, rest), nil
	case "ota":
		return verbThenDevice(topic, rest, len("/ota/"), true)
	case "shadow":
		return verbThenDevice(topic, rest, len("/shadow/"), false)
	case "ext":
		return ext(topic, rest)
	case "broadcast":
		return Uplink{Family: DownBroadcastTopic, Name: rest}, nil
	}
	ref, suffix, ok := owner(topic[1:])
	if !ok || suffix == "" {
		return Uplink{}, unknown("names no device")
	}
	if strings.Count(topic, "/") > MaxSlashes {
		return Uplink{}, refusal.New(refusal.TopicTooDeep, "")
	}
	return Uplink{Device: ref, Family: Custom, Name: suffix}, nil
}

// system reads what follows /sys/{pk}/{dn}/.
func system(ref iot.DeviceRef, rest string) Uplink {
	if e := fixed[rest]; e != nil {
		u := Uplink{Device: ref, Family: e.Family, Method: e.Method}
		switch e.Family {
		case LifecycleReply:
			u.Name = strings.TrimSuffix(strings.TrimPrefix(rest, "thing/"), "_reply")
		case BootstrapReply:
			u.Name = strings.TrimSuffix(strings.TrimPrefix(rest, "thing/bootstrap/"), "_reply")
		case BootRequest, BootReply:
			u.Name = strings.TrimPrefix(rest, "thing/")
			u.Method = dotted("thing/", u.Name)
		}
		return u
	}
	if s, ok := strings.CutPrefix(rest, "thing/event/"); ok {
		if id, ok := strings.CutSuffix(s, "/post"); ok && validIdentifier(id) {
			return Uplink{Device: ref, Family: EventPost, Method: "thing.event." + id + ".post", Name: id}
		}
	} else if s, ok := strings.CutPrefix(rest, "thing/service/"); ok {
		if id, ok := strings.CutSuffix(s, "_reply"); ok && validIdentifier(id) {
			return Uplink{Device: ref, Family: ServiceReply, Method: "thing.service." + id, Name: id}
		} else if !ok && validIdentifier(s) {
			return Uplink{Device: ref, Family: DownService, Method: "thing.service." + s, Name: s}
		}
	} else if s, ok := strings.CutPrefix(rest, "rrpc/response/"); ok {
		if validMessageID(s) {
			return Uplink{Device: ref, Family: RRPCResponse, Name: s}
		}
	} else if s, ok := strings.CutPrefix(rest, "rrpc/request/"); ok {
		return Uplink{Device: ref, Family: DownRRPC, Name: s}
	} else if s, ok := strings.CutPrefix(rest, "broadcast/request/"); ok {
		return Uplink{Device: ref, Family: DownBroadcast, Name: s}
	} else if s, ok := strings.CutPrefix(rest, "thing/"); ok {
		switch first, _, more := level(s); first {
		case "lan", "awss", "cipher":
			if more && strings.HasSuffix(s, "_reply") {
				return Uplink{Device: ref, Family: BootReply, Name: s}
			} else if more {
				return Uplink{Device: ref, Family: BootRequest, Method: dotted("thing/", s), Name: s}
			}
		}
	}
	u := Uplink{Device: ref, Family: UnknownSystem, Name: rest}
	if strings.HasPrefix(rest, "thing/") && !strings.HasSuffix(rest, "_reply") {
		u.Method = dotted("", rest)
	}
	return u
}

func dotted(prefix, s string) string { return strings.ReplaceAll(prefix+s, "/", ".") }

// verbThenDevice reads /ota/device/{verb}/{pk}/{dn} and /shadow/{verb}/{pk}/{dn}.
func verbThenDevice(topic, rest string, at int, two bool) (Uplink, error) {
	levels := 1
	if two {
		levels = 2
	}
	for range levels {
		i := strings.IndexByte(topic[at:], '/')
		if i < 0 {
			return Uplink{}, unknown("too short")
		}
		at += i + 1
	}
	ref, more, ok := owner(topic[at:])
	e := scoped[topic[:at-1]]
	if e == nil && topic[:at-1] == "/shadow/get" {
		return Uplink{}, refusal.New(refusal.TopicNotPermitted, "only the platform sends here")
	}
	if !ok || more != "" || e == nil {
		return Uplink{}, unknown(rest)
	}
	return Uplink{Device: ref, Family: e.Family}, nil
}

// ext reads what follows /ext/.
func ext(topic, rest string) (Uplink, error) {
	if e := global[topic]; e != nil {
		return Uplink{Family: e.Family}, nil
	}
	first, rest, _ := level(rest)
	if first == "rrpc" {
		id, inner, more := level(rest)
		if !more || !validMessageID(id) {
			return Uplink{}, unknown("no message id after /ext/rrpc/")
		}
		u := Uplink{Family: ExtRRPC, Name: id}
		topic = topic[len(topic)-len(inner)-1:] // with its slash
		if len(topic) > MaxLength {
			return Uplink{}, refusal.New(refusal.TopicTooLong, "")
		}
		if len(topic) > 1 && !strings.HasPrefix(inner, "ext/rrpc/") { // nothing nests
			if in, err := classify(topic); err == nil {
				u.Device = in.Device
			}
		}
		return u, nil
	}
	ref, tail, ok := owner(rest)
	if !ok {
		return Uplink{}, unknown(rest)
	}
	var buffer [MaxLength]byte
	key := append(buffer[:0], "/ext/"...)
	key = append(key, first...)
	if tail != "" {
		key = append(append(key, '/'), tail...)
	}
	if e := scoped[string(key)]; e != nil {
		return Uplink{Device: ref, Family: e.Family, Method: e.Method}, nil
	}
	return Uplink{}, unknown(rest)
}

// validIdentifier reports whether s is one level that can name an event or service, with or without a module.
func validIdentifier(s string) bool {
	if s == "" || len(s) > 101 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == ':' {
			continue
		}
		return false
	}
	return true
}

// validMessageID reports whether s can be the message id of an RRPC.
func validMessageID(s string) bool {
	return s != "" && len(s) <= 20 && strings.IndexByte(s, '/') < 0
}
