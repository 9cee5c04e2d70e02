package interest

import "strings"

// topics is a set of topic filters, as a tree of levels. Looking one up allocates nothing. It is not changed once it is made.
type topics struct {
	levels map[string]*topics
	any    *topics // +
	rest   bool    // # stands here
	end    bool    // a filter ends here
}

func (t *topics) add(filter string) {
	for level := range strings.SplitSeq(filter, "/") {
		switch {
		case level == "#":
			t.rest = true
			return
		case level == "+":
			if t.any == nil {
				t.any = new(topics)
			}
			t = t.any
		default:
			if t.levels == nil {
				t.levels = make(map[string]*topics)
			}
			next := t.levels[level]
			if next == nil {
				next = new(topics)
				t.levels[level] = next
			}
			t = next
		}
	}
	t.end = true
}

// match tells whether some filter fits. A filter's # also fits the level above it.
func (t *topics) match(topic string) bool {
	for t != nil {
		if t.rest {
			return true
		}
		level, rest, more := strings.Cut(topic, "/")
		if t.any != nil {
			if more {
				if t.any.match(rest) {
					return true
				}
			} else if t.any.end || t.any.rest {
				return true
			}
		}
		t = t.levels[level]
		if !more {
			return t != nil && (t.end || t.rest)
		}
		topic = rest
	}
	return false
}
