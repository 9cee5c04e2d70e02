package oss

import (
	"strconv"
	"strings"
)

// A byteRange is length bytes of an object from offset on.
type byteRange struct{ offset, length int64 }

// parseRange reads a Range header for an object of size bytes. Of several ranges
// the first counts. By default a range that is malformed or leaves the object is
// ignored (partial false, the whole object is answered with 200); with standard
// (x-oss-range-behavior: standard) its end is cut and one that begins behind the
// object is InvalidRange. ("Obtain OSS resources by segmenting HTTP Range requests")
func parseRange(header string, size int64, standard bool) (r byteRange, partial bool, err error) {
	whole := byteRange{0, size}
	set, ok := strings.CutPrefix(header, "bytes=")
	if !ok {
		return whole, false, nil
	}
	first, _, _ := strings.Cut(set, ",")
	from, to, ok := strings.Cut(strings.TrimSpace(first), "-")
	if !ok {
		return whole, false, nil
	}
	start, end := int64(0), size-1
	outside := false
	switch {
	case from == "":
		n, ok := digits(to)
		if !ok {
			return whole, false, nil
		}
		outside = n > size
		start = size - min(n, size)
		if n == 0 {
			start = size
		}
	default:
		var ok bool
		if start, ok = digits(from); !ok {
			return whole, false, nil
		}
		if to != "" {
			if end, ok = digits(to); !ok || end < start {
				return whole, false, nil
			}
		}
		outside = end >= size
		end = min(end, size-1)
	}
	if start >= size {
		if standard {
			e := fail(InvalidRange)
			e.ContentRange = "bytes */" + strconv.FormatInt(size, 10)
			return whole, false, e
		}
		return whole, false, nil
	}
	if outside && !standard {
		return whole, false, nil
	}
	return byteRange{start, end - start + 1}, true, nil
}

// digits reads a decimal number without sign.
func digits(s string) (int64, bool) {
	if s == "" || s[0] == '+' || s[0] == '-' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
