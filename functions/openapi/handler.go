package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"relink/shared/certificate"
	"relink/shared/device/registry"
	"relink/shared/deviceinfo"
	"relink/shared/ledger"
	"relink/shared/message"
	"relink/shared/openapi"
	"relink/shared/product"
	"relink/shared/rule"
	"relink/shared/script"
	"relink/shared/service"
	"relink/shared/shadow"
	"relink/shared/store"
	"relink/shared/subscription"
	"relink/shared/topology"
)

// tables are what the actions store and read.
type tables struct {
	products     store.Products
	devices      store.Devices
	sessions     store.Sessions
	nodes        store.Nodes
	properties   store.Properties
	events       store.Events
	calls        store.Calls
	desired      store.DesiredProperties
	applications store.Applications
	shadows      store.Shadows
	infos        store.DeviceInfos
	network      store.NetworkStatuses
	scripts      store.Scripts
	certificates store.Certificates
	gateways     topology.Stores
	engine       engineStores
	books        ledger.Stores
}

// stores are where the tables are: a store.Store, or one in memory.
type stores interface {
	Products() store.Products
	Devices() store.Devices
	Sessions() store.Sessions
	Nodes() store.Nodes
	Properties() store.Properties
	Events() store.Events
	Calls() store.Calls
	DesiredProperties() store.DesiredProperties
	Applications() store.Applications
	Shadows() store.Shadows
	DeviceInfos() store.DeviceInfos
	NetworkStatuses() store.NetworkStatuses
	Scripts() store.Scripts
	Certificates() store.Certificates
	Topology() store.Topology
	Discoveries() store.Discoveries
	engineStores
}

// engineStores are the tables of the rule engine.
type engineStores interface {
	Rules() store.Rules
	RuleIndex() store.RuleIndex
	Subscriptions() store.Subscriptions
	Ledger() store.Ledger
	ForwardDeads() store.ForwardDeads
}

func tablesOf(s stores) tables {
	return tables{
		products:     s.Products(),
		devices:      s.Devices(),
		sessions:     s.Sessions(),
		nodes:        s.Nodes(),
		properties:   s.Properties(),
		events:       s.Events(),
		calls:        s.Calls(),
		desired:      s.DesiredProperties(),
		applications: s.Applications(),
		shadows:      s.Shadows(),
		infos:        s.DeviceInfos(),
		network:      s.NetworkStatuses(),
		scripts:      s.Scripts(),
		certificates: s.Certificates(),
		gateways:     s,
		engine:       s,
		books:        s,
	}
}

// Scripts makes the tables the store of package script.
func (t tables) Scripts() store.Scripts { return t.scripts }

// parts are what a handler is made of.
type parts struct {
	tables    tables
	delivery  *delivery
	commander commander
	runner    script.Runner
	sink      sink
	rules     *message.Sender // nil: nobody wants anything
	keys      openapi.Keys
	limits    openapi.LimitPolicy
	topology  topology.Limits
	region    string
	queues    subscription.Queues
	functions invoker
	account   int64 // id of the owner's cloud account, for answers that show it
	now       func() time.Time
	log       *slog.Logger
}

// A handler is the function: it serves an HTTP trigger.
type handler struct{ http.Handler }

var errNotHTTP = errors.New("the function openapi has an HTTP trigger and takes no other events")

// Invoke refuses what did not come through the trigger.
func (handler) Invoke(context.Context, []byte) ([]byte, error) { return nil, errNotHTTP }

// assemble makes the handler of the function.
func assemble(p parts) http.Handler {
	t, ids := p.tables, newIDs(p.now)
	gateways := topology.New(t.gateways, topology.Options{Commander: p.commander, Limits: p.topology, Now: p.now, Log: p.log})
	cached := store.NewCachedProducts(t.products, p.now)
	scripts := script.New(t, p.runner, p.log, p.now)
	recorder := callRecorder{rawCommander{p.commander, cached, scripts}, service.New(t.calls, p.now), p.log}
	products := product.New(t.products, t.devices, p.now)
	devices := registry.New(registry.Stores{Products: t.products, Devices: t.devices, Sessions: t.sessions, Nodes: t.nodes,
		Applications: t.applications}, announcer{dropper{p.commander}, gateways, ids}, p.now)
	devices.HandTo(p.rules)
	a := &api{
		products:     products,
		rules:        rule.New(t.engine, products, p.now),
		account:      p.account,
		engine:       t.engine,
		books:        t.books,
		functions:    p.functions,
		devices:      devices,
		subscribed:   subscription.New(t.engine, products, p.queues, p.now),
		certificates: certificate.New(t.certificates, p.now),
		cached:       cached,
		rows:         t.devices,
		properties:   t.properties,
		events:       t.events,
		calls:        t.calls,
		desired:      t.desired,
		shadows:      shadow.New(t.shadows, p.now),
		commander:    recorder,
		recorder:     recorder,
		scripts:      scripts,
		scriptRows:   t.scripts,
		runner:       p.runner,
		keys:         p.keys,
		ids:          ids,
		topology:     gateways,
		infos:        deviceinfo.New(deviceinfo.Stores{Products: t.products, Infos: t.infos, Network: t.network}, nil, p.now),
		tagIndex:     t.infos,
		delivery:     p.delivery,
		sessions:     t.sessions,
		nodes:        t.nodes,
		now:          p.now,
		region:       p.region,
		log:          p.log,
	}
	if p.limits != openapi.LimitsOff {
		a.broadcasts = newBroadcastLimit()
	}
	gateway := &openapi.Gateway{
		Verifier: openapi.NewVerifier(p.keys, p.now),
		Actions:  withRuleOperations(withSubscriptions(withRules(withMessages(withTopology(withDelivery(a.actions(), a), a), a), a), a), a),
		Limits:   openapi.NewLimits(p.limits),
		Now:      p.now,
		Observe:  newAuditor(p.log, p.sink).observe,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+scriptPath, a.serveScript)
	mux.Handle("/", gateway)
	return mux
}
