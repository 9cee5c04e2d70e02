// Package session is who is connected to this node: one session per device, with what it was granted, what it has subscribed,
// and who waits for an answer of it ("Connecting" in the design; "MQTT behaviour after CONNECT" in the device protocol). It
// knows no protocol: a connection of any kind stands behind the interface Conn.
//
// It is also what the platform is told of that: online, offline, what is subscribed, and the node's lease, without which its sessions
// count as offline (presence.go); ends that could not be told yet (untold.go); and devices that were dropped while they logged in
// (drops.go).
package session

import (
	"context"
	"sync"
	"time"

	"relink/shared/device"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/topic"
)

// A Dispatcher brings records to functions. Submit blocks while its queues are full; done is called once, from a goroutine that
// must not be blocked, unless Submit returns an error. An error given to done says that nothing was decided.
type Dispatcher interface {
	Submit(ctx context.Context, function string, r record.Record, done func(record.Result, error)) error
}

// A Conn is the connection behind a session. Its methods never block.
type Conn interface {
	// Publish queues a message for the device. It answers Sent, Busy (the queue is full, nothing was queued) or Offline.
	Publish(topic string, payload []byte, qos byte) downlink.State
	// End closes the connection and tells the device why, if the protocol can.
	End(cause refusal.Cause, detail string)
}

// A Session is one device's connection from login to its end.
type Session struct {
	Ref        iot.DeviceRef
	Grant      *device.Grant // read-only
	RemoteAddr string
	Started    time.Time
	conn       Conn

	mu      sync.Mutex
	filters []filter         // what the device subscribed
	muted   []string         // what it unsubscribed although it is automatic
	custom  int              // filters that count towards the limit
	calls   map[string]*Call // by message id
	last    delivery         // the topic asked for last: replies repeat it
	queue   queue            // has a lock of its own, which is taken before the connection's
	rates   rates
	version int // of what outlives the session; grows with each change
	stored  int // the version that is durable
}

// New makes the session of a granted connection.
func New(g *device.Grant, conn Conn, remoteAddr string, now time.Time) *Session {
	s := &Session{Ref: g.Ref(), Grant: g, RemoteAddr: remoteAddr, Started: now, conn: conn}
	for _, f := range g.Subscribed {
		s.add(f.Filter, min(f.QoS, 1))
	}
	s.muted = append(s.muted, g.Muted...)
	s.queue.behind, s.queue.asking = g.Queued, g.Queued
	return s
}

// Conn is the connection behind the session.
func (s *Session) Conn() Conn { return s.conn }

// Gateway is the session of the gateway over whose connection this one goes; nil for a device with a connection of its own.
func (s *Session) Gateway() *Session {
	if x, ok := s.conn.(interface{ Gateway() *Session }); ok {
		return x.Gateway()
	}
	return nil
}

// End closes the session's connection, or for a sub-device only its session. What follows from that happens where the connection is read.
func (s *Session) End(cause refusal.Cause, detail string) { s.conn.End(cause, detail) }

// Relay sends a message to a gateway that is for a sub-device of its topology, which need not be logged in ("Disable, enable, delete"):
// on topics of the sub-device that need no SUBSCRIBE, and no others.
func (s *Session) Relay(of iot.DeviceRef, name string, payload []byte, qos byte) downlink.State {
	sub := device.Grant{ProductKey: of.ProductKey, DeviceName: of.DeviceName}
	if s.Grant.NodeType != device.NodeGateway || topic.FilterOwner(name) != of || !topic.Automatic(&sub, name) {
		return downlink.Refused
	}
	return s.conn.Publish(name, payload, min(qos, 1))
}

// Publish sends a message to the device if it may have it, at the lesser of qos and what was granted.
func (s *Session) Publish(topic string, payload []byte, qos byte) downlink.State {
	granted, state := s.Delivery(topic)
	if state != downlink.Sent {
		return state
	}
	if !s.mayReceive() {
		return downlink.Limited
	}
	return s.conn.Publish(topic, payload, min(qos, granted))
}
