package mns

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	maxPushes   = 128             // under way at once, in all
	pushTimeout = 5 * time.Second // "How long does a push request time out"
	defaultPath = "/notifications"
)

// newPusher makes the client for subscribers: what an endpoint answers sends nobody anywhere else, and no proxy of the
// environment sees a message.
func newPusher() *http.Client {
	return &http.Client{
		Timeout:       pushTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: pushTimeout}).DialContext,
			MaxIdleConns:        maxPushes,
			MaxIdleConnsPerHost: 2,
			IdleConnTimeout:     30 * time.Second,
			DisableCompression:  true,
		},
	}
}

// push starts what is due, as far as there is room. A goroutine belongs to one attempt, not to a waiting notification.
func (s *Server) push() {
	if s.pending.Load() == s.pushing.Load() {
		return
	}
	s.mu.RLock()
	var lanes []*lane
	for _, t := range s.topics {
		for _, l := range t.lanes {
			lanes = append(lanes, l)
		}
	}
	s.mu.RUnlock()
	// Maps are walked in random order, so that none is always the last to get a place.
	for _, l := range lanes {
		room := maxPushes - int(s.pushing.Load())
		if room <= 0 {
			return
		}
		list, err := s.takeTasks(l, room)
		if err != nil {
			s.log.Error("read notifications", "topic", l.topic, "subscription", l.name, "error", err)
			continue
		}
		s.pushing.Add(int64(len(list)))
		for _, t := range list {
			s.workers.Go(func() {
				defer s.kickPusher()
				defer s.pushing.Add(-1)
				if err := s.attempt(l, t); err != nil {
					s.log.Error("keep notification", "topic", l.topic, "subscription", l.name, "error", err)
				}
			})
		}
	}
}

// attempt delivers one notification once, and stores what becomes of it.
func (s *Server) attempt(l *lane, t task) error {
	payload, err := s.get(numbered(prefixPayload, l.number, t.id))
	if err != nil {
		return err
	}
	if payload == nil { // the subscription has been deleted
		return s.finishTask(l, t, 0, nil)
	}
	var n notification
	if err := json.Unmarshal(payload, &n); err != nil {
		return fmt.Errorf("damaged notification: %w", err)
	}
	info := l.snapshot()
	if name := info.queue(); name != "" {
		err = s.deliverToQueue(l, name, info.Format, n)
	} else {
		err = s.post(l, &info, n)
	}
	if s.stop.Err() != nil && err != nil {
		return nil // the server closes: it is due again when it is back
	}
	if err == nil {
		defer s.stats.pushed.Add(1) // counted once it is stored
		return s.finishTask(l, t, len(payload), nil)
	}
	defer s.stats.pushFails.Add(1)
	again := task{id: t.id, attempts: t.attempts + 1}
	wait, more := retryAfter(info.Strategy, int(again.attempts))
	s.log.Info("notification failed", "topic", l.topic, "subscription", l.name, "message_id", n.ID, "endpoint", info.shown(), "attempt", again.attempts, "error", err.Error(), "again", more)
	if !more {
		defer s.stats.dropped.Add(1)
		s.log.Warn("notification given up", "topic", l.topic, "subscription", l.name, "message_id", n.ID, "endpoint", info.shown(), "error", err.Error())
		return s.finishTask(l, t, len(payload), nil)
	}
	again.due = s.ms() + wait.Milliseconds()
	return s.finishTask(l, t, len(payload), &again)
}

// retryAfter tells how long to wait after a number of failures, and whether there is another attempt at all, "NotifyStrategy":
// 3 after 10 to 20 s each, or 176 after 1, 2, 4, … 512 s and then 512 s each.
func retryAfter(strategy string, failures int) (time.Duration, bool) {
	if strategy == exponentialDecayRetry {
		return time.Second << min(failures-1, 9), failures <= 176
	}
	return 10*time.Second + rand.N(10*time.Second), failures <= 3
}

func (s *Server) deliverToQueue(l *lane, name, format string, n notification) error {
	q, err := s.findQueue(name)
	if err != nil {
		return err
	}
	return s.send(q, []outgoing{{body: s.format(l, format, n), state: state{priority: defaultPriority}}}, []int64{0})
}

// post pushes a notification to an HTTP endpoint, "HttpEndpoint". Any status but 2xx, a redirect too, is a failure.
func (s *Server) post(l *lane, info *subscriptionInfo, n notification) error {
	u, err := url.Parse(info.Endpoint)
	if err != nil {
		return err
	}
	if u.Path == "" || u.Path == "/" && u.RawQuery == "" {
		u.Path = defaultPath
	}
	body := s.format(l, info.Format, n)
	ctx, cancel := context.WithTimeout(s.stop, pushTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	if err := s.sign(r, l, info, n, body); err != nil {
		return err
	}
	resp, err := s.pusher.Do(r)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // without the address, which may carry a secret of the subscriber
		}
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again; what it says does not count
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// sign sets the headers of a notification. Those of its own are in lower case, as the service sends them: subscribers look for
// them that way.
func (s *Server) sign(r *http.Request, l *lane, info *subscriptionInfo, n notification, body []byte) error {
	signer, err := s.signerOf()
	if err != nil {
		return err
	}
	address := s.url
	if address == "" {
		address = info.Address
	}
	set := func(name, value string) { r.Header[name] = []string{value} }
	set("x-mns-request-id", requestID())
	set("x-mns-version", version)
	set("x-mns-signing-cert-url", base64.StdEncoding.EncodeToString([]byte(address+certificatePath)))
	if info.Format == formatSimplified { // the body says none of it
		set("x-mns-message-id", n.ID)
		if n.Tag != "" {
			set("x-mns-message-tag", n.Tag)
		}
		set("x-mns-topic-owner", s.account)
		set("x-mns-topic-name", l.topic)
		set("x-mns-subscriber", s.account)
		set("x-mns-subscription-name", l.name)
		set("x-mns-publish-time", strconv.FormatInt(n.Published, 10))
	}
	sum := md5.Sum(body)
	date := s.clock().UTC().Format(http.TimeFormat)
	r.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%x", sum)))
	r.Header.Set("Content-Type", contentTypes[info.Format])
	r.Header.Set("Date", date)
	r.Header.Set("User-Agent", "Aliyun Notification Service Agent")
	signature, err := signer.sign(stringToSign(r.Method, r.Header, date, r.URL.RequestURI()))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", signature)
	return nil
}
