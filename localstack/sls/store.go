package sls

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Keys of the store; numbers are big endian so that byte order is their order:
//
//	'p' project                                → projectInfo as JSON
//	's' project 0 logstore                     → storedLogstore as JSON
//	'n'                                        → number of the next logstore, 4 bytes
//	'd' number(4) second(4) arrival(8)         → LogGroup of the logs of one second
//	'q' number(4) arrival(8)                   → second(4)
//
// The number of a logstore is never used again, so that logs of a deleted one
// cannot come back. Arrival is the server's clock in nanoseconds, made strictly
// increasing; it is also what a cursor holds.
const (
	prefixProject, prefixStore, prefixNext = 'p', 's', 'n'
	prefixData, prefixArrival              = 'd', 'q'
)

func dataKey(b []byte, number, sec uint32, seq uint64) []byte {
	b = append(b, prefixData)
	b = binary.BigEndian.AppendUint32(b, number)
	b = binary.BigEndian.AppendUint32(b, sec)
	return binary.BigEndian.AppendUint64(b, seq)
}

func arrivalKey(b []byte, number uint32, seq uint64) []byte {
	b = append(b, prefixArrival)
	b = binary.BigEndian.AppendUint32(b, number)
	return binary.BigEndian.AppendUint64(b, seq)
}

func projectKey(name string) []byte { return append([]byte{prefixProject}, name...) }

func storeKey(project, name string) []byte {
	return append([]byte{prefixStore}, project+"\x00"+name...)
}

// ingest is what a write needs beside the logstore; pooled.
type ingest struct {
	splitter
	key   []byte
	extra []byte
}

var ingests = sync.Pool{New: func() any { return new(ingest) }}

// store writes an encoded LogGroup. It is acknowledged when the store has it in
// memory and in its write-ahead log's buffer; syncLoop makes it durable.
func (s *Server) store(ls *logstore, raw []byte, clientIP string) error {
	in := ingests.Get().(*ingest)
	defer ingests.Put(in)
	in.extra = in.extra[:0]
	if ls.info.Load().AppendMeta {
		in.extra = appendPair(in.extra, groupTags, "__receive_time__", fmt.Sprint(s.now().Unix()))
		if clientIP != "" {
			in.extra = appendPair(in.extra, groupTags, "__client_ip__", clientIP)
		}
	}
	runs, err := in.split(raw, in.extra)
	if err != nil {
		return fail(PostBodyInvalid, err)
	}
	if len(runs) == 0 {
		return nil
	}
	logs := 0
	batch := s.db.NewBatchWithSize(len(raw) + 256*len(runs))
	defer batch.Close()
	// Arrival numbers are taken and committed under one lock, so that a reader
	// that has passed a number can miss no smaller one.
	ls.appending.Lock()
	defer ls.appending.Unlock()
	if ls.deleted {
		return fail(LogStoreNotExist, ls.name)
	}
	for i := range runs {
		r := &runs[i]
		seq := s.nextSeq()
		in.key = dataKey(in.key[:0], ls.number, r.sec, seq)
		if err := batch.Set(in.key, r.data, nil); err != nil {
			return fmt.Errorf("write logs: %w", err)
		}
		in.key = arrivalKey(in.key[:0], ls.number, seq)
		if err := batch.Set(in.key, binary.BigEndian.AppendUint32(nil, r.sec), nil); err != nil {
			return fmt.Errorf("write logs: %w", err)
		}
		logs += r.count
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("write logs: %w", err)
	}
	s.unsynced.Store(true)
	s.stats.logs.Add(int64(logs))
	return nil
}

// nextSeq returns the next arrival number.
func (s *Server) nextSeq() uint64 {
	now := uint64(max(s.now().UnixNano(), 1))
	for {
		last := s.seq.Load()
		next := max(last+1, now)
		if s.seq.CompareAndSwap(last, next) {
			return next
		}
	}
}

