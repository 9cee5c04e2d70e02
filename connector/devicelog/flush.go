package devicelog

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	sls "github.com/aliyun/aliyun-log-go-sdk"

	"relink/shared/logs"
)

// flush owns the connection to the service until Close, or until it is aborted.
func (w *Writer) flush() {
	defer close(w.finished)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-w.wake:
		case <-w.stop:
			w.writeAll()
			return
		}
		timer.Reset(flushEvery)
		select {
		case <-timer.C:
		case <-w.full:
		case <-w.stop:
		}
		w.writeAll()
	}
}

// writeAll writes what waits, and goes on while that is enough for a request of its own.
func (w *Writer) writeAll() {
	for {
		w.mu.Lock()
		failures, successes := w.failures, w.successes
		w.failures, w.successes = w.spare[0], w.spare[1]
		w.spare = [2][]Entry{}
		w.mu.Unlock()

		w.writeRows(failures)
		w.writeRows(successes)
		clear(failures)
		clear(successes)

		w.mu.Lock()
		w.spare = [2][]Entry{failures[:0], successes[:0]}
		waiting := len(w.failures) + len(w.successes)
		last := waiting == 0 || waiting < groupRows && !w.closed // the first of them has set wake
		w.mu.Unlock()
		if last {
			return
		}
	}
}

// writeRows writes rows in requests of bounded size.
func (w *Writer) writeRows(rows []Entry) {
	for len(rows) > 0 {
		group, n := w.encode(rows)
		w.put(group, n)
		rows = rows[n:]
	}
}

// put sends one request, again and again while that can help and for a bounded time.
func (w *Writer) put(group *sls.LogGroup, n int) {
	w.counts.requests.Add(1)
	pause := flushEvery
	for begin := time.Now(); ; {
		err := w.client.PutLogs(w.project, w.logstore, group)
		if err == nil {
			w.counts.written.Add(uint64(n))
			return
		}
		if !retryable(err) || time.Since(begin)+pause > retryFor || w.hard.Err() != nil {
			w.counts.lost.Add(uint64(n))
			w.log.Error("device log rows lost", slog.Int("rows", n), logs.Err(err))
			return
		}
		w.counts.retries.Add(1)
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-w.hard.Done():
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// retryable reports whether the same rows may be taken later. Rows whose answer was lost are written twice then: a log may.
func retryable(err error) bool {
	status, code := 0, ""
	if e, ok := errors.AsType[*sls.Error](err); ok {
		status, code = int(e.HTTPCode), e.Code
	} else if e, ok := errors.AsType[*sls.BadResponseError](err); ok {
		status = e.HTTPCode
	}
	switch {
	case status <= 0: // no answer
		return true
	case code == "WriteQuotaExceed" || code == "ShardWriteQuotaExceed":
		return true
	case status == http.StatusNotFound: // a logstore that is being made
		return true
	}
	return status == http.StatusTooManyRequests || status >= 500
}
