package mqtt

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mochi-mqtt/server/v2/packets"

	"relink/shared/refusal"
)

// Limits of the properties of a PUBLISH ("MQTT 5.0").
const (
	maxUserProperties = 20
	maxUserProperty   = 128 // characters of key and value together
	maxCorrelation    = 128 // of Response Topic and Correlation Data, each
)

// checkProperties checks a 5.0 PUBLISH against these limits. A message beyond them is not taken; its connection lasts.
func checkProperties(p *packets.Properties) error {
	refuse := func(detail string) error { return refusal.New(refusal.PropertyNotAllowed, detail) }
	if n := len(p.User); n > maxUserProperties {
		return refuse(strconv.Itoa(n) + " user properties")
	}
	for i := range p.User {
		u := &p.User[i]
		switch {
		case strings.HasPrefix(u.Key, "_"):
			return refuse("the key of a user property begins with _")
		case utf8.RuneCountInString(u.Key)+utf8.RuneCountInString(u.Val) > maxUserProperty:
			return refuse("a user property of more than 128 characters")
		}
	}
	switch {
	case utf8.RuneCountInString(p.ResponseTopic) > maxCorrelation:
		return refuse("a Response Topic of more than 128 characters")
	case len(p.CorrelationData) > maxCorrelation:
		return refuse("Correlation Data of more than 128 bytes")
	}
	return nil
}
