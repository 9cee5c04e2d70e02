package devicelog

import (
	"net"
	"strconv"
	"strings"
	"unicode/utf8"

	sls "github.com/aliyun/aliyun-log-go-sdk"

	"relink/shared/logs"
)

// Fields of the logstore `device` beside those of package logs.
const (
	FieldIotID   = "iot_id"
	FieldBytes   = "bytes"
	FieldQoS     = "qos"
	FieldSampled = "sampled" // the row stands for so many like it
)

const (
	maxName   = 256 // bytes of a topic, a name, a reason
	maxDetail = 1024
	maxFields = 19
)

// encode makes a request of as many rows as fit, at least one.
func (w *Writer) encode(rows []Entry) (*sls.LogGroup, int) {
	group := &sls.LogGroup{Topic: &empty, Source: &w.node}
	n, size := 0, 0
	var fields fields
	for n < len(rows) && n < groupRows {
		e := &rows[n]
		fields.grow(min(len(rows)-n, 256))
		row := fields.row(e, w.node)
		added := 16
		for _, c := range row {
			added += len(*c.Key) + len(*c.Value) + 10
		}
		if n > 0 && size+added > groupBytes {
			break
		}
		size += added
		n++
		seconds, ns := uint32(e.At/1000), uint32(e.At%1000)*1e6
		group.Logs = append(group.Logs, &sls.Log{Time: &seconds, TimeNs: &ns, Contents: row})
	}
	return group, n
}

var empty string

// keys are the field names, addressable as the SDK wants them.
var keys = [maxFields]string{logs.FieldProductKey, logs.FieldDeviceName, FieldIotID, logs.FieldMessageID, logs.FieldRequestID, logs.FieldOperation,
	logs.FieldTopic, logs.FieldCode, logs.FieldReason, logs.FieldDetail, logs.FieldSigned, logs.FieldLatency, logs.FieldNode, logs.FieldRemote,
	FieldBytes, FieldQoS, FieldSampled, logs.FieldAt, logs.FieldRemoteIP}

// fields allots the SDK's one struct and one pointer per field from blocks.
type fields struct {
	contents []sls.LogContent
	values   []string
	pointers []*sls.LogContent
}

// grow makes room for one row, in blocks for some.
func (f *fields) grow(rows int) {
	if cap(f.contents)-len(f.contents) < maxFields {
		f.contents = make([]sls.LogContent, 0, rows*maxFields)
		f.values = make([]string, 0, rows*maxFields)
		f.pointers = make([]*sls.LogContent, 0, rows*maxFields)
	}
}

func (f *fields) row(e *Entry, node string) []*sls.LogContent {
	from := len(f.pointers)
	add := func(key int, value string) {
		if value == "" {
			return
		}
		f.values = append(f.values, value)
		f.contents = append(f.contents, sls.LogContent{Key: &keys[key], Value: &f.values[len(f.values)-1]})
		f.pointers = append(f.pointers, &f.contents[len(f.contents)-1])
	}
	add(0, clean(string(e.Device.ProductKey), maxName))
	add(1, clean(string(e.Device.DeviceName), maxName))
	add(2, clean(string(e.IotID), maxName))
	add(3, clean(e.MessageID, maxName))
	add(4, clean(e.RequestID, maxName))
	add(5, clean(e.Operation, maxName))
	add(6, clean(e.Topic, maxName))
	if e.Code != 0 {
		add(7, strconv.Itoa(e.Code))
	}
	add(8, clean(e.Reason, maxName))
	add(9, clean(e.Detail, maxDetail))
	add(10, clean(e.Signed, maxDetail))
	if e.LatencyMS > 0 {
		add(11, strconv.FormatFloat(e.LatencyMS, 'f', 3, 64))
	}
	add(12, node)
	add(13, clean(e.Remote, maxName))
	if e.Bytes > 0 {
		add(14, strconv.Itoa(e.Bytes))
	}
	if e.Topic != "" {
		add(15, strconv.Itoa(int(e.QoS)))
	}
	if e.sampled > 1 {
		add(16, strconv.Itoa(e.sampled))
	}
	add(17, strconv.FormatInt(e.At, 10))
	if e.Reason != "" && e.Remote != "" {
		if ip, _, err := net.SplitHostPort(e.Remote); err == nil {
			add(18, ip)
		}
	}
	return f.pointers[from:len(f.pointers):len(f.pointers)]
}

// clean makes a text from outside safe to read in a terminal and in a query: what ends a line or steers a terminal and what is no
// UTF-8 is escaped as Go does, and of a long text the first limit bytes are kept, with an ellipsis.
func clean(s string, limit int) string {
	cut := len(s) > limit
	if cut {
		s = s[:limit]
		for i := 0; i < utf8.UTFMax && len(s) > 0; i++ { // not within a character
			if r, size := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || size != 1 {
				break
			}
			s = s[:len(s)-1]
		}
	}
	if plain(s) {
		if cut {
			return s + "…"
		}
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x`)
			b.WriteByte(hexDigits[s[i]>>4])
			b.WriteByte(hexDigits[s[i]&15])
		case unsafe(r):
			quoted := strconv.QuoteRuneToASCII(r) // 'x'
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	if cut {
		b.WriteString("…")
	}
	return b.String()
}

const hexDigits = "0123456789abcdef"

// plain reports whether nothing needs escaping.
func plain(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			if c < 0x80 {
				return false
			}
			if !utf8.ValidString(s[i:]) {
				return false
			}
			return strings.IndexFunc(s[i:], unsafe) < 0
		}
	}
	return true
}

// unsafe characters end a line, steer a terminal or turn the direction of writing.
func unsafe(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' || r == '\ufeff'
}
