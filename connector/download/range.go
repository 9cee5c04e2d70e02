package download

import (
	"errors"
	"strconv"
	"strings"
)

// A span is a part of a file.
type span struct{ offset, length int64 }

// header is the span as Content-Range has it.
func (s span) header(size int64) string {
	return "bytes " + strconv.FormatInt(s.offset, 10) + "-" + strconv.FormatInt(s.offset+s.length-1, 10) + "/" + strconv.FormatInt(size, 10)
}

var errUnsatisfiable = errors.New("the range begins behind the end of the file")

// parseRange reads a Range header: bytes=N-, bytes=N-M, bytes=-N. What is not understood, and several ranges at once, mean the whole
// file, as RFC 9110 (14.2) has it. ranged says that the answer is 206.
func parseRange(header string, size int64) (part span, ranged bool, err error) {
	whole := span{0, size}
	text, ok := strings.CutPrefix(strings.TrimSpace(header), "bytes=")
	first, last, dash := strings.Cut(strings.TrimSpace(text), "-")
	if !ok || !dash || strings.Contains(last, ",") {
		return whole, false, nil
	}
	if first == "" { // the last N bytes
		n, err := position(last)
		if err != nil {
			return whole, false, nil
		}
		if n == 0 || size == 0 {
			return span{}, false, errUnsatisfiable
		}
		n = min(n, size)
		return span{size - n, n}, true, nil
	}
	from, err := position(first)
	if err != nil {
		return whole, false, nil
	}
	to := size - 1
	if last != "" {
		n, err := position(last)
		if err != nil || n < from {
			return whole, false, nil
		}
		to = min(to, n)
	}
	if from >= size {
		return span{}, false, errUnsatisfiable
	}
	return span{from, to - from + 1}, true, nil
}

// position reads decimal digits and nothing else.
func position(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err
}
