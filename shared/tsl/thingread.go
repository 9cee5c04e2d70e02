package tsl

import (
	"encoding/json"
	"strconv"
	"strings"
)

// The document as ThingModelJson spells it ("ThingModelJson").
type (
	thingModel struct {
		Properties []thingProperty `json:"properties"`
		Events     []thingEvent    `json:"events"`
		Services   []thingService  `json:"services"`
		BlockID    string          `json:"functionBlockId"`
		BlockName  string          `json:"functionBlockName"`
	}
	thingProperty struct {
		Identifier  string          `json:"identifier"`
		Name        string          `json:"name"`
		RWFlag      string          `json:"rwFlag"`
		Required    bool            `json:"required"`
		Description string          `json:"description"`
		Extend      json.RawMessage `json:"extendConfig"`
		thingType
	}
	thingEvent struct {
		Identifier  string          `json:"identifier"`
		Name        string          `json:"eventName"`
		Type        string          `json:"eventType"`
		Required    bool            `json:"required"`
		Description string          `json:"description"`
		Output      []thingParam    `json:"outputdata"` // encoding/json takes outputData too
		Extend      json.RawMessage `json:"extendConfig"`
	}
	thingService struct {
		Identifier  string          `json:"identifier"`
		Name        string          `json:"serviceName"`
		CallType    string          `json:"callType"`
		Required    bool            `json:"required"`
		Description string          `json:"description"`
		Input       []thingParam    `json:"inputParams"`
		Output      []thingParam    `json:"outputParams"`
		Extend      json.RawMessage `json:"extendConfig"`
	}
	thingParam struct {
		Identifier string `json:"identifier"`
		Name       string `json:"name"`
		thingType
	}
	thingType struct {
		DataType  string          `json:"dataType"`
		Specs     json.RawMessage `json:"dataSpecs"`
		SpecsList json.RawMessage `json:"dataSpecsList"`
	}
	thingMember struct {
		Identifier string `json:"identifier"`
		Name       string `json:"name"`
		ChildName  string `json:"childName"`
		ChildType  string `json:"childDataType"`
		thingType
	}
)

// pairs of spellings, TSL's first.
var (
	accessModes = [][2]string{{"r", "READ_ONLY"}, {"rw", "READ_WRITE"}, {"w", "WRITE_ONLY"}}
	eventTypes  = [][2]string{{"info", "INFO_EVENT_TYPE"}, {"alert", "ALERT_EVENT_TYPE"}, {"error", "ERROR_EVENT_TYPE"}}
)

func fromThing(pairs [][2]string, s string) string {
	for _, p := range pairs {
		if p[1] == s {
			return p[0]
		}
	}
	return s
}

func toThing(pairs [][2]string, s string) string {
	for _, p := range pairs {
		if p[0] == s {
			return p[1]
		}
	}
	return s
}

// FromThingModelJSON reads a ThingModelJson document. Errors are those of Parse.
func FromThingModelJSON(data []byte) (*Model, error) {
	var d thingModel
	if err := decode(data, &d); err != nil {
		return nil, err
	}
	m := &Model{BlockID: d.BlockID, BlockName: d.BlockName}
	for i, p := range d.Properties {
		t, err := p.read(at("properties", i), 0)
		if err != nil {
			return nil, err
		}
		m.Properties = append(m.Properties,
			Property{p.Identifier, p.Name, fromThing(accessModes, p.RWFlag), p.Required, p.Description, t, string(p.Extend)})
	}
	for i, e := range d.Events {
		output, err := readParams(at("events", i)+".outputdata", e.Output)
		if err != nil {
			return nil, err
		}
		m.Events = append(m.Events, Event{e.Identifier, e.Name, fromThing(eventTypes, e.Type), e.Required, e.Description, output, string(e.Extend)})
	}
	for i, s := range d.Services {
		path := at("services", i)
		input, err := readParams(path+".inputParams", s.Input)
		if err != nil {
			return nil, err
		}
		output, err := readParams(path+".outputParams", s.Output)
		if err != nil {
			return nil, err
		}
		callType := CallType(strings.ToLower(s.CallType))
		m.Services = append(m.Services, Service{s.Identifier, s.Name, callType, s.Required, s.Description, input, output, string(s.Extend)})
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	m.index()
	return m, nil
}

func readParams(path string, raw []thingParam) ([]Argument, error) {
	args := make([]Argument, 0, len(raw))
	for i, p := range raw {
		t, err := p.read(path+at("", i), 0)
		if err != nil {
			return nil, err
		}
		args = append(args, Argument{p.Identifier, p.Name, t})
	}
	return args, nil
}

func (d thingType) read(path string, depth int) (Type, error) {
	t := Type{Kind: Kind(strings.ToLower(d.DataType))}
	if depth > 2 {
		return t, invalid(path, "is nested too deep")
	}
	switch t.Kind {
	case Int, Float, Double, Text:
		return t, t.readScalar(path+".dataSpecs", d.Specs)
	case Bool, Enum:
		var raw []struct {
			Name  string `json:"name"`
			Value loose  `json:"value"`
		}
		if err := json.Unmarshal(d.SpecsList, &raw); err != nil {
			return t, invalid(path+".dataSpecsList", "is not a list of names and values")
		}
		for i, n := range raw {
			v, err := strconv.ParseInt(string(n.Value), 10, 32)
			if err != nil {
				return t, invalid(path+at(".dataSpecsList", i)+".value", "%q is not an integer", n.Value)
			}
			t.Names = append(t.Names, Name{int32(v), n.Name})
		}
	case Struct:
		var raw []thingMember
		if err := json.Unmarshal(d.SpecsList, &raw); err != nil {
			return t, invalid(path+".dataSpecsList", "is not a list of members")
		}
		for i, member := range raw {
			child := member.thingType
			child.DataType = member.ChildType
			ct, err := child.read(path+at(".dataSpecsList", i), depth+1)
			if err != nil {
				return t, err
			}
			name := member.Name
			if name == "" {
				name = member.ChildName
			}
			t.Members = append(t.Members, Argument{member.Identifier, name, ct})
		}
	case Array:
		var raw struct {
			Size      loose           `json:"size"`
			ChildType string          `json:"childDataType"`
			Specs     json.RawMessage `json:"dataSpecs"`
			SpecsList json.RawMessage `json:"dataSpecsList"`
		}
		if err := json.Unmarshal(d.Specs, &raw); err != nil {
			return t, invalid(path+".dataSpecs", "has no size and childDataType")
		}
		size, err := strconv.Atoi(string(raw.Size))
		if err != nil {
			return t, invalid(path+".dataSpecs.size", "%q is not a number", raw.Size)
		}
		item, err := thingType{raw.ChildType, raw.Specs, raw.SpecsList}.read(path+".dataSpecs", depth+1)
		t.Size, t.Item = size, &item
		return t, err
	}
	return t, nil
}
