package topology

import (
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/message"
	"relink/shared/store"
)

// What rules see of relations. A message that is served again, because it is not known what became of it, tells again what it did; one
// that changes nothing tells nothing.

// named is the gateway that asks.
func named(r *exchange.Request) message.Named {
	return message.Named{Device: r.Record.Device, IotID: r.Record.IotID}
}

// again reports whether the message may have been served before.
func again(r *exchange.Request) bool { return r.Record.Attempt > 0 || r.Record.Dup }

// addedTo tells of new relations, and of those of other gateways that they end. k is what was known before.
func addedTo(r *exchange.Request, entries []entry, k *known) []message.Message {
	var fresh []message.Named
	former := make(map[iot.DeviceRef][]message.Named)
	var order []iot.DeviceRef
	for i := range entries {
		gateway := k.gatewayOf(i)
		if gateway == r.Ref() && !again(r) {
			continue
		}
		sub := message.Named{Device: entries[i].ref}
		if d := k.devices[i]; d != nil {
			sub.IotID = d.IotID
		}
		fresh = append(fresh, sub)
		if !gateway.IsZero() && gateway != r.Ref() {
			if former[gateway] == nil {
				order = append(order, gateway)
			}
			former[gateway] = append(former[gateway], sub)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	list := make([]message.Message, 0, 1+len(order))
	if r.Any(r.Ref().ProductKey) {
		list = append(list, message.NewTopology(r.Record.MessageID, message.Create, named(r), fresh, r.Record.ReceivedAt))
	}
	for _, gateway := range order {
		if r.Any(gateway.ProductKey) {
			id := message.IDOf(r.Record.MessageID, gateway.String())
			list = append(list, message.NewTopology(id, message.Delete, message.Named{Device: gateway}, former[gateway], r.Record.ReceivedAt))
		}
	}
	return list
}

// removedFrom tells of relations that ended. k is what was known before.
func removedFrom(r *exchange.Request, entries []entry, k *known) []message.Message {
	if !r.Any(r.Ref().ProductKey) {
		return nil
	}
	var gone []message.Named
	for i := range entries {
		if k.gatewayOf(i) != r.Ref() && !k.endedBy(i, r) {
			continue
		}
		sub := message.Named{Device: entries[i].ref}
		if d := k.devices[i]; d != nil {
			sub.IotID = d.IotID
		}
		gone = append(gone, sub)
	}
	if len(gone) == 0 {
		return nil
	}
	return []message.Message{message.NewTopology(r.Record.MessageID, message.Delete, named(r), gone, r.Record.ReceivedAt)}
}

// foundBy tells which registered devices a gateway found.
func foundBy(r *exchange.Request, devices []*store.Device) []message.Message {
	if !r.Any(r.Ref().ProductKey) {
		return nil
	}
	var found []message.Named
	for _, d := range devices {
		if d != nil {
			found = append(found, message.Named{Device: d.Ref, IotID: d.IotID})
		}
	}
	if len(found) == 0 {
		return nil
	}
	return []message.Message{message.NewFound(r.Record.MessageID, named(r), found, r.Record.ReceivedAt, r.Record.QoS)}
}
