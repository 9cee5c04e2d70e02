package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strconv"

	"relink/shared/alink"
	"relink/shared/desired"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/openapi"
	"relink/shared/store"
	"relink/shared/tsl"
)

type desiredVersions struct {
	MessageID string `json:"MessageId,omitempty"`
	Versions  string
}

// versionsText is the JSON text of the versions of changes.
func versionsText(changes []desired.Change, versions []int64) string {
	text := []byte{'{'}
	for i, c := range changes {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(alink.AppendString(text, c.Identifier), ':')
		text = strconv.AppendInt(text, versions[i], 10)
	}
	return string(append(text, '}'))
}

// setDeviceDesiredProperty stores values, and sends those that are not cleared to the device if it is there. That it is not is what
// desired values are for: it asks for them when it comes.
func (a *api) setDeviceDesiredProperty(ctx context.Context, c *openapi.Call) (any, error) {
	items, err := itemsOf(c)
	if err != nil {
		return nil, err
	}
	expect, err := readVersions(c.Params.String("Versions"))
	if err != nil {
		return nil, err
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	var checked tsl.CheckedDesired
	err = a.withModel(ctx, d.Ref.ProductKey, func(p *store.Product, m *tsl.Model) (err error) {
		checked, err = tsl.CheckDesired(m, []byte(items), tsl.Mode(p.ValidateType), desired.MaxSet)
		return err
	})
	if err != nil {
		return nil, err
	}
	changes := make([]desired.Change, 0, len(checked.Values))
	for _, v := range checked.Values {
		change := desired.Change{Identifier: v.Identifier, Value: v.JSON}
		if n, ok := expect[v.Identifier]; ok {
			change.Expect = &n
			delete(expect, v.Identifier)
		}
		changes = append(changes, change)
	}
	for id := range expect {
		return nil, iot.Errorf(iot.InvalidParams, "Versions has %s, which is not in Items", id)
	}
	versions, err := desired.New(a.desired).Set(ctx, d.Ref, changes, a.now().UnixMilli())
	if err != nil {
		return nil, err
	}
	id := a.ids.request()
	c.MessageID = id
	if checked.Params != nil {
		if _, err := publish(ctx, a.commander, propertySet(d.Ref, id, checked.Params, 0)); err != nil && !iot.Is(err, iot.DeviceOffline) {
			a.log.LogAttrs(ctx, slog.LevelWarn, "desired values not sent; the device has to ask for them", logs.Device(d.Ref), slog.String(logs.FieldMessageID, id), logs.Err(err))
		}
	}
	return dataAnswer[desiredVersions]{desiredVersions{id, versionsText(changes, versions)}}, nil
}

// readVersions reads {"id":version}.
func readVersions(text string) (map[string]int64, error) {
	var versions map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &versions); err != nil {
		return nil, iot.Errorf(iot.InvalidParams, "Versions is not a JSON object")
	}
	read := make(map[string]int64, len(versions))
	for id, raw := range versions {
		if string(raw) == "null" {
			continue
		}
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil || n < 0 {
			return nil, iot.Errorf(iot.InvalidParams, "the version of %s is not a whole number", id)
		}
		read[id] = n
	}
	return read, nil
}

func (a *api) clearDeviceDesiredProperty(ctx context.Context, c *openapi.Call) (any, error) {
	ids := c.Params.Strings("Identifies")
	switch {
	case len(ids) == 0:
		return nil, openapi.Refusef("iot.device.NoneDeviceProperties", "Identifies is empty")
	case len(ids) > desired.MaxSet:
		return nil, openapi.Refusef("iot.device.TooManyDevicePropertiesPerTime", "at most %d properties at once", desired.MaxSet)
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	service := desired.New(a.desired)
	now, err := service.Get(ctx, d.Ref)
	if err != nil {
		return nil, err
	}
	var changes []desired.Change
	for _, id := range ids {
		_, known := now[id] // what has left the thing model can still be cleared
		if !known {
			err := a.withModel(ctx, d.Ref.ProductKey, func(_ *store.Product, m *tsl.Model) error {
				if _, ok := m.Property(id); !ok {
					return openapi.Refusef("iot.device.NoneDeviceProperties", "the thing model has no property %s", id)
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
		if !slices.ContainsFunc(changes, func(c desired.Change) bool { return c.Identifier == id }) {
			changes = append(changes, desired.Change{Identifier: id})
		}
	}
	versions, err := service.Set(ctx, d.Ref, changes, a.now().UnixMilli())
	if err != nil {
		return nil, err
	}
	return dataAnswer[desiredVersions]{desiredVersions{Versions: versionsText(changes, versions)}}, nil
}

type desiredInfo struct {
	DataType   tsl.Kind
	Identifier string
	Name       string
	Time       string `json:",omitempty"`
	Unit       string `json:",omitempty"`
	Value      string `json:",omitempty"`
	Version    int64
}

func (a *api) queryDeviceDesiredProperty(ctx context.Context, c *openapi.Call) (any, error) {
	asked := c.Params.Strings("Identifier")
	if len(asked) > desired.MaxSet {
		return nil, openapi.Refusef("iot.device.TooManyDevicePropertiesPerTime", "at most %d properties at once", desired.MaxSet)
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	m, block, err := a.block(ctx, c, d.Ref.ProductKey)
	if err != nil {
		return nil, err
	}
	now, err := desired.New(a.desired).Get(ctx, d.Ref)
	if err != nil {
		return nil, err
	}
	if len(asked) == 0 {
		for i := range block.Properties {
			if p := &block.Properties[i]; p.Writable() {
				asked = append(asked, block.Address(p.Identifier))
			}
		}
	}
	infos := make([]desiredInfo, 0, len(asked))
	for _, id := range asked {
		p, ok := m.Property(id)
		if !ok {
			id = block.Address(id)
			p, ok = m.Property(id)
		}
		if !ok {
			return nil, openapi.Refusef("iot.device.NoneDeviceProperties", "the thing model has no property %s", id)
		}
		v := now[id]
		info := desiredInfo{DataType: p.Type.Kind, Identifier: id, Name: p.Name, Unit: p.Type.Unit, Version: v.Version}
		if v.Value != nil {
			info.Time, info.Value = strconv.FormatInt(v.Time, 10), text(v.Value)
		}
		infos = append(infos, info)
	}
	var answer dataAnswer[struct {
		List struct{ DesiredPropertyInfo []desiredInfo }
	}]
	answer.Data.List.DesiredPropertyInfo = infos
	return answer, nil
}
