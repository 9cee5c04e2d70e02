package tsl

import (
	"encoding/json"
	"strconv"

	"relink/shared/alink"
	"relink/shared/iot"
)

// The document as TSL spells it ("The full document").
type (
	document struct {
		Profile struct {
			ProductKey string `json:"productKey"`
			Version    string `json:"version"`
		} `json:"profile"`
		Properties []property `json:"properties"`
		Events     []event    `json:"events"`
		Services   []service  `json:"services"`
		BlockID    string     `json:"functionBlockId"`
		BlockName  string     `json:"functionBlockName"`
		Blocks     []document `json:"functionBlocks"` // whole documents in what Stored writes, else names only
	}
	property struct {
		Identifier string          `json:"identifier"`
		Name       string          `json:"name"`
		AccessMode string          `json:"accessMode"`
		Required   bool            `json:"required"`
		Desc       string          `json:"desc"`
		DataType   dataType        `json:"dataType"`
		Extend     json.RawMessage `json:"extendConfig"`
	}
	event struct {
		Identifier string          `json:"identifier"`
		Name       string          `json:"name"`
		Type       string          `json:"type"`
		Required   bool            `json:"required"`
		Desc       string          `json:"desc"`
		Method     string          `json:"method"`
		Output     []argument      `json:"outputData"`
		Extend     json.RawMessage `json:"extendConfig"`
	}
	service struct {
		Identifier string          `json:"identifier"`
		Name       string          `json:"name"`
		CallType   CallType        `json:"callType"`
		Required   bool            `json:"required"`
		Desc       string          `json:"desc"`
		Method     string          `json:"method"`
		Input      json.RawMessage `json:"inputData"` // of the automatic service get: identifiers only
		Output     []argument      `json:"outputData"`
		Extend     json.RawMessage `json:"extendConfig"`
	}
	argument struct {
		Identifier string   `json:"identifier"`
		Name       string   `json:"name"`
		DataType   dataType `json:"dataType"`
	}
	dataType struct {
		Type  Kind            `json:"type"`
		Specs json.RawMessage `json:"specs"`
	}
)

