package rulesql

import (
	"strings"
	"unicode/utf8"

	"relink/shared/iot"
)

// A Source is a kind of message that a rule can take (rule engine reference, "Sources").
type Source uint8

// The sources.
const (
	Custom          Source = iota + 1 // the product's own topics
	Status                            // online and offline
	PropertyPost                      // properties
	EventPost                         // events
	PropertyBatch                     // several times of properties
	EventBatch                        // several times of events
	DownlinkReply                     // answers to sets and services
	PropertyHistory                   // properties of the past
	EventHistory                      // events of the past
	Lifecycle                         // created, deleted, enabled, disabled
	TopoLifecycle                     // relations of gateways
	ListFound                         // sub-devices that a gateway found
	Tags                              // tags that a device reported
	OTAResult                         // an upgrade ended
	OTAProgress                       // an upgrade goes on
	OTAVersion                        // a module has another version
	OTAJob                            // a batch of upgrades changed its state
)

// String is the source's name in logs.
func (s Source) String() string {
	names := [...]string{"unknown", "custom", "status", "property_post", "event_post", "property_batch", "event_batch", "downlink_reply",
		"property_history", "event_history", "lifecycle", "topo_lifecycle", "list_found", "tags", "ota_result", "ota_progress",
		"ota_version", "ota_job"}
	if int(s) < len(names) {
		return names[s]
	}
	return names[0]
}

// Topic types of the OpenAPI (CreateRule, TopicType).
const (
	ThingTopic  = 0
	CustomTopic = 1
	StatusTopic = 2
)

// A From is where a rule takes its messages. Make it by ParseFrom or FromParts.
type From struct {
	Pattern    string         // forwarding topic, with + and # as wildcards
	Source     Source         //
	ProductKey iot.ProductKey // always named
	Device     string         // device name or +; of OTAJob the package
}

// TopicType is the source's type in the OpenAPI.
func (f From) TopicType() int {
	switch f.Source {
	case Custom:
		return CustomTopic
	case Status:
		return StatusTopic
	}
	return ThingTopic
}

// ShortTopic is the pattern without the product, as the OpenAPI shows it (rule engine reference, "Spelling").
func (f From) ShortTopic() string {
	if f.Source == Status {
		return f.Device
	}
	return strings.TrimPrefix(f.Pattern, "/"+string(f.ProductKey)+"/")
}

// fixedSources are what follows /pk/dn/ in forwarding topics, and the device topics that raise something under another name.
var fixedSources = map[string]struct {
	source Source
	suffix string
}{
	"thing/event/property/post":         {PropertyPost, "thing/event/property/post"},
	"thing/property/batch/post":         {PropertyBatch, "thing/property/batch/post"},
	"thing/event/property/batch/post":   {PropertyBatch, "thing/property/batch/post"},
	"thing/event/batch/post":            {EventBatch, "thing/event/batch/post"},
	"thing/downlink/reply/message":      {DownlinkReply, "thing/downlink/reply/message"},
	"thing/event/property/history/post": {PropertyHistory, "thing/event/property/history/post"},
	"thing/lifecycle":                   {Lifecycle, "thing/lifecycle"},
	"thing/topo/lifecycle":              {TopoLifecycle, "thing/topo/lifecycle"},
	"thing/list/found":                  {ListFound, "thing/list/found"},
	"thing/deviceinfo/update":           {Tags, "thing/deviceinfo/update"},
	"ota/upgrade":                       {OTAResult, "ota/upgrade"},
	"ota/progress/post":                 {OTAProgress, "ota/progress/post"},
	"ota/version/post":                  {OTAVersion, "ota/version/post"},
}

const jobSuffix = "/ota/job/status"

// systemSource recognises what follows /pk/dn/ in a topic of the platform; 0 if it is none.
func systemSource(suffix string) (Source, string) {
	if s, ok := fixedSources[suffix]; ok {
		return s.source, s.suffix
	}
	if rest, ok := strings.CutPrefix(suffix, "thing/event/"); ok {
		if id, ok := strings.CutSuffix(rest, "/history/post"); ok && validEvent(id) {
			return EventHistory, suffix
		}
		if id, ok := strings.CutSuffix(rest, "/post"); ok && validEvent(id) {
			return EventPost, suffix
		}
	}
	return 0, ""
}

// validEvent allows an identifier, module:identifier or +.
func validEvent(id string) bool {
	if id == "+" {
		return true
	}
	for _, r := range id {
		if r != '_' && r != ':' && !('0' <= r && r <= '9') && !('a' <= r && r <= 'z') && !('A' <= r && r <= 'Z') {
			return false
		}
	}
	return id != "" && strings.Count(id, ":") <= 1
}

func fromError(topic bool, text, reason string) error {
	return &SyntaxError{Part: InFrom, Near: cutText(text, 140), Reason: reason, Topic: topic}
}

