package sign

import (
	"slices"
	"strings"
)

// told are the parameters, beside lan and _v, in which SDKs say what they run on.
var told = []string{"os", "pid", "mid", "_m", "_mid", "module"}

const maxSoftware = 256 // bytes

// Software is what the client id says of the device's software, for operators: lan=C,_v=sdk-c-3.0.1. It is empty where nothing is said.
func (c *ClientID) Software() string {
	var b strings.Builder
	add := func(key, value string) {
		if value == "" || b.Len()+len(key)+len(value)+2 > maxSoftware {
			return
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(key + "=" + value)
	}
	add("lan", c.Lan)
	add("_v", c.Version)
	for _, p := range c.Unknown {
		if slices.Contains(told, p.Key) {
			add(p.Key, p.Value)
		}
	}
	return b.String()
}
