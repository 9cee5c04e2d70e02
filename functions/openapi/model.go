package main

import (
	"context"

	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/product"
)

// block reads which module of the thing model a call is about.
func block(c *openapi.Call) product.Block {
	return product.Block{ID: c.Params.String("FunctionBlockId"), Name: c.Params.String("FunctionBlockName")}
}

func (a *api) createThingModel(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	return nil, a.products.AddFeatures(ctx, pk, block(c), []byte(c.Params.String("ThingModelJson")))
}

func (a *api) updateThingModel(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	return nil, a.products.UpdateFeature(ctx, pk, block(c), c.Params.String("Identifier"), []byte(c.Params.String("ThingModelJson")))
}

func (a *api) deleteThingModel(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	p := c.Params
	return nil, a.products.DeleteFeatures(ctx, pk, block(c), p.Strings("PropertyIdentifier"), p.Strings("EventIdentifier"), p.Strings("ServiceIdentifier"))
}

func (a *api) copyThingModel(ctx context.Context, c *openapi.Call) (any, error) {
	from, to := c.Params.String("SourceProductKey"), c.Params.String("TargetProductKey")
	if !iot.ValidProductKey(from) || !iot.ValidProductKey(to) {
		return nil, openapi.Refusef(openapi.CodeBadProductKey, "a product key is malformed")
	}
	c.Device.ProductKey = iot.ProductKey(to)
	return nil, a.products.Copy(ctx, iot.ProductKey(from), iot.ProductKey(to), c.Params.String("SourceModelVersion"))
}

func (a *api) publishThingModel(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	version := c.Params.String("ModelVersion")
	if version == "" {
		version = c.Params.String("ThingModelVersion") // PublishThingModelAsync calls it so
	}
	return nil, a.products.Publish(ctx, pk, version, c.Params.String("Description"))
}

func (a *api) importThingModelTSL(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	document := c.Params.String("TslStr")
	if document == "" {
		return nil, openapi.Missing("TslStr")
	}
	return nil, a.products.Import(ctx, pk, block(c), []byte(document))
}

// model gets the document that a call asks for: a version, or without one the draft or the newest version.
func (a *api) model(ctx context.Context, c *openapi.Call, published bool) (iot.ProductKey, product.Model, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return "", product.Model{}, err
	}
	var m product.Model
	version := c.Params.String("ModelVersion")
	if version == "" && !published {
		m, err = product.Draft(p)
	} else {
		m, err = product.Published(p, version)
	}
	if err == nil {
		m.Model, err = m.Block(c.Params.String("FunctionBlockId"))
	}
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
