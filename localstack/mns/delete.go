package mns

import (
	"net/http"

	"github.com/cockroachdb/pebble/v2"
)

// deleteMessages deletes the message of a receipt handle in the query, or those of a document.
func (s *Server) deleteMessages(rq *request) error {
	q, err := s.findQueue(rq.name)
	if err != nil {
		return err
	}
	if len(rq.body) == 0 {
		handle := rq.query.Get("ReceiptHandle")
		if handle == "" {
			return fail(MissingReceiptHandle)
		}
		failures, err := s.deleteHandles(q, []string{handle})
		if err == nil {
			err = failures[0]
		}
		if err != nil {
			return err
		}
		rq.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	e, err := parseBody(rq.body, "ReceiptHandles")
	if err != nil {
		return err
	}
	if n := len(e.children); n < 1 || n > maxBatch {
		return outOfRange("ReceiptHandles", 1, maxBatch, "handles")
	}
	handles := make([]string, len(e.children))
	for i, c := range e.children {
		if c.name != "ReceiptHandle" {
			return notValid(c.name)
		}
		handles[i] = c.text
	}
	failures, err := s.deleteHandles(q, handles)
	if err != nil {
		return err
	}
	return answerDeleted(rq, handles, failures)
}

// answerDeleted answers 204, or with 404 what failed.
func answerDeleted(rq *request, handles []string, failures []error) error {
	var d document
	d.open("Errors")
	failed := false
	for i, err := range failures {
		if err == nil {
			continue
		}
		failed = true
		x := asError(err)
		d.open("Error")
		d.leaf("ErrorCode", string(x.Code))
		d.leaf("ErrorMessage", x.Message)
		d.leaf("ReceiptHandle", handles[i])
		d.close("Error")
	}
	d.close("Errors")
	if failed {
		writeBody(rq.w, http.StatusNotFound, d.bytes())
	} else {
		rq.w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

// deleteHandles deletes messages, durably; failures has an entry for each handle.
func (s *Server) deleteHandles(q *queue, handles []string) (failures []error, err error) {
	b := s.db.NewBatch()
	defer b.Close()
	failures, deleted, err := s.deleteLocked(b, q, handles)
	if err != nil || deleted == 0 {
		return failures, err
	}
	s.stats.deleted.Add(int64(deleted))
	return failures, b.SyncWait()
}

func (s *Server) deleteLocked(b *pebble.Batch, q *queue, handles []string) (failures []error, deleted int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	failures = make([]error, len(handles))
	taken := map[uint64]bool{}
	var list []expiring
	for i, handle := range handles {
		r, st, err := s.held(q, handle)
		if err == nil && taken[r.id] {
			err = fail(MessageNotExist)
		}
		if err != nil {
			failures[i] = err
			continue
		}
		taken[r.id] = true
		if err := deleteMessage(b, q.number, r.id, &st); err != nil {
			return nil, 0, err
		}
		list = append(list, expiring{r.id, st})
	}
	if len(list) == 0 {
		return failures, 0, nil
	}
	if err := s.apply(b); err != nil {
		return nil, 0, err
	}
	for i := range list {
		q.count(&list[i].state, -1)
		s.stored.Add(-int64(list[i].size))
	}
	return failures, len(list), nil
}

// held finds the message of a receipt handle, which must hold: the newest of its message, and before the time that it says. q.mu
// is held.
func (s *Server) held(q *queue, handle string) (receipt, state, error) {
	if q.deleted {
		return receipt{}, state{}, fail(QueueNotExist)
	}
	r, ok := parseReceipt(handle)
	if !ok {
		return r, state{}, fail(ReceiptHandleError)
	}
	value, err := s.get(stateKey(q.number, r.id))
	if err != nil {
		return r, state{}, err
	}
	if value == nil {
		return r, state{}, fail(MessageNotExist)
	}
	st, err := decodeState(value)
	if err != nil {
		return r, state{}, err
	}
	now := s.ms()
	switch {
	case st.expired(now, q.info.Retention):
		return r, st, fail(MessageNotExist)
	case st.token != r.token || st.class == active || st.visible <= now:
		return r, st, expired()
	}
	return r, st, nil
}

// changeVisibility sets when a message that is out with a receiver becomes visible, and answers its new receipt handle.
func (s *Server) changeVisibility(rq *request) error {
	q, err := s.findQueue(rq.name)
	if err != nil {
		return err
	}
	handle := rq.query.Get("ReceiptHandle")
	if handle == "" {
		return fail(MissingReceiptHandle)
	}
	if rq.query.Get("VisibilityTimeout") == "" {
		return fail(MissingVisibilityTimeout)
	}
	seconds, err := rq.number("VisibilityTimeout", 1, maxVisibility, "seconds", 0)
	if err != nil {
		return err
	}
	b := s.db.NewBatch()
	defer b.Close()
	r, err := s.moveLocked(b, q, handle, seconds)
	if err != nil {
		return err
	}
	if err := b.SyncWait(); err != nil {
		return err
	}
	var d document
	d.open("ChangeVisibility")
	d.leaf("ReceiptHandle", r.String())
	d.number("NextVisibleTime", r.visible)
	d.close("ChangeVisibility")
	writeBody(rq.w, http.StatusOK, d.bytes())
	return nil
}

func (s *Server) moveLocked(b *pebble.Batch, q *queue, handle string, seconds int64) (receipt, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r, st, err := s.held(q, handle)
	if err != nil {
		return r, err
	}
	if err := b.Delete(waitingKey(q.number, st.visible, r.id), nil); err != nil {
		return r, err
	}
	st.visible, st.token = s.ms()+seconds*1000, newToken()
	if err := b.Set(waitingKey(q.number, st.visible, r.id), nil, nil); err != nil {
		return r, err
	}
	if err := b.Set(stateKey(q.number, r.id), st.encode(), nil); err != nil {
		return r, err
	}
	if err := s.apply(b); err != nil {
		return r, err
	}
	q.putWaiting(st.visible)
	r.visible, r.token = st.visible, st.token
	return r, nil
}
