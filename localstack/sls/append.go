package sls

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// A Log is one log for [Server.Append].
type Log struct {
	Time   time.Time // zero means the server's clock
	Fields []Field
}

// A Field is one key and value of a log; the key has 1 to 128 bytes, the value
// at most 1 MiB.
type Field struct{ Key, Value string }

// Append writes logs without HTTP, as if a client had put them in one request:
// same checks, same durability (a few moments may be lost at a power cut), same
// order. It answers *Error with ProjectNotExist, LogStoreNotExist,
// PostBodyInvalid or PostBodyTooLarge. It is safe for concurrent use.
func (s *Server) Append(project, logstore, topic, source string, logs []Log) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	ls, err := s.lookup(project, logstore)
	if err != nil {
		return err
	}
	raw := encodeGroup(topic, source, logs, s.now)
	if len(raw) > maxGroupBytes {
		return fail(PostBodyTooLarge, fmt.Sprint(len(raw)))
	}
	s.stats.requests.Add(1)
	s.stats.bytesIn.Add(int64(len(raw)))
	return s.store(ls, raw, "")
}

// encodeGroup encodes a LogGroup.
func encodeGroup(topic, source string, logs []Log, now func() time.Time) []byte {
	n := len(topic) + len(source) + 8
	for i := range logs {
		n += 24
		for _, f := range logs[i].Fields {
			n += sizePair(f.Key, f.Value) + 8
		}
	}
	b := make([]byte, 0, n)
	var body []byte
	for i := range logs {
		t := logs[i].Time
		if t.IsZero() {
			t = now()
		}
		body = protowire.AppendTag(body[:0], logTime, protowire.VarintType)
		body = protowire.AppendVarint(body, uint64(uint32(t.Unix())))
		for _, f := range logs[i].Fields {
			body = appendPair(body, logContents, f.Key, f.Value)
		}
		body = protowire.AppendTag(body, logTimeNs, protowire.Fixed32Type)
		body = protowire.AppendFixed32(body, uint32(t.Nanosecond()))
		b = protowire.AppendTag(b, groupLogs, protowire.BytesType)
		b = protowire.AppendBytes(b, body)
	}
	return appendString(appendString(b, groupTopic, topic), groupSource, source)
}
