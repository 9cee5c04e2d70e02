package deviceinfo

import (
	"context"
	"slices"
	"strconv"
	"time"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/store"
)

const (
	maxNetworkItems = 200 // in one message
	maxNetworkModel = 256 // bytes of "model"
	maxAhead        = 24 * time.Hour
)

// postNetwork is _thing/diag/post. What a device measures is kept as it is, also what nobody knows; an entry whose _time cannot be right
// has the time of its receipt.
func (s *Service) postNetwork(ctx context.Context, r *exchange.Request) exchange.Answer {
	list, err := readNetwork(r.Alink.Params, r.Record.ReceivedAt)
	if err != nil {
		return failed(err)
	}
	for i := range list {
		list[i].Ref, list[i].MessageID, list[i].Index = r.Ref(), r.Record.MessageID, i
	}
	return failed(s.network.Put(ctx, list))
}

func readNetwork(params []byte, receivedAt int64) ([]store.NetworkStatus, error) {
	var items [][]byte
	model := ""
	for name, value := range alink.Members(params) {
		switch string(name) {
		case "p":
			switch value[0] {
			case '{':
				items = append(items, value)
			case '[':
				items = slices.Collect(alink.Elements(value))
			}
		case "model":
			model, _ = cut(text(value), maxNetworkModel)
		}
	}
	switch {
	case len(items) == 0:
		return nil, alink.ErrParamsMissing
	case len(items) > maxNetworkItems:
		return nil, refused(refusal.ParamsMalformed, "more than 200 entries")
	}
	list := make([]store.NetworkStatus, 0, len(items))
	for _, item := range items {
		if item[0] != '{' {
			return nil, alink.ErrParamsMalformed
		}
		n := store.NetworkStatus{Time: receivedAt, Model: model, JSON: slices.Clone(item)}
		for name, value := range alink.Members(item) {
			if string(name) != "_time" {
				continue
			}
			if at, err := strconv.ParseInt(text(value), 10, 64); err == nil && at > 0 && at <= receivedAt+maxAhead.Milliseconds() {
				n.Time = at
			}
		}
		list = append(list, n)
	}
	return list, nil
}

// Network answers what a device measured of its network, newest first, and the to of the next page (store.NetworkStatuses.List).
func (s *Service) Network(ctx context.Context, dev iot.DeviceRef, from, to int64, limit int) ([]store.NetworkStatus, int64, error) {
	return s.network.List(ctx, dev, from, to, limit)
}
