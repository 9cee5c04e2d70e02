package sls

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// maxQueries is how many queries of one project run at a time ("Limits").
const maxQueries = 100

// A window is the time of a query, [from, to).
type window struct {
	from, to     int64 // seconds
	fromNs, toNs uint32
}

func (w window) check() error {
	if w.from < 0 || w.to < w.from || w.to == w.from && w.toNs <= w.fromNs || w.from > math.MaxUint32 {
		return fail(InvalidTimeRange, fmt.Sprintf("from %d to %d", w.from, w.to))
	}
	return nil
}

// A scan visits the logs of a window that match.
type scan struct {
	ls      *logstore
	window  window
	topic   string // "" for all
	match   matcher
	reverse bool // newest first
}

// beginQuery counts a query against the quota of its project.
func (s *Server) beginQuery(projectName string) (end func(), err error) {
	s.mu.RLock()
	p := s.projects[projectName]
	s.mu.RUnlock()
	if p == nil {
		return nil, fail(ProjectNotExist, projectName)
	}
	if atomic.AddInt32(&p.queries, 1) > maxQueries {
		atomic.AddInt32(&p.queries, -1)
		return nil, fail(ReadQuotaExceed, fmt.Sprintf("more than %d queries at a time", maxQueries))
	}
	return func() { atomic.AddInt32(&p.queries, -1) }, nil
}

// run calls visit for each matching log in order of time, logs of one second in
// the order they arrived, until visit returns false. It returns the number of
// logs looked at. The record is valid during the call only.
func (s *Server) run(ctx context.Context, sc scan, visit func(*record) bool) (processed int64, err error) {
	info := sc.ls.info.Load()
	from := max(sc.window.from, s.oldest(info))
	last := sc.window.to // exclusive, whole seconds
	if sc.window.toNs > 0 {
		last++
	}
	last = min(last, math.MaxUint32)
	if from >= last {
		return 0, nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: dataKey(nil, sc.ls.number, uint32(from), 0),
		UpperBound: dataKey(nil, sc.ls.number, uint32(last), 0),
	})
	if err != nil {
		return 0, err
	}
	defer func() {
		if cerr := it.Close(); err == nil {
			err = cerr
		}
	}()
	advance := it.Next
	valid := false
	if sc.reverse {
		advance = it.Prev
		valid = it.Last()
	} else {
		valid = it.First()
	}
	v := visitor{scan: sc, needle: []byte(needle(sc.match)), visit: visit}
	_, v.all = sc.match.(matchAll)
	for n := 0; valid; valid = advance() {
		if n++; n%256 == 0 && (ctx.Err() != nil || s.stop.Err() != nil) {
			return v.processed, fail(ServerBusy)
		}
		value, verr := it.ValueAndErr()
		if verr != nil {
			return v.processed, verr
		}
		more, gerr := v.group(binary.BigEndian.Uint32(it.Key()[5:]), value)
		if gerr != nil || !more {
			return v.processed, gerr
		}
	}
	return v.processed, it.Error()
}

// A visitor is the state of a scan between runs of logs.
type visitor struct {
	scan
	needle    []byte
	scratch   []byte
	all       bool
	g         group
	rec       record
	visit     func(*record) bool
	processed int64
}

// group visits the logs of one stored LogGroup; false ends the scan.
func (v *visitor) group(sec uint32, data []byte) (more bool, err error) {
	if err := v.g.decode(data); err != nil {
		return false, fmt.Errorf("stored log group of second %d: %w", sec, err)
	}
	v.processed += int64(len(v.g.logs))
	if v.topic != "" && string(v.g.topic) != v.topic {
		return true, nil
	}
	if len(v.needle) > 0 {
		var found bool
		if found, v.scratch = containsFold(data, v.needle, v.scratch); !found {
			return true, nil
		}
	}
	v.rec.sec, v.rec.group = sec, &v.g
	edge := int64(sec) == v.window.from && v.window.fromNs > 0 || int64(sec) == v.window.to
	for i := range v.g.logs {
		if v.reverse {
			i = len(v.g.logs) - 1 - i
		}
		v.rec.reset(v.g.logs[i])
		if edge && !v.inside() {
			continue
		}
		if (v.all || v.match.match(&v.rec)) && !v.visit(&v.rec) {
			return false, nil
		}
	}
	return true, nil
}

// inside compares the nanoseconds of a log at the edge of the window.
func (v *visitor) inside() bool {
	v.rec.decode()
	sec := int64(v.rec.sec)
	return !(sec == v.window.from && v.rec.ns < v.window.fromNs) && !(sec == v.window.to && v.rec.ns >= v.window.toNs)
}
