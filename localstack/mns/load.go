package mns

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
)

// load reads the catalogue and counts the messages.
func (s *Server) load() error {
	next, err := s.get([]byte{prefixNext})
	if err != nil {
		return err
	}
	s.nextNumber = 1
	if next != nil {
		s.nextNumber = binary.BigEndian.Uint32(next)
	}
	byNumber := map[uint32]*queue{}
	err = s.scan([]byte{prefixQueue}, []byte{prefixQueue + 1}, func(key, value []byte) (bool, error) {
		q := &queue{name: string(key[1:]), due: -1}
		if err := json.Unmarshal(value, &q.info); err != nil {
			return false, fmt.Errorf("queue %s: %w", q.name, err)
		}
		q.number = q.info.Number
		s.queues[q.name], byNumber[q.number] = q, q
		return true, nil
	})
	if err != nil {
		return err
	}
	if err := s.loadTopics(); err != nil {
		return err
	}
	return s.scan([]byte{prefixState}, []byte{prefixState + 1}, func(key, value []byte) (bool, error) {
		st, err := decodeState(value)
		if err != nil || len(key) != 13 {
			return false, fmt.Errorf("message %x: %w", key, err)
		}
		q := byNumber[binary.BigEndian.Uint32(key[1:])]
		if q == nil {
			return false, fmt.Errorf("message %x of an unknown queue", key)
		}
		q.count(&st, 1)
		s.stored.Add(int64(st.size))
		s.lastID.Store(max(s.lastID.Load(), binary.BigEndian.Uint64(key[5:])))
		return true, nil
	})
}

func (s *Server) loadTopics() error {
	err := s.scan([]byte{prefixTopic}, []byte{prefixTopic + 1}, func(key, value []byte) (bool, error) {
		t := &topic{name: string(key[1:]), lanes: map[string]*lane{}}
		if err := json.Unmarshal(value, &t.info); err != nil {
			return false, fmt.Errorf("topic %s: %w", t.name, err)
		}
		s.topics[t.name] = t
		return true, nil
	})
	if err != nil {
		return err
	}
	byNumber := map[uint32]*lane{}
	err = s.scan([]byte{prefixSubscription}, []byte{prefixSubscription + 1}, func(key, value []byte) (bool, error) {
		name, subscription, _ := strings.Cut(string(key[1:]), "\x00")
		t := s.topics[name]
		if t == nil {
			return false, fmt.Errorf("subscription %s of unknown topic %s", subscription, name)
		}
		var info subscriptionInfo
		if err := json.Unmarshal(value, &info); err != nil {
			return false, fmt.Errorf("subscription %s of topic %s: %w", subscription, name, err)
		}
		l := newLane(name, subscription, info)
		t.lanes[subscription], byNumber[info.Number] = l, l
		return true, nil
	})
	if err != nil {
		return err
	}
	err = s.scan([]byte{prefixPush}, []byte{prefixPush + 1}, func(key, _ []byte) (bool, error) {
		l := byNumber[binary.BigEndian.Uint32(key[1:])]
		if l == nil || len(key) != 21 {
			return false, fmt.Errorf("notification %x of an unknown subscription", key)
		}
		l.pending++
		s.pending.Add(1)
		s.lastID.Store(max(s.lastID.Load(), binary.BigEndian.Uint64(key[13:])))
		return true, nil
	})
	if err != nil {
		return err
	}
	return s.scan([]byte{prefixPayload}, []byte{prefixPayload + 1}, func(key, value []byte) (bool, error) {
		if l := byNumber[binary.BigEndian.Uint32(key[1:])]; l != nil {
			l.bytes += int64(len(value))
			s.stored.Add(int64(len(value)))
		}
		return true, nil
	})
}
