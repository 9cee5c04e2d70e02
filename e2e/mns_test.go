package e2e

import (
	"strings"
	"testing"

	ali "github.com/aliyun/aliyun-mns-go-sdk"
)

// mns is the official SDK, with the endpoint of the env file as it is.
func (s *system) mns() ali.MNSClient {
	return ali.NewAliMNSClientWithConfig(ali.AliMNSClientConfig{
		EndPoint: s.env["MNS_ENDPOINT"], AccessKeyId: s.env["RELINK_ACCESS_KEY_ID"], AccessKeySecret: s.env["RELINK_ACCESS_KEY_SECRET"],
	})
}

// receiveMNS receives one message's body, or "" if there is none.
func receiveMNS(q ali.AliMNSQueue) (body, handle string) {
	got, errs := make(chan ali.MessageReceiveResponse, 1), make(chan error, 1)
	q.ReceiveMessage(got, errs)
	select {
	case m := <-got:
		return m.MessageBody, m.ReceiptHandle
	case <-errs:
		return "", ""
	}
}

// Messages that the queue service of localstack acknowledged outlive a kill -9 of it; `relink faults` breaks it, and tells what it counted.
func TestMNSOutlivesAKill(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	c := s.mns()
	if err := ali.NewMNSQueueManager(c).CreateSimpleQueue("q"); err != nil {
		t.Fatal(err)
	}
	if err := ali.NewMNSTopicManager(c).CreateSimpleTopic("t"); err != nil {
		t.Fatal(err)
	}
	q, topic := ali.NewMNSQueue("q", c), ali.NewMNSTopic("t", c)
	if err := topic.Subscribe("s", ali.MessageSubsribeRequest{Endpoint: topic.GenerateQueueEndpoint("q"), NotifyContentFormat: ali.SIMPLIFIED}); err != nil {
		t.Fatal(err)
	}
	s.faults(t, `{"mns":{"throttle":1}}`)
	if _, err := q.SendMessage(ali.MessageSendRequest{MessageBody: "x"}); err == nil || !strings.Contains(err.Error(), "QpsLimitExceeded") {
		t.Errorf("throttled: %v", err)
	}
	s.faults(t, `{}`)
	if _, err := q.SendMessage(ali.MessageSendRequest{MessageBody: "sent"}); err != nil {
		t.Fatal(err)
	}
	if _, err := topic.PublishMessage(ali.MessagePublishRequest{MessageBody: "published"}); err != nil {
		t.Fatal(err)
	}
	_, handle := receiveMNS(q)
	s.kill()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	q = ali.NewMNSQueue("q", s.mns())
	if body, _ := receiveMNS(q); body != "published" {
		t.Errorf("received %q after the restart, want the message that nobody had", body)
	}
	if err := q.DeleteMessage(handle); err != nil {
		t.Errorf("delete by a handle from before the restart: %v", err)
	}
	if stats := s.relink(t, "faults", "stats"); !strings.Contains(stats, "DeleteMessage") {
		t.Errorf("the calls are not counted: %s", stats)
	}
}
