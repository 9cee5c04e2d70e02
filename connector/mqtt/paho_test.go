package mqtt_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	paho3 "github.com/eclipse/paho.mqtt.golang"
)

func TestPaho3(t *testing.T) {
	t.Parallel()
	n := start(t)
	for _, scheme := range []string{"tcp", "ssl", "ws", "wss"} {
		id, user, pass := credentials("lamp-001", "")
		o := paho3.NewClientOptions().AddBroker(scheme + "://" + n.addr).SetClientID(id).SetUsername(user).SetPassword(pass).
			SetKeepAlive(60 * time.Second).SetAutoReconnect(false).SetTLSConfig(insecure())
		c := paho3.NewClient(o)
		finish := func(what string, token paho3.Token) {
			t.Helper()
			if !token.WaitTimeout(5*time.Second) || token.Error() != nil {
				t.Fatalf("%s: %s: %v", scheme, what, token.Error())
			}
		}
		finish("connect", c.Connect())
		replies := make(chan string, 1)
		finish("subscribe", c.Subscribe(postTopic+"_reply", 1, func(_ paho3.Client, m paho3.Message) { replies <- string(m.Payload()) }))
		finish("publish", c.Publish(postTopic, 1, false, `{"id":"77","params":{}}`))
		select {
		case <-replies:
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: no reply", scheme)
		}
		finish("unsubscribe", c.Unsubscribe(postTopic+"_reply"))
		c.Disconnect(100)
	}
}

func TestPaho5(t *testing.T) {
	t.Parallel()
	n := start(t)
	nc, err := net.Dial("tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	replies := make(chan string, 1)
	c := paho.NewClient(paho.ClientConfig{Conn: nc, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(r paho.PublishReceived) (bool, error) { replies <- r.Packet.Topic; return true, nil },
	}})
	id, user, pass := credentials("lamp-001", "")
	ack, err := c.Connect(ctx, &paho.Connect{ClientID: id, Username: user, UsernameFlag: true, Password: []byte(pass), PasswordFlag: true, KeepAlive: 60, CleanStart: true})
	if err != nil {
		t.Fatal(err)
	}
	if ack.Properties.RetainAvailable || ack.Properties.SharedSubAvailable || ack.Properties.SubIDAvailable || *ack.Properties.MaximumQoS != 1 {
		t.Errorf("CONNACK %+v", ack.Properties)
	}
	pub, err := c.Publish(ctx, &paho.Publish{Topic: postTopic, QoS: 1, Payload: []byte(`{"id":"1"}`), Properties: &paho.PublishProperties{User: paho.UserProperties{{Key: "a", Value: "b"}}}})
	if err != nil || pub.ReasonCode != 0 {
		t.Fatalf("publish: %+v, %v", pub, err)
	}
	select {
	case topic := <-replies:
		if topic != postTopic+"_reply" {
			t.Errorf("reply on %s", topic)
		}
	case <-ctx.Done():
		t.Fatal("no reply")
	}
	if err := c.Disconnect(&paho.Disconnect{}); err != nil {
		t.Error(err)
	}
}
