package topic

import "strings"

const replySuffix = "_reply"

// ReplyTopic is where the answer to the request goes that was published on topic, which u was parsed from; "" if there is none.
func (u Uplink) ReplyTopic(topic string) string {
	if u.Family >= FamilyCount {
		return ""
	}
	topic = Cut(topic)
	switch families[u.Family].Reply {
	case Suffix:
		if u.Family == UnknownSystem && u.Method == "" {
			return "" // does not look like a request
		}
		return topic + replySuffix
	case Same:
		return topic
	case ShadowGet:
		return "/shadow/get/" + u.Device.String()
	case Response:
		return strings.TrimSuffix(topic, "request") + "response"
	case RRPCDirection:
		return strings.Replace(topic, "/rrpc/request/", "/rrpc/response/", 1)
	}
	return ""
}

// IsRRPCResponse reports whether the message answers a synchronous call: u.Name is then the message id in the call's topic.
func (u Uplink) IsRRPCResponse() bool { return u.Family == RRPCResponse || u.Family == ExtRRPC }

// isReplyToDevice reports whether topic is where the platform answers a request of a device, and whose it is. Topics of the
// form X_reply count if a device may publish X.
func isReplyToDevice(topic string) (u Uplink, ok bool) {
	if request, found := strings.CutSuffix(topic, replySuffix); found {
		u, err := classify(request)
		return u, err == nil && u.Family.Uplink() && families[u.Family].Reply == Suffix && u.Family != Custom
	}
	if rest, found := strings.CutPrefix(topic, "/shadow/get/"); found {
		ref, more, ok := owner(rest)
		return Uplink{Device: ref, Family: ShadowUpdate}, ok && more == ""
	}
	if rest, found := strings.CutPrefix(topic, "/ext/ntp/"); found {
		ref, more, ok := owner(rest)
		return Uplink{Device: ref, Family: NTPRequest}, ok && more == "response"
	}
	return Uplink{}, false
}
