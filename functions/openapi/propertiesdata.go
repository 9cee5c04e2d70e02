package main

import (
	"context"
	"slices"

	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/store"
	"relink/shared/tsl"
)

type timedValue struct {
	Time  int64
	Value string
}

type propertyData struct {
	Identifier string
	List       struct{ PropertyInfo []timedValue }
}

type propertiesHistory struct {
	NextTime          int64 `json:",omitempty"`
	NextValid         bool
	PropertyDataInfos struct{ PropertyDataInfo []propertyData }
}

// queryDevicePropertiesData answers the histories of several properties side by side. Newest first, StartTime is the later one here. All
// of them stop where the first whose page is full stops, so that one NextTime goes on for all.
func (a *api) queryDevicePropertiesData(ctx context.Context, c *openapi.Call) (any, error) {
	asc, err := c.Params.Int("Asc", 0)
	if err != nil || asc != 0 && asc != 1 {
		return nil, openapi.Invalid("Asc")
	}
	size, err := c.Params.Int("PageSize", 0)
	if err != nil {
		return nil, err
	}
	if size < 1 || size > 100 {
		return nil, openapi.Refusef(openapi.CodePage, "PageSize is 1 to 100")
	}
	from, err := c.Params.Int64("StartTime", 0)
	if err != nil {
		return nil, err
	}
	to, err := c.Params.Int64("EndTime", 0)
	if err != nil {
		return nil, err
	}
	if asc == 0 {
		from, to = to, from
	}
	if from > to {
		return nil, openapi.Refusef("iot.device.InvalidTimeBucket", "StartTime must be before EndTime if Asc is 1, after it if Asc is 0")
	}
	ids := c.Params.Strings("Identifier")
	if sorted := slices.Sorted(slices.Values(ids)); len(ids) < 1 || len(ids) > 10 || len(slices.Compact(sorted)) != len(ids) {
		return nil, openapi.Invalid("Identifier")
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	err = a.withModel(ctx, d.Ref.ProductKey, func(_ *store.Product, m *tsl.Model) error {
		for _, id := range ids {
			if _, ok := m.Property(id); !ok {
				return iot.Errorf(iot.NotInModel, "the thing model has no property %s", id)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	lists := make([][]store.Value, len(ids))
	stop := int64(0) // 0: none is full
	for i, id := range ids {
		values, next, err := a.properties.History(ctx, d.Ref, id, from, to, asc == 1, size)
		if err != nil {
			return nil, err
		}
		if lists[i] = values; next != 0 && (stop == 0 || asc == 1 && next < stop || asc == 0 && next > stop) {
			stop = next
		}
	}
	h := propertiesHistory{NextTime: stop, NextValid: stop != 0}
	h.PropertyDataInfos.PropertyDataInfo = list(len(ids), func(i int) propertyData {
		values := lists[i]
		if stop != 0 {
			values = slices.DeleteFunc(values, func(v store.Value) bool { return asc == 1 && v.Time >= stop || asc == 0 && v.Time <= stop })
		}
		data := propertyData{Identifier: ids[i]}
		data.List.PropertyInfo = list(len(values), func(j int) timedValue { return timedValue{values[j].Time, text(values[j].JSON)} })
		return data
	})
	return h, nil
}
