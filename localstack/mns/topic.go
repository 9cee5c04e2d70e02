package mns

import (
	"fmt"
	"net/http"

	"github.com/cockroachdb/pebble/v2"
)

// Bounds of topics. How many the account may have is not documented.
const (
	maxTopics        = 10_000
	maxSubscriptions = 100   // of one topic, "Limits"
	topicRetention   = 86400 // seconds, "TopicMeta"; it may not be set
)

// A topicInfo is what is stored of a topic. Times are seconds.
type topicInfo struct {
	Number   uint32 `json:"number"`
	MaxSize  int64  `json:"maxSize"`
	Logging  bool   `json:"logging"`
	Created  int64  `json:"created"`
	Modified int64  `json:"modified"`
}

// A topic and its subscriptions are guarded by Server.mu.
type topic struct {
	name  string
	info  topicInfo
	lanes map[string]*lane // by the subscription's name
}

func topicKey(name string) []byte { return append([]byte{prefixTopic}, name...) }

func (i *topicInfo) read(e *element) error {
	if err := e.only("MaximumMessageSize", "LoggingEnabled"); err != nil {
		return err
	}
	if err := e.number("MaximumMessageSize", 1024, maxMessageSize, "bytes", &i.MaxSize); err != nil {
		return err
	}
	return e.boolean("LoggingEnabled", &i.Logging)
}

// putTopic creates a topic, or with metaoverride changes one.
func (s *Server) putTopic(rq *request) error {
	if err := checkName(rq.name, TopicNameLengthError, TopicNameInvalid); err != nil {
		return err
	}
	override, err := rq.flag("metaoverride")
	if err != nil {
		return err
	}
	e, err := parseBody(rq.body, "Topic")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[rq.name]
	if override {
		if t == nil {
			return fail(TopicNotExist)
		}
		info := t.info
		if err := info.read(e); err != nil {
			return err
		}
		info.Modified = s.ms() / 1000
		if err := s.storeTopic(s.db.NewBatch(), rq.name, info); err != nil {
			return err
		}
		t.info = info
		rq.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	now := s.ms() / 1000
	info := topicInfo{MaxSize: maxMessageSize, Created: now, Modified: now}
	if err := info.read(e); err != nil {
		return err
	}
	rq.w.Header().Set("Location", rq.base+"/topics/"+rq.name)
	if t != nil {
		if t.info.MaxSize != info.MaxSize || t.info.Logging != info.Logging {
			return fail(TopicAlreadyExist)
		}
		rq.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if len(s.topics) >= maxTopics {
		return fail(TopicNumExceededLimit, fmt.Sprint(maxTopics))
	}
	b := s.db.NewBatch()
	if info.Number, err = s.takeNumber(b); err != nil {
		b.Close()
		return err
	}
	if err := s.storeTopic(b, rq.name, info); err != nil {
		return err
	}
	s.topics[rq.name] = &topic{name: rq.name, info: info, lanes: map[string]*lane{}}
	rq.w.WriteHeader(http.StatusCreated)
	return nil
}

// storeTopic adds a topic to b, commits it and closes it.
func (s *Server) storeTopic(b *pebble.Batch, name string, info topicInfo) error {
	defer b.Close()
	if err := setJSON(b, topicKey(name), info); err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

func (s *Server) getTopic(rq *request) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.topics[rq.name]
	if t == nil {
		return fail(TopicNotExist)
	}
	var d document
	t.describe(&d)
	writeBody(rq.w, http.StatusOK, d.bytes())
	return nil
}

// describe writes a topic's attributes. MessageCount is of the notifications that have not been taken.
func (t *topic) describe(d *document) {
	count := int64(0)
	for _, l := range t.lanes {
		count += l.count()
	}
	d.open("Topic")
	d.leaf("TopicName", t.name)
	d.number("CreateTime", t.info.Created)
	d.number("LastModifyTime", t.info.Modified)
	d.number("MaximumMessageSize", t.info.MaxSize)
	d.number("MessageRetentionPeriod", topicRetention)
	d.number("MessageCount", count)
	d.boolean("LoggingEnabled", t.info.Logging)
	d.close("Topic")
}

// deleteTopic deletes a topic, its subscriptions, and the notifications that wait for their subscribers.
func (s *Server) deleteTopic(rq *request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[rq.name]
	if t == nil {
		return fail(TopicNotExist)
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := b.Delete(topicKey(rq.name), nil); err != nil {
		return err
	}
	lanes := t.sorted()
	for _, l := range lanes {
		if err := l.deleteFrom(b); err != nil {
			return err
		}
	}
	defer lockLanes(lanes)()
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	for _, l := range lanes {
		s.dropLane(l)
	}
	delete(s.topics, rq.name)
	rq.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) listTopics(rq *request) error {
	p, err := rq.paging()
	if err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	names, next := page(s.topics, p)
	var d document
	d.open("Topics")
	for _, name := range names {
		if p.meta {
			s.topics[name].describe(&d)
			continue
		}
		d.open("Topic")
		d.leaf("TopicURL", rq.base+"/topics/"+name)
		d.close("Topic")
	}
	if next != "" {
		d.leaf("NextMarker", next)
	}
	d.close("Topics")
	writeBody(rq.w, http.StatusOK, d.bytes())
	return nil
}
