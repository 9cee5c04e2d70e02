package main

import (
	"context"

	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/product"
)

// defaultBlock refuses calls that name a custom module of the thing model: this installation has the default module alone.
func defaultBlock(c *openapi.Call) error {
	if id := c.Params.String("FunctionBlockId"); id != "" && id != "default" {
		return openapi.Refusef(openapi.CodeNotSupported, "custom modules of the thing model are not supported: leave FunctionBlockId away")
	}
	return nil
}

// modelCall reads what all calls about a thing model have.
func modelCall(c *openapi.Call) (iot.ProductKey, error) {
	pk, err := productKey(c)
	if err != nil {
		return "", err
	}
	return pk, defaultBlock(c)
}

func (a *api) createThingModel(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := modelCall(c)
	if err != nil {
		return nil, err
	}
	return nil, a.products.AddFeatures(ctx, pk, []byte(c.Params.String("ThingModelJson")))
}

func (a *api) updateThingModel(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := modelCall(c)
	if err != nil {
		return nil, err
	}
	return nil, a.products.UpdateFeature(ctx, pk, c.Params.String("Identifier"), []byte(c.Params.String("ThingModelJson")))
}

func (a *api) deleteThingModel(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := modelCall(c)
	if err != nil {
		return nil, err
	}
	p := c.Params
	return nil, a.products.DeleteFeatures(ctx, pk, p.Strings("PropertyIdentifier"), p.Strings("EventIdentifier"), p.Strings("ServiceIdentifier"))
}

func (a *api) publishThingModel(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	return nil, a.products.Publish(ctx, pk, c.Params.String("ModelVersion"), c.Params.String("Description"))
}

func (a *api) importThingModelTSL(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := modelCall(c)
	if err != nil {
		return nil, err
	}
	document := c.Params.String("TslStr")
	if document == "" {
		return nil, openapi.Missing("TslStr")
	}
	return nil, a.products.Import(ctx, pk, []byte(document))
}

// model gets the document that a call asks for: a version, or without one the draft or the newest version.
func (a *api) model(ctx context.Context, c *openapi.Call, published bool) (iot.ProductKey, product.Model, error) {
	if err := defaultBlock(c); err != nil {
		return "", product.Model{}, err
	}
	p, err := a.product(ctx, c)
	if err != nil {
		return "", product.Model{}, err
	}
	version := c.Params.String("ModelVersion")
	if version == "" && !published {
		m, err := product.Draft(p)
		return p.Key, m, err
	}
	m, err := product.Published(p, version)
	return p.Key, m, err
}

type thingModel struct {
	ProductKey iot.ProductKey
	Data       struct {
		ThingModelJSON string `json:"ThingModelJson"`
	}
}

func (a *api) thingModel(ctx context.Context, c *openapi.Call, published bool) (any, error) {
	pk, m, err := a.model(ctx, c, published)
	if err != nil {
		return nil, err
	}
	answer := thingModel{ProductKey: pk}
	answer.Data.ThingModelJSON = string(m.ToThingModelJSON(pk, m.Version, m.Description))
	return answer, nil
}

func (a *api) queryThingModel(ctx context.Context, c *openapi.Call) (any, error) {
	return a.thingModel(ctx, c, false)
}

func (a *api) queryThingModelPublished(ctx context.Context, c *openapi.Call) (any, error) {
	return a.thingModel(ctx, c, true)
}

// tslDocument has no TslUri: the document is here, and a signed URL to an object that holds it again would cost a write.
type tslDocument struct {
	TSL string `json:"TslStr"`
}

func (a *api) tsl(ctx context.Context, c *openapi.Call, published bool) (any, error) {
	simple, err := c.Params.Bool("Simple", false)
	if err != nil {
		return nil, err
	}
	pk, m, err := a.model(ctx, c, published)
	if err != nil {
		return nil, err
	}
	document := m.TSL(pk, m.Version)
	if simple {
		document = m.Simple()
	}
	return dataAnswer[tslDocument]{tslDocument{string(document)}}, nil
}

func (a *api) getThingModelTSL(ctx context.Context, c *openapi.Call) (any, error) {
	return a.tsl(ctx, c, false)
}

func (a *api) getThingModelTSLPublished(ctx context.Context, c *openapi.Call) (any, error) {
	return a.tsl(ctx, c, true)
}

type modelVersion struct {
	Description  string `json:",omitempty"`
	GmtCreate    int64
	ModelVersion string
}

func (a *api) listThingModelVersion(ctx context.Context, c *openapi.Call) (any, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	var answer dataAnswer[struct{ ModelVersions []modelVersion }]
	answer.Data.ModelVersions = list(len(p.Models), func(i int) modelVersion {
		m := p.Models[len(p.Models)-1-i]
		return modelVersion{m.Description, m.PublishedAt, m.Version}
	})
	return answer, nil
}
