package deviceinfo

import (
	"context"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/refusal"
	"relink/shared/tsl"
)

// thing gives the published thing model of the request's product.
func (s *Service) thing(ctx context.Context, r *exchange.Request) (*tsl.Model, error) {
	p, err := s.products.Get(ctx, r.Ref().ProductKey)
	switch {
	case err != nil:
		return nil, err
	case p.ThingErr != nil:
		return nil, p.ThingErr
	case p.Thing == nil:
		return nil, &alink.Error{Code: alink.CodeModelLookup, Cause: refusal.ModelMissing, Message: "thing model not found", Kind: iot.ModelNotFound}
	}
	return p.Thing, nil
}

// model is thing/dsltemplate/get: the whole document.
func (s *Service) model(ctx context.Context, r *exchange.Request) exchange.Answer {
	m, err := s.thing(ctx, r)
	if err != nil {
		return failed(err)
	}
	return exchange.Answer{Data: m.ForDevice(r.Ref())}
}

// dynamicModel is thing/dynamicTsl/get: the simplified document, with the members that params.nodes names.
func (s *Service) dynamicModel(ctx context.Context, r *exchange.Request) exchange.Answer {
	var names []string
	addDefault := false
	for name, value := range alink.Members(r.Alink.Params) {
		switch string(name) {
		case "nodes":
			for item := range alink.Elements(value) {
				names = append(names, text(item))
			}
		case "addDefault":
			addDefault = string(value) == "true" || text(value) == "true" || text(value) == "1"
		}
	}
	m, err := s.thing(ctx, r)
	if err != nil {
		return failed(err)
	}
	return exchange.Answer{Data: m.Dynamic(r.Ref(), tsl.ParseNodes(names), addDefault)}
}
