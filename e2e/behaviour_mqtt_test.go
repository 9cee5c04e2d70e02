package e2e

import (
	"fmt"
	"net"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"relink/scripts/load"
)

// An mqttSpeaker speaks MQTT 3.1.1 in a session that outlives its connections. It has paho's packets, but not paho's client, which does
// not send a message again when it is told to.
type mqttSpeaker struct {
	t      *testing.T
	s      *system
	device load.Device
	conn   net.Conn
	id     uint16
	last   *packets.PublishPacket // what it sent
	inbox  []*packets.PublishPacket
}

func openMQTT(t *testing.T, s *system, d load.Device) speaker {
	m := &mqttSpeaker{t: t, s: s, device: d}
	t.Cleanup(m.leave)
	return m
}

func (m *mqttSpeaker) secret(secret string) { m.device.DeviceSecret = secret }

func (m *mqttSpeaker) login() string {
	m.leave()
	conn, err := net.Dial("tcp", m.s.env["RELINK_MQTT"])
	if err != nil {
		return "closed"
	}
	m.conn, m.inbox = conn, nil
	o := mqtt.NewOptionsReader(lampOptions(m.device, "tcp://unused", nil))
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.Keepalive = "MQTT", 4, 60
	p.ClientIdentifier, p.UsernameFlag, p.PasswordFlag = o.ClientID(), true, true
	p.Username, p.Password = o.Username(), []byte(o.Password())
	if err := p.Write(conn); err != nil {
		return "closed"
	}
	got, err := m.read(10 * time.Second)
	ack, is := got.(*packets.ConnackPacket)
	switch {
	case err != nil || !is:
		return "closed"
	case ack.ReturnCode != 0:
		return fmt.Sprint("CONNACK ", ack.ReturnCode)
	}
	return accepted
}

// read gives the next packet; a message is acknowledged, and kept.
func (m *mqttSpeaker) read(within time.Duration) (packets.ControlPacket, error) {
	if err := m.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, err
	}
	p, err := packets.ReadPacket(m.conn)
	if message, is := p.(*packets.PublishPacket); is && err == nil {
		m.inbox = append(m.inbox, message)
		if message.Qos == 1 {
			ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			ack.MessageID = message.MessageID
			return p, ack.Write(m.conn)
		}
	}
	return p, err
}

func (m *mqttSpeaker) say(topic, payload, replies string) answer {
	m.t.Helper()
	m.id++
	m.last = packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	m.last.Qos, m.last.MessageID, m.last.TopicName, m.last.Payload = 1, m.id, topic, []byte(payload)
	return m.send(replies)
}

func (m *mqttSpeaker) tell(topic, payload string) bool {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload = topic, []byte(payload)
	if err := p.Write(m.conn); err != nil {
		m.t.Error(err)
	}
	return true
}

func (m *mqttSpeaker) again() answer {
	m.t.Helper()
	m.last.Dup = true
	return m.send("")
}

func (m *mqttSpeaker) send(replies string) answer {
	m.t.Helper()
	if m.conn == nil {
		return answer{code: "closed"}
	}
	m.inbox = nil
	if err := m.last.Write(m.conn); err != nil {
		return answer{code: "closed"}
	}
	for {
		p, err := m.read(5 * time.Second)
		if err != nil {
			if e, is := err.(net.Error); is && e.Timeout() {
				return answer{code: "no PUBACK"}
			}
			return answer{code: "closed"}
		}
		if ack, is := p.(*packets.PubackPacket); is && ack.MessageID == m.last.MessageID {
			break
		}
	}
	a := answer{code: accepted}
	if replies != "" {
		a.body, _ = m.hear(replies, 5*time.Second) // an empty body is the caller's to judge
	}
	return a
}

func (m *mqttSpeaker) hear(topic string, within time.Duration) (string, bool) {
	for end := time.Now().Add(within); ; {
		for _, message := range m.inbox {
			if message.TopicName == topic {
				return string(message.Payload), true
			}
		}
		if _, err := m.read(time.Until(end)); err != nil {
			return "", false
		}
	}
}

func (m *mqttSpeaker) leave() {
	if m.conn == nil {
		return
	}
	_ = packets.NewControlPacket(packets.Disconnect).Write(m.conn) // it may be closed
	_ = m.conn.Close()
	m.conn = nil
}
