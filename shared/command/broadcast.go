package command

import (
	"context"
	"strings"
	"sync"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/store"
)

const (
	nodesTogether = 16 // connectors that are called at once
	classesTries  = 3  // for one connector; telling it twice does no harm
)

// broadcast has every connector send a message to a product's devices, once: a connector that does not answer may have sent it. How many
// could not be told is in the outcome, whose state is then Partly.
func (s *Service) broadcast(ctx context.Context, b *downlink.Broadcast) (downlink.Outcome, error) {
	prefix := "/broadcast/" + string(b.ProductKey) + "/"
	switch {
	case !iot.ValidProductKey(string(b.ProductKey)):
		return downlink.Outcome{}, iot.Errorf(iot.InvalidParams, "product key is malformed")
	case b.MessageID == "":
		return downlink.Outcome{}, iot.Errorf(iot.InvalidParams, "a message id is needed")
	case b.Topic != "" && (!strings.HasPrefix(b.Topic, prefix) || b.Topic == prefix):
		return downlink.Outcome{}, iot.Errorf(iot.InvalidParams, "the topic of a broadcast begins with %s", prefix)
	case len(b.Payload) > downlink.MaxBroadcast:
		return downlink.Outcome{}, iot.Errorf(iot.InvalidParams, "a broadcast has at most %d bytes", downlink.MaxBroadcast)
	}
	return s.everywhere(ctx, func(base string) (downlink.Outcome, error) { return s.caller.Broadcast(ctx, base, b) })
}

// classes tells every connector the topic classes of a product.
func (s *Service) classes(ctx context.Context, t *downlink.Classes) (downlink.Outcome, error) {
	if !iot.ValidProductKey(string(t.ProductKey)) {
		return downlink.Outcome{}, iot.Errorf(iot.InvalidParams, "product key is malformed")
	}
	return s.everywhere(ctx, func(base string) (o downlink.Outcome, err error) {
		for range classesTries {
			if o, err = s.caller.Classes(ctx, base, t); err == nil || ctx.Err() != nil {
				break
			}
		}
		return o, err
	})
}

// everywhere calls all connectors whose lease lasts, a bounded number at a time. The error is that of the list of them.
func (s *Service) everywhere(ctx context.Context, call func(base string) (downlink.Outcome, error)) (downlink.Outcome, error) {
	nodes, err := s.all.List(ctx)
	if err != nil {
		return downlink.Outcome{}, err
	}
	total := downlink.Outcome{State: downlink.Sent}
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, nodesTogether)
	for _, node := range live(nodes, s.now().UnixMilli()) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			o, err := call(node.URL)
			mu.Lock()
			defer mu.Unlock()
			total.Count += o.Count
			if err != nil {
				total.State = downlink.Partly
				total.Missed++
			}
		})
	}
	wg.Wait()
	return total, nil
}

// live are the nodes whose lease lasts.
func live(nodes []*store.Node, now int64) []*store.Node {
	var list []*store.Node
	for _, n := range nodes {
		if n.Until > now && n.URL != "" {
			list = append(list, n)
		}
	}
	return list
}