// ParseFrom reads a topic as rules have it, with or without quotes, the leading slash and /sys, and makes it the forwarding
// topic (rule engine reference, "Spelling"). Errors are *SyntaxError.
func ParseFrom(text string) (From, error) {
	s := strings.TrimSpace(text)
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		s = strings.TrimSpace(s[1 : len(s)-1])
	}
	if err := checkTopic(s); err != nil {
		return From{}, err
	}
	s = strings.TrimPrefix(s, "/")
	if rest, ok := strings.CutPrefix(s, "as/mqtt/status/"); ok {
		pk, dn, _ := strings.Cut(rest, "/")
		return fromStatus(text, pk, dn)
	}
	s = strings.TrimPrefix(s, "sys/")
	pk, short, ok := strings.Cut(s, "/")
	if !ok {
		return From{}, fromError(false, text, "a topic is /productKey/deviceName/…")
	}
	first, _, _ := strings.Cut(afterDevice(short), "/")
	if strings.HasSuffix(short, jobSuffix) || first == "thing" || first == "ota" ||
		strings.HasPrefix(short, "+thing/") || strings.HasPrefix(short, "+ota/") {
		return fromThing(text, pk, short)
	}
	return fromCustom(text, pk, short)
}

// FromParts reads the members ProductKey, ShortTopic and TopicType of a rule.
func FromParts(pk iot.ProductKey, shortTopic string, topicType int) (From, error) {
	if err := checkTopic(shortTopic); err != nil {
		return From{}, err
	}
	short := strings.TrimPrefix(strings.TrimSpace(shortTopic), "/")
	switch topicType {
	case StatusTopic:
		return fromStatus(shortTopic, string(pk), short)
	case ThingTopic:
		return fromThing(shortTopic, string(pk), short)
	case CustomTopic:
		return fromCustom(shortTopic, string(pk), short)
	}
	return From{}, fromError(true, "", "TopicType is 0, 1 or 2")
}

func checkTopic(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return fromError(false, "", "the topic is missing")
	case len(s) > 512:
		return fromError(false, s, "the topic is too long")
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fromError(false, "", "the topic has characters that it must not have")
	case strings.Count(s, "/") > maxLevels:
		return fromError(false, s, "the topic has too many levels")
	}
	return nil
}

func afterDevice(short string) string {
	_, rest, _ := strings.Cut(short, "/")
	return rest
}

// validProduct leaves out the first levels of the platform's own topics.
func validProduct(pk string) bool { return iot.ValidProductKey(pk) && pk != "sys" && pk != "as" }

func checkOwner(text, pk, dn string) error {
	if !validProduct(pk) {
		return fromError(false, text, "the topic names no product; + may only stand for the device")
	}
	if dn != "+" && !iot.ValidDeviceName(dn) {
		return fromError(false, text, "the topic names no device; + stands for all devices of the product")
	}
	return nil
}

func fromStatus(text, pk, dn string) (From, error) {
	if err := checkOwner(text, pk, dn); err != nil {
		return From{}, err
	}
	return From{Pattern: "/as/mqtt/status/" + pk + "/" + dn, Source: Status, ProductKey: iot.ProductKey(pk), Device: dn}, nil
}

func fromThing(text, pk, short string) (From, error) {
	if job, ok := strings.CutSuffix(short, jobSuffix); ok && strings.Count(job, "/") == 1 {
		return fromJob(text, pk, job)
	}
	dn, suffix, _ := strings.Cut(short, "/")
	source, forwarding := systemSource(suffix)
	if source == 0 { // published examples forget the slash after the device name
		for _, family := range []string{"thing/", "ota/"} {
			if i := strings.Index(short, family); i > 0 && short[i-1] != '/' {
				if s, f := systemSource(short[i:]); s != 0 {
					dn, source, forwarding = short[:i], s, f
				}
			}
		}
	}
	if source == 0 {
		return From{}, fromError(true, text, "there is no such system topic")
	}
	if err := checkOwner(text, pk, dn); err != nil {
		return From{}, err
	}
	return From{Pattern: "/" + pk + "/" + dn + "/" + forwarding, Source: source, ProductKey: iot.ProductKey(pk), Device: dn}, nil
}

// fromJob reads packageId/jobId, each of which may be +.
func fromJob(text, pk, job string) (From, error) {
	pack, id, _ := strings.Cut(job, "/")
	if !validProduct(pk) {
		return From{}, fromError(false, text, "the topic names no product")
	}
	for _, s := range []string{pack, id} {
		if s == "" || s != "+" && strings.ContainsAny(s, "+#") {
			return From{}, fromError(true, text, "package and job are names or +")
		}
	}
	return From{Pattern: "/" + pk + "/" + job + jobSuffix, Source: OTAJob, ProductKey: iot.ProductKey(pk), Device: pack}, nil
}

func fromCustom(text, pk, short string) (From, error) {
	dn, suffix, _ := strings.Cut(short, "/")
	if err := checkOwner(text, pk, dn); err != nil {
		return From{}, err
	}
	if suffix == "" {
		return From{}, fromError(false, text, "a topic is /productKey/deviceName/…")
	}
	if source, _ := systemSource(suffix); source != 0 {
		return From{}, fromError(true, text, "this is a system topic, whose TopicType is 0")
	}
	levels := strings.Split(suffix, "/")
	if levels[0] == "thing" || levels[0] == "ota" {
		return From{}, fromError(true, text, "there is no such system topic")
	}
	for i, l := range levels {
		switch {
		case strings.ContainsAny(l, "+#") && len(l) > 1:
			return From{}, fromError(false, text, "+ and # fill a whole level")
		case l == "#" && i < len(levels)-1:
			return From{}, fromError(false, text, "# is the last level")
		case l == "":
			return From{}, fromError(false, text, "a level of the topic is empty")
		}
	}
	return From{Pattern: "/" + pk + "/" + short, Source: Custom, ProductKey: iot.ProductKey(pk), Device: dn}, nil
}
