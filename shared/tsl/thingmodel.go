package tsl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"relink/shared/iot"
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
		m.Properties = append(m.Properties, Property{p.Identifier, p.Name, fromThing(accessModes, p.RWFlag), p.Required, p.Description, t, string(p.Extend)})
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
		m.Services = append(m.Services, Service{s.Identifier, s.Name, CallType(strings.ToLower(s.CallType)), s.Required, s.Description, input, output, string(s.Extend)})
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

// node is an object on its way out: encoding/json sorts its keys, as the original does.
type node map[string]any

// ToThingModelJSON writes the document, its members sorted by key; _ppk only if version is not empty.
func (m *Model) ToThingModelJSON(productKey iot.ProductKey, version, description string) []byte {
	properties, events, services := []node{}, []node{}, []node{}
	for i := range m.Properties {
		p := &m.Properties[i]
		n := node{"productKey": productKey, "identifier": p.Identifier, "name": p.Name, "rwFlag": toThing(accessModes, p.AccessMode),
			"required": p.Required, "custom": true}
		p.Type.toThing(n)
		properties = append(properties, n.rest(p.Desc, p.Extend))
	}
	for i := range m.Events {
		e := &m.Events[i]
		n := node{"productKey": productKey, "identifier": e.Identifier, "eventName": e.Name, "eventType": toThing(eventTypes, e.Type),
			"required": e.Required, "custom": true, "outputdata": params(e.Output, "PARAM_OUTPUT")}
		events = append(events, n.rest(e.Desc, e.Extend))
	}
	for i := range m.Services {
		s := &m.Services[i]
		n := node{"productKey": productKey, "identifier": s.Identifier, "serviceName": s.Name, "callType": strings.ToUpper(string(s.CallType)),
			"required": s.Required, "custom": true,
			"inputParams": params(s.Input, "PARAM_INPUT"), "outputParams": params(s.Output, "PARAM_OUTPUT")}
		services = append(services, n.rest(s.Desc, s.Extend))
	}
	d := node{"productKey": productKey, "properties": properties, "events": events, "services": services}
	if version != "" {
		d["_ppk"] = node{"version": version, "description": description}
	}
	if m.BlockID != "" {
		d["functionBlockId"], d["functionBlockName"] = m.BlockID, m.BlockName
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		panic(fmt.Sprintf("tsl: a checked model does not encode: %v", err)) // strings, numbers and JSON that was read as such
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func (n node) rest(desc, extend string) node {
	if desc != "" {
		n["description"] = desc
	}
	if extend != "" {
		n["extendConfig"] = json.RawMessage(extend)
	}
	return n
}

func params(args []Argument, direction string) []node {
	list := make([]node, 0, len(args))
	for i := range args {
		n := node{"identifier": args[i].Identifier, "name": args[i].Name, "direction": direction, "paraOrder": i, "custom": true}
		args[i].Type.toThing(n)
		list = append(list, n)
	}
	return list
}

// toThing sets dataType and the one of dataSpecs and dataSpecsList that belongs to it.
func (t *Type) toThing(n node) {
	n["dataType"] = strings.ToUpper(string(t.Kind))
	t.toSpecs(n)
}

func (t *Type) toSpecs(n node) {
	kind := strings.ToUpper(string(t.Kind))
	specs := node{"dataType": kind, "custom": true}
	switch t.Kind {
	case Int, Float, Double:
		for name, text := range map[string]string{"min": t.Min, "max": t.Max, "step": t.Step, "unit": t.Unit, "unitName": t.UnitName} {
			if text != "" {
				specs[name] = text
			}
		}
	case Text:
		if t.Length > 0 {
			specs["length"] = t.Length
		}
	case Bool, Enum:
		list := make([]node, 0, len(t.Names))
		for _, name := range t.Names {
			list = append(list, node{"dataType": kind, "name": name.Name, "value": name.Value, "custom": true})
		}
		n["dataSpecsList"] = list
		return
	case Struct:
		list := make([]node, 0, len(t.Members))
		for i := range t.Members {
			m := &t.Members[i]
			child := node{"dataType": kind, "identifier": m.Identifier, "name": m.Name, "childName": m.Name,
				"childDataType": strings.ToUpper(string(m.Type.Kind)), "custom": true}
			m.Type.toSpecs(child)
			list = append(list, child)
		}
		n["dataSpecsList"] = list
		return
	case Array:
		specs["size"] = t.Size
		specs["childDataType"] = strings.ToUpper(string(t.Item.Kind))
		t.Item.toSpecs(specs)
	}
	n["dataSpecs"] = specs
}
