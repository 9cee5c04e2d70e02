package mns_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"time"

	ali "github.com/aliyun/aliyun-mns-go-sdk"

	"relink/localstack/mns"
)

// newTopic creates a topic.
func newTopic(t testing.TB, c ali.MNSClient, name string) ali.AliMNSTopic {
	t.Helper()
	if err := ali.NewMNSTopicManager(c).CreateSimpleTopic(name); err != nil {
		t.Fatal(err)
	}
	return ali.NewMNSTopic(name, c, 1_000_000)
}

func subscribe(t testing.TB, topic ali.AliMNSTopic, name string, r ali.MessageSubsribeRequest) {
	t.Helper()
	if err := topic.Subscribe(name, r); err != nil {
		t.Fatal(err)
	}
}

func publish(t testing.TB, topic ali.AliMNSTopic, body, tag string) ali.MessageSendResponse {
	t.Helper()
	r, err := topic.PublishMessage(ali.MessagePublishRequest{MessageBody: body, MessageTag: tag})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTopicAttributes(t *testing.T) {
	t.Parallel()
	_, endpoint := start(t, mns.Options{})
	c := client(endpoint)
	m := ali.NewMNSTopicManager(c)
	if err := m.CreateTopic("t", 2048, true); err != nil {
		t.Fatal(err)
	}
	a, err := m.GetTopicAttributes("t")
	if err != nil || a.TopicName != "t" || a.MaxMessageSize != 2048 || !a.LoggingEnabled || a.MessageRetentionPeriod != 86400 || time.Since(time.Unix(a.CreateTime, 0)) > time.Minute {
		t.Errorf("%+v, %v", a, err)
	}
	if err := m.CreateTopic("t", 2048, true); err == nil || !strings.Contains(err.Error(), "the attribute is the same") {
		t.Errorf("same attributes again: %v", err)
	}
	wantCode(t, m.CreateTopic("t", 4096, true), "TopicAlreadyExist")
	if err := m.SetTopicAttributes("t", 4096, false); err != nil {
		t.Error(err)
	}
	if a, err := m.GetTopicAttributes("t"); err != nil || a.MaxMessageSize != 4096 || a.LoggingEnabled {
		t.Errorf("%+v, %v", a, err)
	}
	wantCode(t, m.CreateSimpleTopic("1t"), "TopicNameInvalid")
	wantCode(t, m.CreateTopic("u", 1, false), "InvalidArgument")
	for i := range 4 {
		newTopic(t, c, fmt.Sprintf("list-%d", i))
	}
	p, err := m.ListTopic("", 3, "list-")
	if err != nil || len(p.Topics) != 3 || p.NextMarker == "" || !strings.HasSuffix(p.Topics[2].TopicURL, "/topics/list-2") {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err = m.ListTopic(p.NextMarker, 3, "list-"); err != nil || len(p.Topics) != 1 || p.NextMarker != "" {
		t.Errorf("%+v, %v", p, err)
	}
	if d, err := m.ListTopicDetail("", 0, "t"); err != nil || len(d.Attrs) != 1 || d.Attrs[0].MaxMessageSize != 4096 {
		t.Errorf("%+v, %v", d, err)
	}
	if err := m.DeleteTopic("t"); err != nil {
		t.Error(err)
	}
	wantCode(t, m.DeleteTopic("t"), "TopicNotExist")
	_, err = m.GetTopicAttributes("t")
	wantCode(t, err, "TopicNotExist")
	wantCode(t, m.SetTopicAttributes("t", 4096, false), "TopicNotExist")
	_, err = ali.NewMNSTopic("t", c).PublishMessage(ali.MessagePublishRequest{MessageBody: "x"})
	wantCode(t, err, "TopicNotExist")
	if _, err := ali.NewAccountManager(c).OpenService(); err != nil {
		t.Error(err)
	}
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	_, endpoint := start(t, mns.Options{})
	c := client(endpoint)
	topic := newTopic(t, c, "t")
	r := ali.MessageSubsribeRequest{Endpoint: topic.GenerateQueueEndpoint("q"), FilterTag: "red", NotifyStrategy: ali.EXPONENTIAL_DECAY_RETRY, NotifyContentFormat: ali.SIMPLIFIED}
	subscribe(t, topic, "s", r)
	a, err := topic.GetSubscriptionAttributes("s")
	if err != nil || a.SubscriptionName != "s" || a.TopicName != "t" || a.TopicOwner != mns.DefaultAccountID || a.Endpoint != r.Endpoint || a.FilterTag != "red" ||
		a.NotifyStrategy != ali.EXPONENTIAL_DECAY_RETRY || a.NotifyContentFormat != ali.SIMPLIFIED {
		t.Errorf("%+v, %v", a, err)
	}
	if err := topic.Subscribe("s", r); err == nil || !strings.Contains(err.Error(), "the attribute is the same") {
		t.Errorf("same attributes again: %v", err)
	}
	r.FilterTag = "blue"
	wantCode(t, topic.Subscribe("s", r), "SubscriptionAlreadyExist")
	if err := topic.SetSubscriptionAttributes("s", ali.BACKOFF_RETRY); err != nil {
		t.Error(err)
	}
	if a, err = topic.GetSubscriptionAttributes("s"); err != nil || a.NotifyStrategy != ali.BACKOFF_RETRY || a.FilterTag != "red" {
		t.Errorf("%+v, %v", a, err)
	}
	for _, bad := range []ali.MessageSubsribeRequest{
		{Endpoint: ""}, {Endpoint: "q"}, {Endpoint: "ftp://x/y"}, {Endpoint: "http://"}, {Endpoint: "http://u:p@x/"}, {Endpoint: "acs:mns:r:a:queues/1q"}, {Endpoint: "acs:mns:r:a:topics/q"},
		{Endpoint: "acs:mns:r:2000000000000000:queues/q"}, {Endpoint: topic.GenerateMailEndpoint("a@example.com")}, {Endpoint: "http://x/" + strings.Repeat("y", 1024)},
	} {
		wantCode(t, topic.Subscribe("bad", bad), "EndpointInvalid")
	}
	wantCode(t, topic.Subscribe("bad", ali.MessageSubsribeRequest{Endpoint: r.Endpoint, FilterTag: strings.Repeat("x", 17)}), "InvalidArgument")
	wantCode(t, topic.Subscribe("bad", ali.MessageSubsribeRequest{Endpoint: r.Endpoint, NotifyStrategy: "SOMETIMES"}), "InvalidArgument")
	wantCode(t, topic.Subscribe("-bad", r), "SubsriptionNameInvalid")
	wantCode(t, ali.NewMNSTopic("none", c).Subscribe("s", r), "TopicNotExist")
	for i := range 4 {
		subscribe(t, topic, fmt.Sprintf("x%d", i), r)
	}
	p, err := topic.ListSubscriptionByTopic("", 3, "x")
	if err != nil || len(p.Subscriptions) != 3 || !strings.HasSuffix(p.Subscriptions[0].SubscriptionURL, "/topics/t/subscriptions/x0") {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err = topic.ListSubscriptionByTopic(p.NextMarker, 3, "x"); err != nil || len(p.Subscriptions) != 1 || p.NextMarker != "" {
		t.Errorf("%+v, %v", p, err)
	}
	if d, err := topic.ListSubscriptionDetailByTopic("", 0, ""); err != nil || len(d.Attrs) != 5 || d.Attrs[0].SubscriptionName != "s" {
		t.Errorf("%+v, %v", d, err)
	}
	if err := topic.Unsubscribe("s"); err != nil {
		t.Error(err)
	}
	wantCode(t, topic.Unsubscribe("s"), "SubscriberNotExist")
	_, err = topic.GetSubscriptionAttributes("s")
	wantCode(t, err, "SubscriberNotExist")
	wantCode(t, topic.SetSubscriptionAttributes("s", ali.BACKOFF_RETRY), "SubscriberNotExist")
}

func TestPublishToQueues(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s, endpoint := start(t, mns.Options{Clock: clk.Now})
	c := client(endpoint)
	topic := newTopic(t, c, "t")
	queues := map[string]ali.AliMNSQueue{}
	for name, format := range map[string]ali.NotifyContentFormatType{"xml": ali.XML, "json": "JSON", "plain": ali.SIMPLIFIED} {
		queues[name] = newQueue(t, c, name)
		subscribe(t, topic, name, ali.MessageSubsribeRequest{Endpoint: topic.GenerateQueueEndpoint(name), NotifyContentFormat: format})
	}
	subscribe(t, topic, "red", ali.MessageSubsribeRequest{Endpoint: topic.GenerateQueueEndpoint("red"), NotifyContentFormat: ali.SIMPLIFIED, FilterTag: "red"})
	const body = `{"a":"<1>"}`
	sent := publish(t, topic, body, "red")
	publish(t, topic, "plain", "")

	var x struct {
		TopicOwner, TopicName, Subscriber, SubscriptionName, MessageId, Message, MessageMD5, MessageTag string
		PublishTime                                                                                     json.Number
	}
	check := func(format string) {
		t.Helper()
		if x.TopicOwner != mns.DefaultAccountID || x.TopicName != "t" || x.SubscriptionName != format || x.MessageId != sent.MessageId || x.Message != body || x.MessageMD5 != sent.MessageBodyMD5 ||
			x.MessageTag != "red" || x.PublishTime.String() != fmt.Sprint(clk.Now().UnixMilli()) {
			t.Errorf("%s: %+v", format, x)
		}
	}
	m, err := receive(queues["xml"])
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal([]byte(m.MessageBody), &x); err != nil {
		t.Errorf("%s: %v", m.MessageBody, err)
	}
	check("xml")
	if m, err = receive(queues["json"]); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(m.MessageBody), &x); err != nil {
		t.Errorf("%s: %v", m.MessageBody, err)
	}
	check("json")
	mustReceive(t, queues["plain"], body)
	mustReceive(t, queues["plain"], "plain")

	// The queue of "red" comes into being while the notification waits for another attempt.
	eventually(t, "the first attempt has failed", func() bool { return s.Stats().PushFails == 1 })
	red := newQueue(t, c, "red")
	eventually(t, "the notification arrives", func() bool {
		clk.add(time.Second)
		_, err := peek(red)
		return err == nil
	})
	mustReceive(t, red, body)
	if _, err = receive(red); err == nil {
		t.Error("a message without the tag arrived")
	}
	_, err = topic.PublishMessage(ali.MessagePublishRequest{MessageBody: ""})
	wantCode(t, err, "InvalidArgument")
	_, err = topic.PublishMessage(ali.MessagePublishRequest{MessageBody: strings.Repeat("x", 65537)})
	wantCode(t, err, "InvalidArgument")
	_, err = topic.PublishMessage(ali.MessagePublishRequest{MessageBody: "x", MessageTag: strings.Repeat("x", 17)})
	wantCode(t, err, "InvalidArgument")
	_, err = topic.PublishMessage(ali.MessagePublishRequest{MessageBody: "x", MessageAttributes: &ali.MessageAttributes{MailAttributes: &ali.MailAttributes{Subject: "s"}}})
	if err != nil {
		t.Errorf("with attributes for mail: %v", err)
	}
}
