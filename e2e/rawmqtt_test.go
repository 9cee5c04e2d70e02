package e2e

import (
	"net"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"relink/scripts/load"
)

// A rawClient speaks MQTT 3.1.1 packet by packet, and does nothing by itself: what is not acknowledged, or sent again, or never read,
// is the test's choice.
type rawClient struct {
	net.Conn
	device  load.Device
	present bool // Session Present of CONNACK
}

// rawConnect connects as a device.
func rawConnect(t *testing.T, s *system, d load.Device, clean bool) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", s.env["RELINK_MQTT"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &rawClient{Conn: conn, device: d}
	options := mqtt.NewOptionsReader(lampOptions(d, "tcp://unused", nil))
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.CleanSession, p.Keepalive = "MQTT", 4, clean, 60
	p.ClientIdentifier, p.UsernameFlag, p.PasswordFlag = options.ClientID(), true, true
	p.Username, p.Password = options.Username(), []byte(options.Password())
	c.send(t, p)
	ack, ok := c.read(t).(*packets.ConnackPacket)
	if !ok || ack.ReturnCode != 0 {
		t.Fatalf("CONNACK: %v", ack)
	}
	c.present = ack.SessionPresent
	return c
}

func (c *rawClient) send(t *testing.T, p packets.ControlPacket) {
	t.Helper()
	if err := p.Write(c); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// read gives the next packet.
func (c *rawClient) read(t *testing.T) packets.ControlPacket {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	p, err := packets.ReadPacket(c)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return p
}

// publish sends a QoS 1 message.
func (c *rawClient) publish(t *testing.T, topic, payload string, id uint16, dup bool) {
	t.Helper()
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.Qos, p.Dup, p.MessageID, p.TopicName, p.Payload = 1, dup, id, topic, []byte(payload)
	c.send(t, p)
}

// message gives the next PUBLISH; other packets are passed over.
func (c *rawClient) message(t *testing.T) *packets.PublishPacket {
	t.Helper()
	for {
		if p, ok := c.read(t).(*packets.PublishPacket); ok {
			return p
		}
	}
}

// ack acknowledges a message of the platform.
func (c *rawClient) ack(t *testing.T, p *packets.PublishPacket) {
	t.Helper()
	a := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
	a.MessageID = p.MessageID
	c.send(t, a)
}

// quiet checks that no message comes before the answer to a PINGREQ, and then for a moment.
func (c *rawClient) quiet(t *testing.T) {
	t.Helper()
	c.send(t, packets.NewControlPacket(packets.Pingreq))
	for {
		switch p := c.read(t).(type) {
		case *packets.PublishPacket:
			t.Fatalf("a message on %s: %s", p.TopicName, p.Payload)
		case *packets.PingrespPacket:
			if err := c.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if p, err := packets.ReadPacket(c); err == nil && !strings.Contains(p.String(), "PINGRESP") {
				t.Fatalf("after the answer: %v", p)
			}
			return
		}
	}
}
