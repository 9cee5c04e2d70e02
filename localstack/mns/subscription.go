package mns

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// Values of NotifyStrategy and NotifyContentFormat.
const (
	backoffRetry          = "BACKOFF_RETRY"
	exponentialDecayRetry = "EXPONENTIAL_DECAY_RETRY"

	formatXML        = "XML"
	formatJSON       = "JSON"
	formatSimplified = "SIMPLIFIED"
)

const (
	maxTag      = 16 // characters, "Subscription"
	maxEndpoint = 1024
)

// A subscriptionInfo is what is stored of a subscription. Times are seconds.
type subscriptionInfo struct {
	Number uint32 `json:"number"`
	subscriptionAttributes
	Created  int64 `json:"created"`
	Modified int64 `json:"modified"`
	// Address is where Subscribe was sent to, http://host: it has the certificate too.
	Address string `json:"address"`
}

type subscriptionAttributes struct {
	Endpoint  string `json:"endpoint"` // http://… or acs:mns:REGION:ACCOUNT:queues/NAME
	FilterTag string `json:"filterTag"`
	Strategy  string `json:"strategy"`
	Format    string `json:"format"`
}

func subscriptionKey(topic, name string) []byte {
	return append([]byte{prefixSubscription}, topic+"\x00"+name...)
}

// queue is the name of the queue that the endpoint means, or "".
func (a *subscriptionAttributes) queue() string {
	parts := strings.Split(a.Endpoint, ":")
	if len(parts) != 5 || parts[0] != "acs" || parts[1] != "mns" {
		return ""
	}
	name, ok := strings.CutPrefix(strings.TrimPrefix(parts[4], "/"), "queues/")
	if !ok {
		return ""
	}
	return name
}

// shown is the endpoint as logs may show it: paths and queries carry secrets of subscribers.
func (a *subscriptionAttributes) shown() string {
	if u, err := url.Parse(a.Endpoint); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host
	}
	return a.Endpoint
}

// checkEndpoint refuses what nothing can be sent to. The region and the account of a queue are whatever the SDK made of its
// endpoint, so only another account's is refused.
func (s *Server) checkEndpoint(a *subscriptionAttributes) error {
	if a.Endpoint == "" || len(a.Endpoint) > maxEndpoint {
		return fail(EndpointInvalid, "it must have 1 to 1024 characters")
	}
	if name := a.queue(); name != "" {
		if account := strings.Split(a.Endpoint, ":")[3]; isAccount(account) && account != s.account {
			return fail(EndpointInvalid, "the queue is another account's")
		}
		return checkName(name, EndpointInvalid, EndpointInvalid)
	}
	if strings.HasPrefix(a.Endpoint, "mail:") || strings.HasPrefix(a.Endpoint, "sms:") {
		return fail(EndpointInvalid, "the emulator sends no mail and no short messages")
	}
	u, err := url.Parse(a.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return fail(EndpointInvalid, "it is neither an HTTP address nor a queue")
	}
	return nil
}

