package sls

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Limits of one log (Log Service, "Limits on data").
const (
	maxKeyBytes   = 128
	maxValueBytes = 1 << 20
	maxGroupBytes = 5 << 20 // uncompressed LogGroup
)

// Field numbers of sls_logs.proto:
//
//	LogGroup: 1 Logs, 2 Category, 3 Topic, 4 Source, 5 MachineUUID, 6 LogTags
//	Log:      1 Time (varint), 2 Contents, 4 TimeNs (fixed32)
//	Content:  1 Key, 2 Value          LogTag: 1 Key, 2 Value
const (
	groupLogs, groupTopic, groupSource, groupTags = 1, 3, 4, 6
	logTime, logContents, logTimeNs               = 1, 2, 4
	pairKey, pairValue                            = 1, 2
)

var (
	errTruncated = errors.New("truncated or malformed protobuf")
	errNoTime    = errors.New("log without Time")
	errNoKey     = errors.New("content without Key or Value")
)

// A pair is a field or a tag of a log. Both slices alias the decoded bytes.
type pair struct{ key, value []byte }

// A group is a decoded LogGroup. All slices alias the decoded bytes.
type group struct {
	topic, source []byte
	tags          []pair
	logs          [][]byte // encoded Log messages, in the order received
	rest          []byte   // every field but Logs, as encoded; only if keepRest
	keepRest      bool
}

// decode fills g from an encoded LogGroup and reuses its slices. It checks the
// outer structure and the tags, not the logs; see checkLog.
func (g *group) decode(b []byte) error {
	g.topic, g.source, g.tags, g.logs, g.rest = nil, nil, g.tags[:0], g.logs[:0], g.rest[:0]
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errTruncated
		}
		if typ != protowire.BytesType {
			m := protowire.ConsumeFieldValue(num, typ, b[n:])
			if m < 0 {
				return errTruncated
			}
			b = b[n+m:]
			continue
		}
		v, m := protowire.ConsumeBytes(b[n:])
		if m < 0 {
			return errTruncated
		}
		switch num {
		case groupLogs:
			g.logs = append(g.logs, v)
		case groupTopic:
			g.topic = v
		case groupSource:
			g.source = v
		case groupTags:
			p, err := decodePair(v)
			if err != nil {
				return err
			}
			g.tags = append(g.tags, p)
		}
		if num != groupLogs && g.keepRest {
			g.rest = append(g.rest, b[:n+m]...)
		}
		b = b[n+m:]
	}
	return nil
}

// decodePair decodes a Content or LogTag message.
func decodePair(b []byte) (p pair, err error) {
	seen := 0
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return p, errTruncated
		}
		if typ == protowire.BytesType {
			v, m := protowire.ConsumeBytes(b[n:])
			if m < 0 {
				return p, errTruncated
			}
			switch num {
			case pairKey:
				p.key, seen = v, seen|1
			case pairValue:
				p.value, seen = v, seen|2
			}
			b = b[n+m:]
			continue
		}
		m := protowire.ConsumeFieldValue(num, typ, b[n:])
		if m < 0 {
			return p, errTruncated
		}
		b = b[n+m:]
	}
	if seen != 3 {
		return p, errNoKey
	}
	return p, nil
}

// decodeLog decodes one Log message and appends its contents to fields.
func decodeLog(b []byte, fields []pair) (sec, ns uint32, _ []pair, err error) {
	timed := false
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0, 0, fields, errTruncated
		}
		b = b[n:]
		m := 0
		switch {
		case num == logTime && typ == protowire.VarintType:
			var v uint64
			v, m = protowire.ConsumeVarint(b)
			sec, timed = uint32(v), true
		case num == logTimeNs && typ == protowire.Fixed32Type:
			ns, m = protowire.ConsumeFixed32(b)
		case num == logContents && typ == protowire.BytesType:
			var v []byte
			if v, m = protowire.ConsumeBytes(b); m >= 0 {
				p, perr := decodePair(v)
				if perr != nil {
					return 0, 0, fields, perr
				}
				fields = append(fields, p)
			}
		default:
			m = protowire.ConsumeFieldValue(num, typ, b)
		}
		if m < 0 {
			return 0, 0, fields, errTruncated
		}
		b = b[m:]
	}
	if !timed {
		return 0, 0, fields, errNoTime
	}
	return sec, ns, fields, nil
}

