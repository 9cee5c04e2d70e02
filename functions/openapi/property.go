package main

import (
	"context"
	"encoding/json"
	"strconv"

	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/store"
	"relink/shared/tsl"
)

type messageID struct {
	MessageID string `json:"MessageId"`
}

// thing gets the device of a call that sends it something, and makes sure that it has ever been there.
func (a *api) thing(ctx context.Context, c *openapi.Call) (*store.Device, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	s, err := a.devices.State(ctx, d)
	if err != nil {
		return nil, err
	}
	if s.Session == nil {
		return nil, iot.Errorf(iot.DeviceNeverSeen, "the device has never connected")
	}
	return d, nil
}

// qos reads the parameter Qos.
func qos(c *openapi.Call) (byte, error) {
	q, err := c.Params.Int("Qos", 0)
	if err != nil || q != 0 && q != 1 {
		return 0, openapi.Invalid("Qos")
	}
	return byte(q), nil
}

// itemsOf reads the parameter Items: a JSON object that is not empty.
func itemsOf(c *openapi.Call) (string, error) {
	items := c.Params.String("Items")
	switch {
	case items == "":
		return "", openapi.Refusef("iot.device.NullDevicePropertiesString", "Items is empty")
	case !json.Valid([]byte(items)) || items[0] != '{':
		return "", openapi.Refusef("iot.device.InvalidFormattedDevicePropertiesString", "Items is not a JSON object")
	case emptyObject(items):
		return "", openapi.Refusef("iot.device.NoneDeviceProperties", "Items names no property")
	}
	return items, nil
}

func (a *api) setDeviceProperty(ctx context.Context, c *openapi.Call) (any, error) {
	q, err := qos(c)
	if err != nil {
		return nil, err
	}
	items, err := itemsOf(c)
	if err != nil {
		return nil, err
	}
	d, err := a.thing(ctx, c)
	if err != nil {
		return nil, err
	}
	var params []byte
	err = a.withModel(ctx, d.Ref.ProductKey, func(p *store.Product, m *tsl.Model) error {
		params, err = tsl.CheckSet(m, []byte(items), tsl.Mode(p.ValidateType))
		return err
	})
	if err != nil {
		return nil, err
	}
	id := a.ids.request()
	c.MessageID = id
	_, err = publish(ctx, a.commander, propertySet(d.Ref, id, params, q))
	if err != nil {
		return nil, err
	}
	return dataAnswer[messageID]{messageID{id}}, nil
}

func emptyObject(s string) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal([]byte(s), &members) == nil && len(members) == 0
}

type propertyStatus struct {
	DataType   tsl.Kind
	Identifier string
	Name       string
	Time       string `json:",omitempty"`
	Unit       string `json:",omitempty"`
	Value      string `json:",omitempty"`
}

func (a *api) queryDevicePropertyStatus(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	_, block, err := a.block(ctx, c, d.Ref.ProductKey)
	if err != nil {
		return nil, err
	}
	latest, err := a.properties.Latest(ctx, d.Ref)
	if err != nil {
		return nil, err
	}
	values := make(map[string]store.Value, len(latest))
	for _, v := range latest {
		values[v.Identifier] = v
	}
	var answer dataAnswer[struct {
		List struct{ PropertyStatusInfo []propertyStatus }
	}]
	answer.Data.List.PropertyStatusInfo = list(len(block.Properties), func(i int) propertyStatus {
		p := &block.Properties[i]
		s := propertyStatus{DataType: p.Type.Kind, Identifier: block.Address(p.Identifier), Name: p.Name, Unit: p.Type.Unit}
		if v, ok := values[s.Identifier]; ok {
			s.Time, s.Value = strconv.FormatInt(v.Time, 10), text(v.JSON)
		}
		return s
	})
	return answer, nil
}

// text is how this API gives values: as strings, those of text and dates without their quotation marks.
func text(value json.RawMessage) string {
	var s string
	if len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &s) == nil {
		return s
	}
	return string(value)
}

type propertyValue struct{ Time, Value string }

type propertyHistory struct {
	List      struct{ PropertyInfo []propertyValue }
	NextTime  int64 `json:",omitempty"`
	NextValid bool
}

func (a *api) queryDevicePropertyData(ctx context.Context, c *openapi.Call) (any, error) {
	h, err := readHistory(c, 0, 50)
	if err != nil {
		return nil, err
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	identifier := c.Params.String("Identifier")
	if err := a.haveProperties(ctx, d.Ref.ProductKey, identifier); err != nil {
		return nil, err
	}
	values, next, err := a.properties.History(ctx, d.Ref, identifier, h.from, h.to, h.ascending, h.size)
	if err != nil {
		return nil, err
	}
	answer := propertyHistory{NextTime: next, NextValid: next != 0}
	answer.List.PropertyInfo = list(len(values), func(i int) propertyValue {
		return propertyValue{strconv.FormatInt(values[i].Time, 10), text(values[i].JSON)}
	})
	return dataAnswer[propertyHistory]{answer}, nil
}
