package deviceinfo

import (
	"context"
	"strconv"
	"strings"
	"time"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/refusal"
)

// Codes of thing/config/log/get.
const (
	codeGetType     = 6717
	codeConfigScope = 6718
)

// Limits of one upload.
const (
	maxLogLines   = 40
	maxLogContent = 4096 // bytes; the rest is cut off
	maxLogField   = 128  // bytes of module, code and trace context
)

// LogConfig is what a device is told of its log: {"getType":"content","content":{"mode":1}}.
func LogConfig(on bool) []byte {
	if on {
		return []byte(`{"getType":"content","content":{"mode":1}}`)
	}
	return []byte(`{"getType":"content","content":{"mode":0}}`)
}

func (s *Service) logConfig(ctx context.Context, r *exchange.Request) exchange.Answer {
	var scope, getType string
	for name, value := range alink.Members(r.Alink.Params) {
		switch string(name) {
		case "configScope":
			scope = text(value)
		case "getType":
			getType = text(value)
		}
	}
	switch {
	case getType != "content":
		return failed(&alink.Error{Code: codeGetType, Cause: refusal.ParamsMalformed, Message: "getType is not content", Kind: iot.InvalidParams})
	case scope != "device":
		return failed(&alink.Error{Code: codeConfigScope, Cause: refusal.ParamsMalformed, Message: "configScope is not device", Kind: iot.InvalidParams})
	}
	d, err := s.infos.Get(ctx, r.Ref())
	if err != nil {
		return failed(err)
	}
	return exchange.Answer{Data: LogConfig(d.LogUpload)}
}

// postLog is thing/log/post, and thing/config/log/post by an SDK's mistake. While the device's switch is off lines are dropped and
// answered all the same: some SDKs send them without asking. An upload whose first answer was lost may be kept twice, with the same
// message id.
func (s *Service) postLog(ctx context.Context, r *exchange.Request) exchange.Answer {
	d, err := s.infos.Get(ctx, r.Ref())
	if err != nil {
		return failed(err)
	}
	if !d.LogUpload || s.sink == nil {
		return exchange.Answer{Cause: refusal.LogUploadOff}
	}
	lines, err := readLog(r.Alink.Params, r.Record.ReceivedAt)
	if err != nil {
		return failed(err)
	}
	for i := range lines {
		lines[i].Device, lines[i].MessageID = r.Ref(), r.Record.MessageID
	}
	return failed(s.sink.Upload(ctx, lines))
}

// readLog reads the params in either form. Lines without a time of their own have that of their receipt.
func readLog(params []byte, receivedAt int64) ([]logs.Uploaded, error) {
	if params[0] == '{' {
		return readTemplated(params, receivedAt)
	}
	var lines []logs.Uploaded
	for item := range alink.Elements(params) {
		if item[0] != '{' {
			return nil, alink.ErrParamsMalformed
		}
		if len(lines) == maxLogLines {
			return nil, refused(refusal.ParamsMalformed, "more than 40 lines")
		}
		l := logs.Uploaded{At: receivedAt, ReceivedAt: receivedAt}
		for name, value := range alink.Members(item) {
			setField(&l, string(name), text(value))
		}
		lines = append(lines, finish(l))
	}
	if len(lines) == 0 {
		return nil, alink.ErrParamsMissing
	}
	return lines, nil
}

// readTemplated reads {"template":"traceContext logContent","contents":["65822254 recv"]}: the template names the words of each line,
// and its last name takes what is left.
func readTemplated(params []byte, receivedAt int64) ([]logs.Uploaded, error) {
	var template []string
	var lines []logs.Uploaded
	var contents []byte
	for name, value := range alink.Members(params) {
		switch string(name) {
		case "template":
			template = strings.Fields(text(value))
		case "contents":
			contents = value
		}
	}
	if len(template) == 0 || len(contents) == 0 || contents[0] != '[' {
		return nil, alink.ErrParamsMalformed
	}
	for item := range alink.Elements(contents) {
		if len(lines) == maxLogLines {
			return nil, refused(refusal.ParamsMalformed, "more than 40 lines")
		}
		l := logs.Uploaded{At: receivedAt, ReceivedAt: receivedAt}
		rest := text(item)
		for i, name := range template {
			word := rest
			if i < len(template)-1 {
				word, rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
			}
			setField(&l, name, word)
		}
		lines = append(lines, finish(l))
	}
	if len(lines) == 0 {
		return nil, alink.ErrParamsMissing
	}
	return lines, nil
}

func setField(l *logs.Uploaded, name, value string) {
	switch name {
	case "utcTime", "timestamp":
		if at, ok := readTime(value); ok {
			l.At = at
		}
	case "logLevel":
		l.Level = strings.ToUpper(value)
	case "module":
		l.Module = value
	case "code":
		l.Code = value
	case "traceContext":
		l.TraceContext = value
	case "logContent":
		l.Content = value
	}
}

// finish brings a line into bounds.
func finish(l logs.Uploaded) logs.Uploaded {
	switch l.Level {
	case "FATAL", "ERROR", "WARN", "INFO", "DEBUG":
	case "":
		l.Level = "INFO" // templates of firmware leave it out
	default:
		l.Level = "OTHER"
	}
	l.Module, _ = cut(l.Module, maxLogField)
	l.Code, _ = cut(l.Code, maxLogField)
	l.TraceContext, _ = cut(l.TraceContext, maxLogField)
	l.Content, l.Truncated = cut(l.Content, maxLogContent)
	return l
}

// cut keeps the first bytes of a text, and no half character.
func cut(s string, limit int) (string, bool) {
	if len(s) <= limit {
		return s, false
	}
	return strings.ToValidUTF8(s[:limit], ""), true
}

// readTime reads yyyy-MM-dd'T'HH:mm:ss.SSSZ with a zone of either form, or milliseconds.
func readTime(s string) (int64, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 {
		return n, true
	}
	for _, layout := range [...]string{"2006-01-02T15:04:05.999Z0700", "2006-01-02T15:04:05.999Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1970 {
			return t.UnixMilli(), true
		}
	}
	return 0, false
}