// Parse reads a TSL document, of the default module or of a custom one. The automatic items post, set and get are left out: they
// follow from the properties. Custom modules are read from what Stored has written; the original's list of their names is passed over.
// The error is an *iot.Error whose detail names the path of what is wrong.
func Parse(tsl []byte) (*Model, error) {
	var d document
	if err := decode(tsl, &d); err != nil {
		return nil, err
	}
	m, err := d.model()
	if err != nil {
		return nil, err
	}
	for i := range d.Blocks {
		b := &d.Blocks[i]
		if b.Properties == nil && b.Events == nil && b.Services == nil {
			continue
		}
		block, err := b.model()
		if err != nil {
			return nil, err
		}
		if m, err = m.AddBlock(block); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// model makes a module of its document.
func (d *document) model() (*Model, error) {
	m := &Model{ProductKey: d.Profile.ProductKey, Version: d.Profile.Version, BlockID: d.BlockID, BlockName: d.BlockName}
	for i, p := range d.Properties {
		t, err := p.DataType.read(at("properties", i)+".dataType", 0)
		if err != nil {
			return nil, err
		}
		m.Properties = append(m.Properties, Property{p.Identifier, p.Name, p.AccessMode, p.Required, p.Desc, t, string(p.Extend)})
	}
	for i, e := range d.Events {
		if e.Identifier == "post" {
			continue
		}
		output, err := readArguments(at("events", i)+".outputData", e.Output, 0)
		if err != nil {
			return nil, err
		}
		m.Events = append(m.Events, Event{e.Identifier, e.Name, e.Type, e.Required, e.Desc, output, string(e.Extend)})
	}
	for i, s := range d.Services {
		if s.Identifier == "set" || s.Identifier == "get" {
			continue
		}
		path := at("services", i)
		var raw []argument
		if len(s.Input) > 0 {
			if err := json.Unmarshal(s.Input, &raw); err != nil {
				return nil, invalid(path+".inputData", "is not a list of arguments")
			}
		}
		input, err := readArguments(path+".inputData", raw, 0)
		if err != nil {
			return nil, err
		}
		output, err := readArguments(path+".outputData", s.Output, 0)
		if err != nil {
			return nil, err
		}
		m.Services = append(m.Services, Service{s.Identifier, s.Name, s.CallType, s.Required, s.Desc, input, output, string(s.Extend)})
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	m.index()
	return m, nil
}

// decode reads a JSON document of bounded size and depth.
func decode(data []byte, into any) error {
	if len(data) > MaxDocument {
		return iot.Errorf(iot.QuotaExceeded, "the document has more than %d bytes", MaxDocument)
	}
	if !alink.Valid(data) {
		return iot.Errorf(iot.InvalidParams, "the document is not JSON, or has a member twice")
	}
	if err := json.Unmarshal(data, into); err != nil {
		if e, ok := err.(*json.UnmarshalTypeError); ok {
			return invalid(e.Field, "cannot be a JSON %s", e.Value)
		}
		return iot.Errorf(iot.InvalidParams, "the document is not a thing model")
	}
	return nil
}

func readArguments(path string, raw []argument, depth int) ([]Argument, error) {
	args := make([]Argument, 0, len(raw))
	for i, a := range raw {
		t, err := a.DataType.read(path+at("", i)+".dataType", depth)
		if err != nil {
			return nil, err
		}
		args = append(args, Argument{a.Identifier, a.Name, t})
	}
	return args, nil
}

// read makes a Type of a dataType. Depth bounds recursion: no valid type is deeper than array, struct, member.
func (d dataType) read(path string, depth int) (Type, error) {
	t := Type{Kind: d.Type}
	specs := path + ".specs"
	if depth > 2 {
		return t, invalid(path, "is nested too deep")
	}
	switch d.Type {
	case Int, Float, Double, Text:
		return t, t.readScalar(specs, d.Specs)
	case Bool, Enum:
		return t, t.readNames(specs, d.Specs)
	case Struct:
		var raw []argument
		if err := json.Unmarshal(d.Specs, &raw); err != nil {
			return t, invalid(specs, "is not a list of members")
		}
		members, err := readArguments(specs, raw, depth+1)
		t.Members = members
		return t, err
	case Array:
		var raw struct {
			Size loose    `json:"size"`
			Item dataType `json:"item"`
		}
		if err := json.Unmarshal(d.Specs, &raw); err != nil {
			return t, invalid(specs, "has no size and item")
		}
		size, err := strconv.Atoi(string(raw.Size))
		if err != nil {
			return t, invalid(specs+".size", "%q is not a number", raw.Size)
		}
		item, err := raw.Item.read(specs+".item", depth+1)
		t.Size, t.Item = size, &item
		return t, err
	}
	return t, nil // Date has none; what is unknown fails the check
}

// loose is a number that may stand in quotes; its text.
type loose string

func (l *loose) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		*l = loose(alink.Unquote(data))
	} else if string(data) != "null" {
		*l = loose(data)
	}
	return nil
}

func (t *Type) readScalar(path string, specs json.RawMessage) error {
	var raw struct {
		Min      loose  `json:"min"`
		Max      loose  `json:"max"`
		Step     loose  `json:"step"`
		Unit     string `json:"unit"`
		UnitName string `json:"unitName"`
		Length   loose  `json:"length"`
	}
	if len(specs) == 0 {
		return nil
	}
	if err := json.Unmarshal(specs, &raw); err != nil {
		return invalid(path, "is not an object of strings")
	}
	if t.Kind == Text {
		if raw.Length == "" {
			return nil
		}
		n, err := strconv.Atoi(string(raw.Length))
		if err != nil {
			return invalid(path+".length", "%q is not a number", raw.Length)
		}
		t.Length = n
		return nil
	}
	t.Min, t.Max, t.Step = string(raw.Min), string(raw.Max), string(raw.Step)
	t.Unit, t.UnitName = raw.Unit, raw.UnitName
	return nil
}

func (t *Type) readNames(path string, specs json.RawMessage) error {
	for key, raw := range alink.Members(specs) {
		value, err := strconv.ParseInt(string(key), 10, 32)
		if err != nil {
			return invalid(path, "%q is not an integer", key)
		}
		if raw[0] != '"' {
			return invalid(path+"."+string(key), "is not a name")
		}
		t.Names = append(t.Names, Name{int32(value), string(alink.Unquote(raw))})
	}
	return nil
}
