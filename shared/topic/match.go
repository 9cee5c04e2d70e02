package topic

// Match reports whether a topic filter matches a topic name [MQTT-4.7]: + is one level, # at the end is any number of levels
// including none. Wildcards at the begin do not match topics that begin with $ [MQTT-4.7.2-1]. It does not allocate.
func Match(filter, topic string) bool {
	if topic != "" && topic[0] == '$' && filter != "" && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	for {
		f, frest, fmore := level(filter)
		if f == "#" && !fmore {
			return true
		}
		t, trest, tmore := level(topic)
		if f != "+" && f != t {
			return false
		}
		switch {
		case !fmore && !tmore:
			return true
		case !fmore:
			return false
		case !tmore:
			return frest == "#" // "a/#" matches "a"
		}
		filter, topic = frest, trest
	}
}

// Overlap reports whether some topic matches both filters.
func Overlap(a, b string) bool {
	for {
		x, xrest, xmore := level(a)
		y, yrest, ymore := level(b)
		if x == "#" && !xmore || y == "#" && !ymore {
			return true
		}
		if x != y && x != "+" && y != "+" {
			return false
		}
		switch {
		case !xmore && !ymore:
			return true
		case !xmore:
			return yrest == "#"
		case !ymore:
			return xrest == "#"
		}
		a, b = xrest, yrest
	}
}
