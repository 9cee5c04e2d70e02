package tsl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"relink/shared/iot"
)

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
	if len(m.Blocks) > 0 {
		blocks := make([]node, 0, len(m.Blocks))
		for _, b := range m.Blocks {
			blocks = append(blocks, node{"functionBlockId": b.BlockID, "functionBlockName": b.BlockName, "productKey": productKey})
		}
		d["functionBlocks"] = blocks
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
