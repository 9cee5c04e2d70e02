package sls

import (
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds of one PullLogs.
const (
	maxPullGroups = 1000
	maxPullBytes  = 10 << 20
)

// A cursor is the base64 of the arrival number of the next run of logs, in
// decimal. Arrival numbers are nanoseconds of the server's clock.
func encodeCursor(seq uint64) string {
	return base64.StdEncoding.EncodeToString(strconv.AppendUint(nil, seq, 10))
}

func decodeCursor(s string) (uint64, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return 0, fail(InvalidCursor, s)
	}
	n, err := strconv.ParseUint(string(b), 10, 63)
	if err != nil {
		return 0, fail(InvalidCursor, s)
	}
	return n, nil
}

// shard finds the logstore of a request to its only shard.
func (s *Server) shard(q *request) (*logstore, error) {
	ls, err := s.lookup(q.project, q.arg("logstore"))
	if err != nil {
		return nil, err
	}
	if q.arg("shard") != "0" {
		return nil, fail(ShardNotExist, q.arg("shard"))
	}
	return ls, nil
}

// getCursor answers the cursor of begin, end, or a second of arrival.
func (s *Server) getCursor(q *request) error {
	ls, err := s.shard(q)
	if err != nil {
		return err
	}
	last, err := s.lastArrival(ls.number)
	if err != nil {
		return err
	}
	var seq uint64
	switch from := q.query.Get("from"); from {
	case "begin":
	case "end":
		seq = last + 1
	default:
		sec, err := strconv.ParseUint(from, 10, 33)
		if err != nil {
			return invalid("from %q is not begin, end or a Unix time in seconds", from)
		}
		seq = min(sec*1e9, last+1)
	}
	return writeJSON(q.w, map[string]string{"cursor": encodeCursor(seq)})
}

func (s *Server) getCursorTime(q *request) error {
	if _, err := s.shard(q); err != nil {
		return err
	}
	seq, err := decodeCursor(q.query.Get("cursor"))
	if err != nil {
		return err
	}
	return writeJSON(q.w, map[string]uint64{"cursor_time": seq / 1e9})
}

// pullLogs answers stored LogGroups from a cursor on, in order of arrival.
func (s *Server) pullLogs(q *request) error {
	ls, err := s.shard(q)
	if err != nil {
		return err
	}
	if q.query.Get("query") != "" || q.query.Get("processor") != "" {
		return fail(NotSupported, "PullLogs with query or processor")
	}
	from, err := decodeCursor(q.query.Get("cursor"))
	if err != nil {
		return err
	}
	upper := arrivalKey(nil, ls.number+1, 0)
	if c := q.query.Get("end_cursor"); c != "" {
		end, err := decodeCursor(c)
		if err != nil {
			return err
		}
		upper = arrivalKey(nil, ls.number, end)
	}
	count, err := strconv.Atoi(q.query.Get("count"))
	if err != nil || count < 1 {
		return invalid("count %q must be 1 to %d", q.query.Get("count"), maxPullGroups)
	}
	list, groups, next, err := s.readArrivals(ls, from, upper, min(count, maxPullGroups))
	if err != nil {
		return err
	}
	h := q.w.Header()
	h.Set("x-log-cursor", encodeCursor(next))
	h.Set("x-log-count", strconv.Itoa(groups))
	if len(list) == 0 {
		h.Set("x-log-bodyrawsize", "0")
		writeBody(q.w, http.StatusOK, "application/x-protobuf", nil)
		return nil
	}
	return writeCompressed(q, "application/x-protobuf", list)
}

// readArrivals encodes a LogGroupList (field 1) of at most count groups and
// returns the cursor behind the last.
func (s *Server) readArrivals(ls *logstore, from uint64, upper []byte, count int) (list []byte, groups int, next uint64, err error) {
	next = from
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: arrivalKey(nil, ls.number, from), UpperBound: upper})
	if err != nil {
		return nil, 0, next, err
	}
	defer func() {
		if cerr := it.Close(); err == nil {
			err = cerr
		}
	}()
	var key []byte
	for valid := it.First(); valid && groups < count && len(list) < maxPullBytes; valid = it.Next() {
		seq := binary.BigEndian.Uint64(it.Key()[5:])
		key = dataKey(key[:0], ls.number, binary.BigEndian.Uint32(it.Value()), seq)
		value, closer, gerr := s.db.Get(key)
		next = seq + 1
		if gerr == pebble.ErrNotFound {
			continue // expired
		}
		if gerr != nil {
			return nil, 0, next, gerr
		}
		list = protowire.AppendTag(list, 1, protowire.BytesType)
		list = protowire.AppendBytes(list, value)
		groups++
		if err := closer.Close(); err != nil {
			return nil, 0, next, err
		}
	}
	return list, groups, next, it.Error()
}
