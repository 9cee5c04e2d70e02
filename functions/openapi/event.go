package main

import (
	"context"
	"strconv"

	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/product"
	"relink/shared/store"
	"relink/shared/tsl"
)

// A history is what the queries over a device's past have in common.
type history struct {
	from, to  int64
	ascending bool
	size      int
}

// readHistory reads Asc, PageSize, StartTime and EndTime; both ends count, and they are equal when the last page is one time. A default
// size of 0 means that the caller has to say it.
func readHistory(c *openapi.Call, defaultSize, maxSize int) (history, error) {
	h, err := readSpan(c, defaultSize, maxSize)
	if err == nil && h.from > h.to {
		err = openapi.Refusef("iot.device.InvalidTimeBucket", "StartTime must be before EndTime")
	}
	return h, err
}

// readSpan is readHistory without a look at which time comes first.
func readSpan(c *openapi.Call, defaultSize, maxSize int) (h history, err error) {
	asc, err := c.Params.Int("Asc", 0)
	if err != nil || asc != 0 && asc != 1 {
		return h, openapi.Invalid("Asc")
	}
	h.ascending = asc == 1
	if h.size, err = c.Params.Int("PageSize", defaultSize); err != nil {
		return h, err
	}
	if h.size < 1 || h.size > maxSize {
		return h, openapi.Refusef(openapi.CodePage, "PageSize is 1 to %d", maxSize)
	}
	if h.from, err = c.Params.Int64("StartTime", 0); err != nil {
		return h, err
	}
	h.to, err = c.Params.Int64("EndTime", 0)
	return h, err
}

type eventInfo struct {
	EventType  string
	Identifier string
	Name       string
	OutputData string
	Time       string
}

type eventHistory struct {
	List      struct{ EventInfo []eventInfo }
	NextTime  int64 `json:",omitempty"`
	NextValid bool
}

func (a *api) queryDeviceEventData(ctx context.Context, c *openapi.Call) (any, error) {
	h, err := readHistory(c, 10, 50)
	if err != nil {
		return nil, err
	}
	kind := c.Params.String("EventType")
	switch kind {
	case "", "info", "alert", "error", tsl.EventUnknown:
	default:
		return nil, openapi.Invalid("EventType")
	}
	identifier := c.Params.String("Identifier")
	if len(identifier) > 128 {
		return nil, openapi.Invalid("Identifier")
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	names, err := a.eventNames(ctx, d.Ref.ProductKey)
	if err != nil {
		return nil, err
	}
	events, next, err := a.events.List(ctx, d.Ref, store.EventQuery{
		Identifier: identifier, Type: kind, From: h.from, To: h.to, Ascending: h.ascending, Limit: h.size,
	})
	if err != nil {
		return nil, err
	}
	answer := eventHistory{NextTime: next, NextValid: next != 0}
	answer.List.EventInfo = list(len(events), func(i int) eventInfo {
		e := &events[i]
		return eventInfo{e.Type, e.Identifier, names(e.Identifier), string(e.Output), strconv.FormatInt(e.Time, 10)}
	})
	return dataAnswer[eventHistory]{answer}, nil
}

// eventNames gives names to events, those of the thing model in force; an event that is not in it is called by its identifier. A
// product without a model may have had one, and its devices may have reported events without.
func (a *api) eventNames(ctx context.Context, pk iot.ProductKey) (func(identifier string) string, error) {
	p, err := a.cached.Get(ctx, pk)
	if err != nil {
		return nil, err
	}
	model := p.Thing
	if model == nil && p.Senior {
		if m, err := product.Draft(&p.Product); err == nil {
			model = m.Model
		}
	}
	return func(identifier string) string {
		if model != nil {
			if e, ok := model.Event(identifier); ok {
				return e.Name
			}
		}
		return identifier
	}, nil
}
