// Package topology is what gateways do: which sub-devices they have, and which of these are logged in over their connections. It is
// "Gateways and sub-devices" of the device protocol, served by the function topology, and the same from the cloud's side, "Gateway
// topology" of the OpenAPI.
//
// Requests are atomic: all entries of one are looked at before anything is done, and its code is that of the first entry that is
// refused. Every one can be repeated.
package topology

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"relink/shared/access"
	"relink/shared/alink"
	"relink/shared/device"
	"relink/shared/downlink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/store"
	"relink/shared/topic"
)

// Limits bound what one gateway may have ("Contradictions and open points": the newest published numbers).
type Limits struct {
	SubDevices int `env:"RELINK_MAX_SUB_DEVICES,default=1500"`        // of one gateway
	Online     int `env:"RELINK_MAX_SUB_DEVICES_ONLINE,default=1500"` // of them logged in at a time
	Logins     int `env:"RELINK_SUB_LOGINS_PER_MINUTE,default=5"`     // of one sub-device
	Batch      int `env:"RELINK_SUB_LOGIN_BATCH,default=50"`          // entries of a batch of logins or logouts
}

// DefaultLimits are those of an environment that says nothing.
func DefaultLimits() Limits { return Limits{SubDevices: 1500, Online: 1500, Logins: 5, Batch: 50} }

// Entries of one request.
const (
	maxRegistered = 30
	maxEntries    = 200
)

// Stores is where products, devices, sessions and relations are.
type Stores interface {
	Products() store.Products
	Devices() store.Devices
	Sessions() store.Sessions
	Nodes() store.Nodes
	Topology() store.Topology
	Discoveries() store.Discoveries
}

// A Commander hands a command to the function `command`; command.Remote is one.
type Commander interface {
	Command(ctx context.Context, c downlink.Command) (downlink.Outcome, error)
}

// A Service serves gateways. It is safe for concurrent use.
type Service struct {
	products    *store.CachedProducts
	devices     store.Devices
	sessions    store.Sessions
	links       store.Topology
	discoveries store.Discoveries
	grants      *access.Granter
	commander   Commander
	limits      Limits
	now         func() time.Time
	log         *slog.Logger
}

// Options are what a Service is made of beside its stores.
type Options struct {
	Commander Commander
	Limits    Limits
	GrantFor  time.Duration    // as of package access; 0: its default
	Now       func() time.Time // time.Now if nil
	Log       *slog.Logger
}

// New makes a service.
func New(s Stores, o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{
		products: store.NewCachedProducts(s.Products(), o.Now), devices: s.Devices(), sessions: s.Sessions(), links: s.Topology(), discoveries: s.Discoveries(),
		grants: access.NewGranter(s.Nodes(), o.GrantFor, o.Now), commander: o.Commander, limits: o.Limits, now: o.Now, log: o.Log,
	}
}

// Families are the topics that the service serves.
func (s *Service) Families() map[topic.Family]exchange.Family {
	return map[topic.Family]exchange.Family{
		topic.SubRegister:        {Serve: s.register},
		topic.SubUnregister:      {Serve: s.unregister},
		topic.ProductRegister:    {Serve: s.productRegister},
		topic.TopoAdd:            {Serve: s.add},
		topic.TopoDelete:         {Serve: s.remove},
		topic.TopoGet:            {Serve: s.get},
		topic.ListFound:          {Serve: s.found},
		topic.TopoAddNotifyReply: {Serve: answered},
		topic.TopoChangeReply:    {Serve: answered},
		topic.GatewayPermitReply: {Serve: answered},
		topic.LifecycleReply:     {Serve: answered},
		// Their replies have a shape of their own.
		topic.CombineLogin:       {Serve: s.login, Raw: true},
		topic.CombineLogout:      {Serve: s.logout, Raw: true},
		topic.CombineBatchLogin:  {Serve: s.batchLogin, Raw: true},
		topic.CombineBatchLogout: {Serve: s.batchLogout, Raw: true},
	}
}

// answered takes what a gateway answers to the platform. Nothing hangs on it: what the platform announced is so, whether a gateway
// has understood it or not.
func answered(_ context.Context, r *exchange.Request) exchange.Answer {
	reply, err := alink.ParseReply(r.Record.Payload)
	if err != nil {
		return exchange.Answer{Silent: true, Err: err}
	}
	return exchange.Answer{Silent: true, Detail: "the gateway's own code " + strconv.Itoa(reply.Code) + ", to request " + reply.ID}
}

// known is what the stores know of the devices that a request names.
type known struct {
	devices []*store.Device
	links   []*store.Link
}

// lookUp reads devices and their relations; an entry that is nil is not known.
func (s *Service) lookUp(ctx context.Context, refs []iot.DeviceRef) (k known, err error) {
	if k.devices, err = s.devices.GetMany(ctx, refs); err != nil {
		return k, err
	}
	k.links, err = s.links.Links(ctx, refs)
	return k, err
}

// gatewayOf is the gateway that the i-th device belongs to, zero if none.
func (k *known) gatewayOf(i int) iot.DeviceRef {
	if k.links[i] == nil {
		return iot.DeviceRef{}
	}
	return k.links[i].Gateway
}

// isGateway reports whether ref's product is one of gateways.
func (s *Service) isGateway(ctx context.Context, ref iot.DeviceRef) (bool, error) {
	p, err := s.products.Get(ctx, ref.ProductKey)
	if err != nil {
		return false, err
	}
	return p.NodeType == device.NodeGateway, nil
}
