package downlink

import (
	"context"
	"log/slog"
	"time"

	"relink/connector/session"
	"relink/shared/downlink"
	"relink/shared/logs"
	"relink/shared/topic"
)

// What a broadcast may put into the queues of connections before it lets them be written: the bytes are copied for each.
const (
	broadcastBurst = 16 << 20
	broadcastPause = 10 * time.Millisecond
)

// broadcast sends a message to the devices of a product that are connected here. It goes on when the caller is gone: half of a product's
// devices is less than what was asked for. One line tells of it, not one for each device.
func (s *Server) broadcast(ctx context.Context, b *downlink.Broadcast) downlink.Outcome {
	started := s.Now()
	sent, busy, written := 0, 0, 0
	s.Registry.Each(func(sess *session.Session) {
		if sess.Ref.ProductKey != b.ProductKey {
			return
		}
		name := b.Topic
		if name == "" {
			name = topic.BroadcastTopic(sess.Ref, b.MessageID)
		}
		switch sess.Publish(name, b.Payload, 0) {
		case downlink.Sent:
			sent++
			if written += len(b.Payload) + len(name); written >= broadcastBurst {
				written = 0
				time.Sleep(broadcastPause)
			}
		case downlink.Busy:
			busy++
		}
	})
	level := slog.LevelInfo
	if busy > 0 {
		level = slog.LevelWarn
	}
	s.Logger.LogAttrs(ctx, level, "broadcast", slog.String(logs.FieldProductKey, string(b.ProductKey)), slog.String(logs.FieldMessageID, b.MessageID),
		slog.String(logs.FieldTopic, b.Topic), slog.Int("devices", sent), slog.Int("busy", busy), slog.Int("bytes", len(b.Payload)),
		slog.Duration("took", s.Now().Sub(started)))
	return downlink.Outcome{State: downlink.Sent, Count: sent}
}
