// Package memory is package store in memory, for tests. It forgets everything, and it has a fault hook, so that tests can see
// what callers do when the database is busy.
package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"relink/shared/iot"
	"relink/shared/store"
)

// A Store is the whole state. It is safe for concurrent use. What goes in and out is copied.
type Store struct {
	// Fault, if set, is asked before every operation ("sessions.take", "properties.post", …) and, where an operation has items
	// of devices that can fail one by one, for each of them; its error is the operation's, or the item's.
	Fault func(op string, dev iot.DeviceRef) error

	documents  documents  // under mu
	ruleTables ruleTables // under mu

	mu           sync.Mutex
	products     map[iot.ProductKey]store.Product
	devices      map[iot.DeviceRef]store.Device
	sessions     map[iot.DeviceRef]store.Session
	nodes        map[string]store.Node
	latest       map[iot.DeviceRef]map[string]store.Value
	history      map[iot.DeviceRef]map[point]store.Value
	events       map[iot.DeviceRef]map[eventPlace]store.Event
	calls        map[iot.DeviceRef]map[callPlace]store.Call
	desired      map[iot.DeviceRef]desiredRow
	deadLetters  []store.DeadLetter
	applications map[int64]store.Application
	scripts      scriptTables
	certificates certificateTables
	shadows      map[iot.DeviceRef]store.Shadow
	infos        map[iot.DeviceRef]store.DeviceInfo
	network      map[iot.DeviceRef]map[networkPoint]store.NetworkStatus
	links        map[iot.DeviceRef]store.Link
	found        map[iot.DeviceRef]map[iot.DeviceRef]int64
	receipts     map[iot.DeviceRef]*[receiptSlots]store.Received
	posted       map[iot.DeviceRef][]store.Received // posts that have a row of history at the time of their arrival
	queues       map[iot.DeviceRef][]store.QueuedMessage
}

// point is the place of one value in a history.
type point struct {
	time                  int64
	messageID, identifier string
}

// New makes an empty store.
func New() *Store {
	return &Store{
		queues:       make(map[iot.DeviceRef][]store.QueuedMessage),
		products:     make(map[iot.ProductKey]store.Product),
		devices:      make(map[iot.DeviceRef]store.Device),
		sessions:     make(map[iot.DeviceRef]store.Session),
		nodes:        make(map[string]store.Node),
		latest:       make(map[iot.DeviceRef]map[string]store.Value),
		posted:       make(map[iot.DeviceRef][]store.Received),
		history:      make(map[iot.DeviceRef]map[point]store.Value),
		events:       make(map[iot.DeviceRef]map[eventPlace]store.Event),
		calls:        make(map[iot.DeviceRef]map[callPlace]store.Call),
		desired:      make(map[iot.DeviceRef]desiredRow),
		applications: make(map[int64]store.Application),
		scripts:      newScriptTables(),
		shadows:      make(map[iot.DeviceRef]store.Shadow),
		infos:        make(map[iot.DeviceRef]store.DeviceInfo),
		network:      make(map[iot.DeviceRef]map[networkPoint]store.NetworkStatus),
		links:        make(map[iot.DeviceRef]store.Link),
		found:        make(map[iot.DeviceRef]map[iot.DeviceRef]int64),
	}
}

// Products is the table `product`.
func (s *Store) Products() store.Products { return products{s} }

// Devices is the tables of devices.
func (s *Store) Devices() store.Devices { return devices{s} }

// Sessions is the table `session`.
func (s *Store) Sessions() store.Sessions { return sessions{s} }

// Nodes is the table `node`.
func (s *Store) Nodes() store.Nodes { return nodes{s} }

// Properties is the tables of properties.
func (s *Store) Properties() store.Properties { return properties{s} }

// DeadLetters is the table `dead_letter`.
func (s *Store) DeadLetters() store.DeadLetters { return deadLetters{s} }

// Applications is the table `application`.
func (s *Store) Applications() store.Applications { return applications{s} }

// begin asks the fault hook and takes the lock.
func (s *Store) begin(ctx context.Context, op string, dev iot.DeviceRef) (end func(), err error) {
	if ctx.Err() != nil {
		return nil, iot.Wrap(iot.Unavailable, context.Cause(ctx), "out of time")
	}
	if err := s.fault(op, dev); err != nil {
		return nil, err
	}
	s.mu.Lock()
	return s.mu.Unlock, nil
}

func (s *Store) fault(op string, dev iot.DeviceRef) error {
	if s.Fault == nil {
		return nil
	}
	return s.Fault(op, dev)
}

type nodes struct{ s *Store }

func (n nodes) Renew(ctx context.Context, node store.Node) error {
	end, err := n.s.begin(ctx, "nodes.renew", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	node.Lanes = maps.Clone(node.Lanes)
	n.s.nodes[node.ID] = node
	return nil
}

func (n nodes) Get(ctx context.Context, id string) (*store.Node, error) {
	end, err := n.s.begin(ctx, "nodes.get", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	node, ok := n.s.nodes[id]
	node.Lanes = maps.Clone(node.Lanes)
	if !ok {
		return nil, nil
	}
	return &node, nil
}

type deadLetters struct{ s *Store }

func (l deadLetters) Put(ctx context.Context, d *store.DeadLetter) error {
	end, err := l.s.begin(ctx, "dead_letters.put", d.Ref)
	if err != nil {
		return err
	}
	defer end()
	letter := *d
	letter.Payload = slices.Clone(d.Payload)
	same := func(o store.DeadLetter) bool { return o.Ref == d.Ref && o.At == d.At && o.MessageID == d.MessageID }
	if i := slices.IndexFunc(l.s.deadLetters, same); i >= 0 {
		l.s.deadLetters[i] = letter
		return nil
	}
	l.s.deadLetters = append(l.s.deadLetters, letter)
	return nil
}

func (l deadLetters) List(ctx context.Context, ref iot.DeviceRef, limit int) ([]*store.DeadLetter, error) {
	end, err := l.s.begin(ctx, "dead_letters.list", ref)
	if err != nil {
		return nil, err
	}
	defer end()
	var list []*store.DeadLetter
	for _, d := range l.s.deadLetters {
		if d.Ref == ref {
			d.Payload = slices.Clone(d.Payload)
			list = append(list, &d)
		}
	}
	slices.SortFunc(list, func(a, b *store.DeadLetter) int {
		return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(b.MessageID, a.MessageID))
	})
	return list[:min(len(list), max(limit, 0))], nil
}

type applications struct{ s *Store }

func (a applications) Put(ctx context.Context, app *store.Application) error {
	end, err := a.s.begin(ctx, "applications.put", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	a.s.applications[app.ID] = copyApplication(*app)
	return nil
}

func (a applications) Get(ctx context.Context, id int64) (*store.Application, error) {
	end, err := a.s.begin(ctx, "applications.get", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	app, ok := a.s.applications[id]
	if !ok {
		return nil, nil
	}
	app = copyApplication(app)
	return &app, nil
}

func copyApplication(a store.Application) store.Application {
	a.Names, a.Invalid = slices.Clone(a.Names), slices.Clone(a.Invalid)
	return a
}

func (n nodes) List(ctx context.Context) ([]*store.Node, error) {
	end, err := n.s.begin(ctx, "nodes.list", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	var list []*store.Node
	for _, id := range slices.Sorted(maps.Keys(n.s.nodes)) {
		node := n.s.nodes[id]
		node.Lanes = maps.Clone(node.Lanes)
		list = append(list, &node)
	}
	return list, nil
}