// sync makes everything written so far durable.
func (s *Server) sync() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if !s.unsynced.Swap(false) {
		return nil
	}
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		s.unsynced.Store(true)
		return err
	}
	return nil
}

func (s *Server) syncLoop() { s.every(syncEvery, "sync log store", s.sync) }

func (s *Server) expireLoop() { s.every(expireEvery, "expire logs", s.expire) }

// every runs work until the server closes. A failure is logged and tried again
// the next time.
func (s *Server) every(d time.Duration, what string, work func() error) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-s.stop.Done():
			return
		case <-t.C:
			if err := work(); err != nil {
				s.log.Error(what, "error", err)
			}
		}
	}
}

// oldest returns the first second a logstore still shows.
func (s *Server) oldest(info *logstoreInfo) int64 {
	if info.TTL <= 0 || info.TTL >= foreverTTL {
		return 0
	}
	return max(0, s.now().Unix()-int64(info.TTL)*86400)
}

// expire removes logs past their TTL from disk. Queries do not show them anyway.
func (s *Server) expire() error {
	for _, ls := range s.allLogstores() {
		sec := s.oldest(ls.info.Load())
		if sec == 0 || sec <= ls.expired {
			continue
		}
		if err := s.db.DeleteRange(dataKey(nil, ls.number, 0, 0), dataKey(nil, ls.number, uint32(sec), 0), pebble.NoSync); err != nil {
			return err
		}
		if err := s.db.DeleteRange(arrivalKey(nil, ls.number, 0), arrivalKey(nil, ls.number, uint64(sec)*1e9), pebble.NoSync); err != nil {
			return err
		}
		ls.expired = sec + 3600 // range tombstones cost; one an hour is enough
		s.unsynced.Store(true)
	}
	return nil
}

// deleteLogs removes all logs of a logstore that is no longer reachable.
func deleteLogs(b *pebble.Batch, number uint32) error {
	if err := b.DeleteRange(dataKey(nil, number, 0, 0), dataKey(nil, number+1, 0, 0), nil); err != nil {
		return err
	}
	return b.DeleteRange(arrivalKey(nil, number, 0), arrivalKey(nil, number+1, 0), nil)
}

// load reads projects and logstores and finds where arrival numbers go on.
func (s *Server) load() error {
	if v, closer, err := s.db.Get([]byte{prefixNext}); err == nil {
		s.nextStore = binary.BigEndian.Uint32(v)
		if err := closer.Close(); err != nil {
			return err
		}
	} else if err != pebble.ErrNotFound {
		return err
	}
	err := s.walk(prefixProject, func(key string, value []byte) error {
		p := &project{logstores: make(map[string]*logstore)}
		s.projects[key] = p
		return json.Unmarshal(value, &p.info)
	})
	if err != nil {
		return err
	}
	return s.walk(prefixStore, func(key string, value []byte) error {
		name, store, _ := strings.Cut(key, "\x00")
		p := s.projects[name]
		if p == nil {
			return fmt.Errorf("logstore %s of unknown project %s", store, name)
		}
		ls, err := restoreLogstore(store, value)
		if err != nil {
			return err
		}
		p.logstores[store] = ls
		last, err := s.lastArrival(ls.number)
		s.seq.Store(max(s.seq.Load(), last))
		return err
	})
}

func (s *Server) walk(prefix byte, f func(key string, value []byte) error) (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return err
	}
	defer func() {
		if cerr := it.Close(); err == nil {
			err = cerr
		}
	}()
	for it.First(); it.Valid(); it.Next() {
		if err := f(string(it.Key()[1:]), it.Value()); err != nil {
			return err
		}
	}
	return it.Error()
}

// lastArrival returns the greatest arrival number of a logstore, 0 if empty.
func (s *Server) lastArrival(number uint32) (last uint64, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: arrivalKey(nil, number, 0), UpperBound: arrivalKey(nil, number+1, 0)})
	if err != nil {
		return 0, err
	}
	if it.Last() {
		last = binary.BigEndian.Uint64(it.Key()[5:])
	}
	return last, it.Close()
}
