package download

// ParseRange is parseRange for tests of the door from outside.
func ParseRange(header string, size int64) (offset, length int64, ranged bool, err error) {
	part, ranged, err := parseRange(header, size)
	return part.offset, part.length, ranged, err
}
