package access

import (
	"context"
	"time"

	"relink/shared/device"
	"relink/shared/store"
)

// A Granter makes the grants of sessions: of devices that connect, and of sub-devices that log in over their gateway's connection. It is
// safe for concurrent use.
type Granter struct {
	nodes    *store.CachedNodes
	grantFor time.Duration
	now      func() time.Time
}

// NewGranter makes a granter whose grants hold for grantFor, DefaultGrantFor if 0. now is the clock, time.Now if nil.
func NewGranter(nodes store.Nodes, grantFor time.Duration, now func() time.Time) *Granter {
	if grantFor <= 0 {
		grantFor = DefaultGrantFor
	}
	if now == nil {
		now = time.Now
	}
	return &Granter{nodes: store.NewCachedNodes(nodes, now), grantFor: grantFor, now: now}
}

// Grant is the grant of a session that was taken.
func (g *Granter) Grant(ctx context.Context, p *store.CachedProduct, d *store.Device, session *store.Session) *device.Grant {
	return &device.Grant{
		ProductKey: d.Ref.ProductKey, DeviceName: d.Ref.DeviceName, IotID: d.IotID, Epoch: session.Epoch,
		NodeType: p.NodeType, DataFormat: p.DataFormat, ExtRRPC: session.ExtRRPC, Topics: device.NewClasses(p.Classes), TopicsAt: p.Revision,
		Subscribed: session.Subscribed, Muted: session.Muted,
		ExpiresAt: g.now().Add(g.grantFor).UnixMilli(), Previous: g.previous(ctx, session),
	}
}

// previous is the other node that still holds the device's former session; nil if there is none or its lease has ended. A node
// that cannot be looked up is left out: the session is taken all the same, and the old node learns of it by its grant.
func (g *Granter) previous(ctx context.Context, session *store.Session) *device.Owner {
	if session.PrevNode == "" {
		return nil
	}
	node, err := g.nodes.Get(ctx, session.PrevNode)
	if err != nil || node == nil || node.Until <= g.now().UnixMilli() {
		return nil
	}
	return &device.Owner{Node: node.ID, URL: node.URL, Epoch: session.PrevEpoch}
}
