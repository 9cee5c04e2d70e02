package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"relink/shared/device/registry"
	"relink/shared/openapi"
	"relink/shared/product"
	"relink/shared/store"
)

// tables are what the actions store and read.
type tables struct {
	products     store.Products
	devices      store.Devices
	sessions     store.Sessions
	nodes        store.Nodes
	properties   store.Properties
	events       store.Events
	desired      store.DesiredProperties
	applications store.Applications
}

// parts are what a handler is made of.
type parts struct {
	tables    tables
	commander commander
	sink      sink
	keys      openapi.Keys
	limits    openapi.LimitPolicy
	region    string
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
	t := p.tables
	a := &api{
		products: product.New(t.products, t.devices, p.now),
		devices: registry.New(registry.Stores{Products: t.products, Devices: t.devices, Sessions: t.sessions, Nodes: t.nodes,
			Applications: t.applications}, dropper{p.commander}, p.now),
		cached:     store.NewCachedProducts(t.products, p.now),
		rows:       t.devices,
		properties: t.properties,
		events:     t.events,
		desired:    t.desired,
		commander:  p.commander,
		ids:        newIDs(p.now),
		now:        p.now,
		region:     p.region,
	}
	return &openapi.Gateway{
		Verifier: openapi.NewVerifier(p.keys, p.now),
		Actions:  a.actions(),
		Limits:   openapi.NewLimits(p.limits),
		Now:      p.now,
		Observe:  newAuditor(p.log, p.sink).observe,
	}
}
