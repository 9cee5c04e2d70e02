package session

import (
	"slices"
	"strings"

	"relink/shared/device"
	"relink/shared/downlink"
	"relink/shared/refusal"
	"relink/shared/topic"
)

// Limits of one device. System topics do not count towards MaxCustom ("subscriptions per device"; the Node SDK alone subscribes
// 16 of them for itself and for every sub-device), but they are bounded too.
const (
	MaxCustom  = 100
	MaxFilters = 1000
	MaxMuted   = 200
)

type filter struct {
	text string
	qos  byte
}

// delivery is what was found out about a topic.
type delivery struct {
	topic   string
	qos     byte
	state   downlink.State
	classes *[]device.TopicClass // with which it was found out
}

// Subscribe adds a filter and gives the QoS that is granted, at most 1. The error is a *refusal.Error.
func (s *Session) Subscribe(text string, qos byte) (byte, error) {
	if !topic.ValidFilter(text) {
		return 0, refusal.New(refusal.FilterMalformed, "")
	}
	if text[0] == '$' && len(text) > 7 && text[:7] == "$share/" {
		return 0, refusal.New(refusal.SharedUnsupported, "")
	}
	if !topic.MaySubscribe(s.Grant, text) {
		return 0, refusal.New(refusal.FilterNotPermitted, "")
	}
	qos = min(qos, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.muted, text); i >= 0 {
		s.muted = slices.Delete(s.muted, i, i+1)
		s.version++
	}
	known := slices.Contains(s.filters, filter{text, qos})
	if !s.add(text, qos) {
		return 0, refusal.New(refusal.TooManySubscriptions, "")
	}
	if !known && s.outlives(text) {
		s.version++
	}
	return qos, nil
}

// outlives reports whether a filter has to be kept for the device's next sessions: what is automatic comes back by itself, unless
// something of it is muted. The lock is held.
func (s *Session) outlives(text string) bool {
	return len(s.muted) > 0 || !system(text) || strings.HasPrefix(text, "/broadcast/") || strings.HasPrefix(text, "/ext/rrpc/")
}

// Unstored gives what has to be stored for the device's next sessions, if that is not yet known to be stored, and the version to
// give to Stored once it is. Filters and mutes are in the order in which they were made.
func (s *Session) Unstored() (subs device.Subscriptions, version int, unstored bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stored == s.version {
		return subs, s.version, false
	}
	subs = device.Subscriptions{Epoch: s.Grant.Epoch, Subscribed: []device.Subscription{}, Muted: slices.Clone(s.muted)}
	for _, f := range s.filters {
		if s.outlives(f.text) {
			subs.Subscribed = append(subs.Subscribed, device.Subscription{Filter: f.text, QoS: f.qos})
		}
	}
	return subs, s.version, true
}

// Stored notes that what Unstored gave with this version is durable.
func (s *Session) Stored(version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = max(s.stored, version)
}

// add needs the lock, except in New. It reports whether there was room.
func (s *Session) add(text string, qos byte) bool {
	s.last = delivery{}
	for i := range s.filters {
		if s.filters[i].text == text {
			s.filters[i].qos = qos
			return true
		}
	}
	isCustom := !system(text)
	if len(s.filters) >= MaxFilters || isCustom && s.custom >= MaxCustom {
		return false
	}
	if isCustom {
		s.custom++
	}
	s.filters = append(s.filters, filter{text, qos})
	return true
}

// Unsubscribe removes a filter. One of system topics also stops what would arrive there without a SUBSCRIBE, until the device
// subscribes again ("Topics that need no SUBSCRIBE"). It reports whether the filter had been subscribed or automatic.
func (s *Session) Unsubscribe(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = delivery{}
	found := false
	if i := slices.IndexFunc(s.filters, func(f filter) bool { return f.text == text }); i >= 0 {
		if s.outlives(text) {
			s.version++
		}
		s.filters = slices.Delete(s.filters, i, i+1)
		found = true
		if !system(text) {
			s.custom--
		}
	}
	if system(text) && topic.MaySubscribe(s.Grant, text) {
		found = true
		if !slices.Contains(s.muted, text) && len(s.muted) < MaxMuted {
			s.muted = append(s.muted, text)
			s.version++
		}
	}
	return found
}

// Delivery says whether a message with this topic goes to the device, and the greatest QoS that it may have: Sent (it does),
// Refused or Unsubscribed.
func (s *Session) Delivery(name string) (qos byte, state downlink.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if classes := s.Grant.Topics.Version(); s.last.topic != name || name == "" || s.last.classes != classes {
		qos, state := s.decide(name)
		s.last = delivery{name, qos, state, classes}
	}
	return s.last.qos, s.last.state
}

func (s *Session) decide(name string) (byte, downlink.State) {
	if !topic.MayReceive(s.Grant, name) {
		return 0, downlink.Refused
	}
	qos, found := byte(0), false
	for _, f := range s.filters {
		if topic.Match(f.text, name) {
			qos, found = max(qos, f.qos), true
		}
	}
	if found {
		return qos, downlink.Sent
	}
	if !topic.Automatic(s.Grant, name) || slices.ContainsFunc(s.muted, func(f string) bool { return topic.Match(f, name) }) {
		return 0, downlink.Unsubscribed
	}
	return 1, downlink.Sent // "Auto-subscribed topics count as granted 1"
}

// system reports whether a filter is of system topics.
func system(text string) bool {
	for _, prefix := range [...]string{"/sys/", "/ota/", "/shadow/", "/ext/", "/broadcast/"} {
		if len(text) >= len(prefix) && text[:len(prefix)] == prefix {
			return true
		}
	}
	return false
}