// checkLog returns the second of an encoded Log, or why it must be refused.
// scratch is reused for its contents.
func checkLog(b []byte, scratch []pair) (sec uint32, _ []pair, err error) {
	sec, _, scratch, err = decodeLog(b, scratch[:0])
	if err != nil {
		return 0, scratch, err
	}
	for _, p := range scratch {
		if len(p.key) == 0 || len(p.key) > maxKeyBytes {
			return 0, scratch, fmt.Errorf("key of %d bytes, must be 1 to %d", len(p.key), maxKeyBytes)
		}
		if len(p.value) > maxValueBytes {
			return 0, scratch, fmt.Errorf("value of %d bytes, at most %d", len(p.value), maxValueBytes)
		}
	}
	return sec, scratch, nil
}

// A run is a LogGroup all of whose logs have the same second.
type run struct {
	sec   uint32
	count int
	data  []byte // encoded LogGroup
}

// splitter cuts LogGroups into runs; its buffers are reused between calls.
type splitter struct {
	g       group
	secs    []uint32
	order   []int
	scratch []pair
	runs    []run
}

// split checks an encoded LogGroup and cuts it into runs in ascending order of
// time, logs of a second in the order sent. extra is appended to every run: more
// encoded LogGroup fields. The result is valid until the next call; with one
// second and no extra it is raw itself.
func (s *splitter) split(raw, extra []byte) ([]run, error) {
	s.g.keepRest = true
	if err := s.g.decode(raw); err != nil {
		return nil, err
	}
	s.secs, s.order, s.runs = s.secs[:0], s.order[:0], s.runs[:0]
	same := true
	for i, l := range s.g.logs {
		sec, scratch, err := checkLog(l, s.scratch)
		s.scratch = scratch
		if err != nil {
			return nil, fmt.Errorf("log %d: %w", i, err)
		}
		s.secs, s.order = append(s.secs, sec), append(s.order, i)
		same = same && sec == s.secs[0]
	}
	switch {
	case len(s.g.logs) == 0:
		return nil, nil
	case same && len(extra) == 0:
		return append(s.runs, run{s.secs[0], len(s.g.logs), raw}), nil
	case same:
		data := append(slices.Clip(raw), extra...)
		return append(s.runs, run{s.secs[0], len(s.g.logs), data}), nil
	}
	slices.SortStableFunc(s.order, func(a, b int) int { return int(int64(s.secs[a]) - int64(s.secs[b])) })
	for i := 0; i < len(s.order); {
		sec := s.secs[s.order[i]]
		data := append(append([]byte(nil), s.g.rest...), extra...)
		n := 0
		for ; i < len(s.order) && s.secs[s.order[i]] == sec; i++ {
			data = protowire.AppendTag(data, groupLogs, protowire.BytesType)
			data = protowire.AppendBytes(data, s.g.logs[s.order[i]])
			n++
		}
		s.runs = append(s.runs, run{sec, n, data})
	}
	return s.runs, nil
}

func appendString(b []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}

func sizePair(key, value string) int {
	return protowire.SizeTag(pairKey) + protowire.SizeBytes(len(key)) + protowire.SizeTag(pairValue) + protowire.SizeBytes(len(value))
}

// appendPair appends a Content or LogTag message as field num.
func appendPair(b []byte, num protowire.Number, key, value string) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(sizePair(key, value)))
	return appendString(appendString(b, pairKey, key), pairValue, value)
}
