package load

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// Post connects as a device, posts params (a JSON object) at QoS 1, and returns the platform's reply once the post is
// acknowledged and answered, or an error that says which of the two did not come.
func Post(ctx context.Context, address string, device Device, params []byte) (reply []byte, err error) {
	g := &generator{o: Options{Address: address, Window: 1, KeepAlive: time.Minute}, count: new(counters)}
	c := newClient(g, &device, 0)
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	defer c.close()
	if end, ok := ctx.Deadline(); ok {
		if err := c.conn.SetDeadline(end); err != nil {
			return nil, err
		}
	}
	payload := append(append([]byte(`{"id":"1","version":"1.0","params":`), params...), `,"method":"thing.event.property.post"}`...)
	if _, err := c.conn.Write(appendPublish(nil, flagQoS1, c.topic, 1, payload)); err != nil {
		return nil, err
	}
	acked := false
	for !acked || reply == nil {
		kind, body, err := readPacket(c.reader, nil)
		if err != nil {
			return nil, fmt.Errorf("acknowledged: %t, answered: %t: %w", acked, reply != nil, err)
		}
		switch kind & 0xF0 {
		case packetPuback:
			acked = true
		case packetPublish:
			topic, _, payload, err := splitPublish(kind, body)
			if err != nil {
				return nil, err
			}
			if string(topic) == c.topic+"_reply" {
				reply = bytes.Clone(payload)
			}
		}
	}
	_, err = c.conn.Write([]byte{packetDisconnect, 0})
	return reply, err
}
