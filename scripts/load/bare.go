package load

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// BareBroker serves a bare mochi-mqtt broker on an address until ctx ends: the yardstick. It lets everybody in, stores
// nothing, and answers a property post from its own publish hook.
func BareBroker(ctx context.Context, address string) error {
	s := mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
		return err
	}
	if err := s.AddHook(&replyHook{server: s}, nil); err != nil {
		return err
	}
	if err := s.AddListener(listeners.NewTCP(listeners.Config{ID: "tcp", Address: address})); err != nil {
		return err
	}
	if err := s.Serve(); err != nil {
		return err
	}
	<-ctx.Done()
	return s.Close()
}

type replyHook struct {
	mqtt.HookBase
	server *mqtt.Server
}

func (h *replyHook) ID() string { return "reply" }

func (h *replyHook) Provides(b byte) bool { return b == mqtt.OnPublished }

// OnPublished answers a post with the reply that the platform would send.
func (h *replyHook) OnPublished(_ *mqtt.Client, pk packets.Packet) {
	if !strings.HasSuffix(pk.TopicName, "/property/post") {
		return
	}
	_, rest, ok := bytes.Cut(pk.Payload, []byte(`"id":"`))
	id, _, ok2 := bytes.Cut(rest, []byte(`"`))
	if !ok || !ok2 {
		return
	}
	reply := append(append([]byte(`{"code":200,"data":{},"id":"`), id...), `","message":"success","method":"thing.event.property.post","version":"1.0"}`...)
	_ = h.server.Publish(pk.TopicName+"_reply", reply, false, 0) // fails only if the inline client is off
}
