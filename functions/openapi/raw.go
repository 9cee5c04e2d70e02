package main

import (
	"context"
	"strings"

	"relink/shared/alink"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/script"
	"relink/shared/store"
	"relink/shared/topic"
)

// rawCommander is a commander that knows products with the data format "custom": what goes to their devices as a property set, a property
// get or a service goes through the product's parsing script, and so does a device's answer to a synchronous call ("Flow for products
// with data format custom"). Everything else, which is JSON or the application's own, passes as it is.
type rawCommander struct {
	to       commander
	products *store.CachedProducts
	scripts  *script.Service
}

func (r rawCommander) Command(ctx context.Context, c downlink.Command) (downlink.Outcome, error) {
	if c.Publish == nil {
		return r.to.Command(ctx, c)
	}
	service := serviceTopic(c.Publish)
	if service == "" {
		return r.to.Command(ctx, c)
	}
	product, err := r.products.Get(ctx, c.Publish.ProductKey)
	if err != nil {
		return downlink.Outcome{}, err
	}
	if product.DataFormat != dataFormatRaw {
		return r.to.Command(ctx, c)
	}
	p := *c.Publish
	who := script.Source{Device: p.Ref(), MessageID: p.MessageID}
	if p.Payload, err = r.scripts.Encode(ctx, who, p.Payload); err != nil {
		return downlink.Outcome{}, err
	}
	if len(p.Payload) == 0 {
		return downlink.Outcome{}, &alink.Error{Code: script.CodeReturnedNothing, Cause: refusal.ScriptReturnedNothing, Kind: iot.InvalidParams,
			Message: "the product's parsing script makes nothing of this request (6201): protocolToRawData returned no bytes"}
	}
	if p.ExtTopic != "" {
		p.ExtTopic = strings.TrimSuffix(p.ExtTopic, service) + topic.DownRawTopic(p.Ref())
	} else {
		p.Topic = topic.DownRawTopic(p.Ref())
	}
	o, err := r.to.Command(ctx, downlink.Command{Publish: &p})
	if err != nil || o.State != downlink.Sent || p.ReplyTopic == "" {
		return o, err
	}
	o.Reply, _, err = r.scripts.DecodeReply(ctx, who, o.Reply)
	return o, err
}

// dataFormatRaw is DataFormat of products whose devices send bytes.
const dataFormatRaw = 0

// serviceTopic is the topic of a property set, a property get or a service that a message is, in whichever way it goes; "" if it is none.
func serviceTopic(p *downlink.Publish) string {
	name := p.Topic
	if p.ExtTopic != "" {
		rest, _ := strings.CutPrefix(p.ExtTopic, "/ext/rrpc/")
		i := strings.IndexByte(rest, '/')
		if i < 0 {
			return ""
		}
		name = rest[i:]
	}
	if !strings.HasPrefix(name, topic.ServiceTopic(p.Ref(), "")) {
		return ""
	}
	return name
}
