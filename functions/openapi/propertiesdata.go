package main

import (
	"context"
	"slices"

	"relink/shared/openapi"
	"relink/shared/store"
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
	h, err := readSpan(c, 0, 100)
	if err != nil {
		return nil, err
	}
	if !h.ascending {
		h.from, h.to = h.to, h.from
	}
	if h.from > h.to {
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
	if err := a.haveProperties(ctx, d.Ref.ProductKey, ids...); err != nil {
		return nil, err
	}
	lists := make([][]store.Value, len(ids))
	stop := int64(0) // 0: none is full
	for i, id := range ids {
		values, next, err := a.properties.History(ctx, d.Ref, id, h.from, h.to, h.ascending, h.size)
		if err != nil {
			return nil, err
		}
		if lists[i] = values; next != 0 && (stop == 0 || h.ascending && next < stop || !h.ascending && next > stop) {
			stop = next
		}
	}
	answer := propertiesHistory{NextTime: stop, NextValid: stop != 0}
	answer.PropertyDataInfos.PropertyDataInfo = list(len(ids), func(i int) propertyData {
		values := lists[i]
		if stop != 0 {
			values = slices.DeleteFunc(values, func(v store.Value) bool { return h.ascending && v.Time >= stop || !h.ascending && v.Time <= stop })
		}
		data := propertyData{Identifier: ids[i]}
		data.List.PropertyInfo = list(len(values), func(j int) timedValue { return timedValue{values[j].Time, text(values[j].JSON)} })
		return data
	})
	return answer, nil
}
