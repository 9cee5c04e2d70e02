package deviceinfo

import (
	"context"
	"crypto/rand"
	"errors"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/topic"
)

// Lengths of what a device is given for control in the local network ("LAN prefix"); firmware has room for 39 characters each.
const (
	lanPrefixLength = 8
	lanSecretLength = 32
)

// lanPrefix is thing/lan/prefix/get. Firmware is known that does nothing before it has the answer. It is Raw because params may be
// any JSON, even a string: for a sub-device an object with its name.
func (s *Service) lanPrefix(ctx context.Context, r *exchange.Request) exchange.Answer {
	// What is in params decides only whose key is meant, so a request whose params make no sense is the device's own.
	request, err := alink.Parse(r.Record.Payload)
	if err != nil && !errors.Is(err, alink.ErrParamsMalformed) {
		return s.lanAnswer(r, request, nil, err)
	}
	dev := r.Ref()
	var pk, dn string
	for name, value := range alink.Members(request.Params) {
		switch string(name) {
		case "productKey":
			pk = text(value)
		case "deviceName":
			dn = text(value)
		}
	}
	if sub := (iot.DeviceRef{ProductKey: iot.ProductKey(pk), DeviceName: iot.DeviceName(dn)}); pk != "" && dn != "" && sub != dev {
		if err := s.belongs(ctx, sub, dev); err != nil {
			return s.lanAnswer(r, request, nil, err)
		}
		dev = sub
	}
	var data []byte
	err = s.change(ctx, dev, func(d *store.DeviceInfo) (bool, error) {
		fresh := d.LANPrefix == ""
		if fresh {
			d.LANPrefix, d.LANSecret = randomText(lanPrefixLength), iot.Secret(randomText(lanSecretLength))
		}
		data = alink.AppendString([]byte(`{"deviceSecret":`), d.LANSecret.Reveal())
		data = alink.AppendString(append(data, `,"prefix":`...), d.LANPrefix)
		data = alink.AppendString(append(data, `,"productKey":`...), string(dev.ProductKey))
		data = alink.AppendString(append(data, `,"deviceName":`...), string(dev.DeviceName))
		data = append(data, '}')
		return fresh, nil
	})
	if err != nil {
		data = nil
	}
	return s.lanAnswer(r, request, data, err)
}

func (s *Service) lanAnswer(r *exchange.Request, request alink.Request, data []byte, err error) exchange.Answer {
	a := exchange.Answer{Err: err}
	if iot.Is(err, iot.Throttled) || iot.Is(err, iot.Unavailable) || !request.Ack {
		return a
	}
	code, message := alink.CodeOf(err)
	a.Replies = []record.Reply{{Topic: r.Up.ReplyTopic(r.Record.Topic), Payload: alink.AppendReply(nil, code, request.ID, data, message, topic.LANPrefixGet.Method())}}
	return a
}

// codeNoRelation is "no topology relation".
const codeNoRelation = 6401

// belongs makes sure that a device is a sub-device of a gateway: another's key is nobody's business.
func (s *Service) belongs(ctx context.Context, sub, gateway iot.DeviceRef) error {
	if !iot.ValidProductKey(string(sub.ProductKey)) || !iot.ValidDeviceName(string(sub.DeviceName)) {
		return alink.ErrParamsMalformed
	}
	links, err := s.links.Links(ctx, []iot.DeviceRef{sub})
	if err != nil {
		return err
	}
	if links[0] == nil || links[0].Gateway != gateway {
		return &alink.Error{Code: codeNoRelation, Cause: refusal.TopicNotOwn, Message: "topo relation not exist", Kind: iot.NotPermitted}
	}
	return nil
}

// randomText makes a text of a-z and 0-9.
func randomText(n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	text := make([]byte, 0, n)
	var b [64]byte
	for len(text) < n {
		rand.Read(b[:]) // never fails (crypto/rand)
		for _, c := range b {
			if c < 252 && len(text) < n { // 252 is a multiple of 36: no letter is likelier
				text = append(text, alphabet[int(c)%len(alphabet)])
			}
		}
	}
	return string(text)
}