// putSubscription subscribes, or with metaoverride changes the strategy.
func (s *Server) putSubscription(rq *request) error {
	if err := checkName(rq.subscription, SubscriptionNameLengthError, SubscriptionNameInvalid); err != nil {
		return err
	}
	override, err := rq.flag("metaoverride")
	if err != nil {
		return err
	}
	e, err := parseBody(rq.body, "Subscription")
	if err != nil {
		return err
	}
	if override {
		return s.setSubscription(rq, e)
	}
	a, err := s.readSubscription(e)
	if err != nil {
		return err
	}
	if a.queue() == "" {
		if _, err := s.signerOf(); err != nil { // made here, where it may take its time
			return err
		}
	}
	created, err := s.subscribe(rq, a)
	if err != nil {
		return err
	}
	rq.w.Header().Set("Location", rq.base+"/topics/"+rq.name+"/subscriptions/"+rq.subscription)
	if created {
		rq.w.WriteHeader(http.StatusCreated)
	} else {
		rq.w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

func (s *Server) readSubscription(e *element) (a subscriptionAttributes, err error) {
	if err := e.only("Endpoint", "FilterTag", "NotifyStrategy", "NotifyContentFormat"); err != nil {
		return a, err
	}
	endpoint, _ := e.child("Endpoint")
	a.Endpoint = strings.TrimSpace(endpoint)
	a.FilterTag, _ = e.child("FilterTag")
	if len([]rune(a.FilterTag)) > maxTag {
		return a, outOfRange("FilterTag", 0, maxTag, "characters")
	}
	if a.Strategy, err = oneOf(e, "NotifyStrategy", backoffRetry, exponentialDecayRetry); err != nil {
		return a, err
	}
	if a.Format, err = oneOf(e, "NotifyContentFormat", formatXML, formatJSON, formatSimplified); err != nil {
		return a, err
	}
	return a, s.checkEndpoint(&a)
}

// oneOf reads a child that is one of the values; the first is the default.
func oneOf(e *element, name string, values ...string) (string, error) {
	text, _ := e.child(name)
	text = strings.TrimSpace(text)
	if text == "" {
		return values[0], nil
	}
	for _, v := range values {
		if text == v {
			return v, nil
		}
	}
	return "", notValid(name)
}

func (s *Server) subscribe(rq *request, a subscriptionAttributes) (created bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[rq.name]
	if t == nil {
		return false, fail(TopicNotExist)
	}
	if l := t.lanes[rq.subscription]; l != nil {
		if l.attributes() != a {
			return false, fail(SubscriptionAlreadyExist)
		}
		return false, nil
	}
	if len(t.lanes) >= maxSubscriptions {
		return false, fail(SubscriptionNumExceeded, fmt.Sprint(maxSubscriptions))
	}
	b := s.db.NewBatch()
	defer b.Close()
	now := s.ms() / 1000
	info := subscriptionInfo{subscriptionAttributes: a, Created: now, Modified: now, Address: "http://" + rq.r.Host}
	if info.Number, err = s.takeNumber(b); err != nil {
		return false, err
	}
	if err := setJSON(b, subscriptionKey(rq.name, rq.subscription), info); err != nil {
		return false, err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return false, err
	}
	t.lanes[rq.subscription] = newLane(rq.name, rq.subscription, info)
	return true, nil
}

func (s *Server) setSubscription(rq *request, e *element) error {
	if err := e.only("NotifyStrategy"); err != nil {
		return err
	}
	strategy, err := oneOf(e, "NotifyStrategy", backoffRetry, exponentialDecayRetry)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.findLane(rq.name, rq.subscription)
	if err != nil {
		return err
	}
	info := l.snapshot()
	if _, given := e.child("NotifyStrategy"); given {
		info.Strategy = strategy
	}
	info.Modified = s.ms() / 1000
	b := s.db.NewBatch()
	defer b.Close()
	if err := setJSON(b, subscriptionKey(rq.name, rq.subscription), info); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	l.mu.Lock()
	l.info = info
	l.mu.Unlock()
	rq.w.WriteHeader(http.StatusNoContent)
	return nil
}

// findLane finds a subscription. s.mu is held.
func (s *Server) findLane(topic, name string) (*lane, error) {
	t := s.topics[topic]
	if t == nil {
		return nil, fail(TopicNotExist)
	}
	if l := t.lanes[name]; l != nil {
		return l, nil
	}
	return nil, fail(SubscriberNotExist)
}

func (s *Server) getSubscription(rq *request) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	l, err := s.findLane(rq.name, rq.subscription)
	if err != nil {
		return err
	}
	var d document
	s.describeSubscription(&d, l)
	writeBody(rq.w, http.StatusOK, d.bytes())
	return nil
}

func (s *Server) describeSubscription(d *document, l *lane) {
	info := l.snapshot()
	d.open("Subscription")
	d.leaf("SubscriptionName", l.name)
	d.leaf("Subscriber", s.account)
	d.leaf("TopicOwner", s.account)
	d.leaf("TopicName", l.topic)
	d.leaf("Endpoint", info.Endpoint)
	d.leaf("NotifyStrategy", info.Strategy)
	d.leaf("NotifyContentFormat", info.Format)
	d.leaf("FilterTag", info.FilterTag)
	d.number("CreateTime", info.Created)
	d.number("LastModifyTime", info.Modified)
	d.close("Subscription")
}

// unsubscribe deletes a subscription and the notifications that wait for its subscriber.
func (s *Server) unsubscribe(rq *request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.findLane(rq.name, rq.subscription)
	if err != nil {
		return err
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := l.deleteFrom(b); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	s.dropLane(l)
	delete(s.topics[rq.name].lanes, rq.subscription)
	rq.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) listSubscriptions(rq *request) error {
	p, err := rq.paging()
	if err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.topics[rq.name]
	if t == nil {
		return fail(TopicNotExist)
	}
	names, next := page(t.lanes, p)
	var d document
	d.open("Subscriptions")
	for _, name := range names {
		if p.meta {
			s.describeSubscription(&d, t.lanes[name])
			continue
		}
		d.open("Subscription")
		d.leaf("SubscriptionURL", rq.base+"/topics/"+rq.name+"/subscriptions/"+name)
		d.close("Subscription")
	}
	if next != "" {
		d.leaf("NextMarker", next)
	}
	d.close("Subscriptions")
	writeBody(rq.w, http.StatusOK, d.bytes())
	return nil
}
