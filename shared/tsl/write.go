package tsl

import (
	"strconv"

	"relink/shared/alink"
	"relink/shared/iot"
)

// Schema is the URL that every document names.
const Schema = "https://iotx-tsl.oss-ap-southeast-1.aliyuncs.com/schema.json"

// TSL writes the document, compact, with the automatic items first ("What is added automatically"). Product key and version are
// those of the profile; version is left out of a draft's.
func (m *Model) TSL(productKey iot.ProductKey, version string) []byte {
	return m.document(writer{full: true, automatic: true}, productKey, version)
}

// Stored is TSL without the automatic items, which say every property up to three times more: the form to keep. Parse reads it as
// the same model. The error is QuotaExceeded where it is longer than Parse takes.
func (m *Model) Stored(productKey iot.ProductKey, version string) ([]byte, error) {
	document := m.document(writer{full: true}, productKey, version)
	if len(document) > MaxDocument {
		return nil, iot.Errorf(iot.QuotaExceeded, "the thing model has %d bytes, at most %d are kept", len(document), MaxDocument)
	}
	return document, nil
}

func (m *Model) document(w writer, productKey iot.ProductKey, version string) []byte {
	w.raw(`{"schema":`).str(Schema)
	w.raw(`,"profile":{`)
	if version != "" {
		w.raw(`"version":`).str(version).raw(`,`)
	}
	w.raw(`"productKey":`).str(string(productKey)).raw(`},`)
	w.features(m)
	w.block(m)
	if !w.automatic && len(m.Blocks) > 0 { // devices and callers get each module's own document
		w.raw(`,"functionBlocks":[`)
		for i, b := range m.Blocks {
			w.comma(i).raw(`{`).features(b)
			w.block(b)
			w.raw(`}`)
		}
		w.raw(`]`)
	}
	return append(w.b, '}')
}

// block writes which custom module a document is of.
func (w *writer) block(m *Model) {
	if m.BlockID != "" {
		w.raw(`,"functionBlockId":`).str(m.BlockID).raw(`,"functionBlockName":`).str(m.BlockName)
	}
}

// Simple writes the simplified document: identifiers and data types only ("Simplified TSL"), without automatic items.
func (m *Model) Simple() []byte {
	w := writer{}
	w.raw(`{`)
	if m.ProductKey != "" {
		w.raw(`"profile":{"productKey":`).str(m.ProductKey).raw(`},`)
	}
	w.features(m)
	w.block(m)
	return append(w.b, '}')
}

// A writer writes compact JSON in the order that the original has.
type writer struct {
	b         []byte
	full      bool // names and descriptions too
	automatic bool // and the automatic items
}

func (w *writer) raw(s string) *writer { w.b = append(w.b, s...); return w }
func (w *writer) str(s string) *writer { w.b = alink.AppendString(w.b, s); return w }
func (w *writer) bool(v bool) *writer  { w.b = strconv.AppendBool(w.b, v); return w }

// comma separates elements of a list.
func (w *writer) comma(i int) *writer {
	if i > 0 {
		w.b = append(w.b, ',')
	}
	return w
}

func (w *writer) features(m *Model) {
	w.raw(`"properties":[`)
	var all, writable []Argument
	for i := range m.Properties {
		p := &m.Properties[i]
		w.comma(i).property(p)
		a := Argument{p.Identifier, p.Name, p.Type}
		all = append(all, a)
		if p.Writable() {
			writable = append(writable, a)
		}
	}
	w.raw(`],"events":[`)
	n := 0
	if w.automatic && len(all) > 0 {
		w.raw(`{"identifier":"post","name":"post","type":"info","required":true,"desc":"属性上报",`)
		w.raw(`"method":"thing.event.property.post","outputData":`)
		w.arguments(all).raw(`}`)
		n++
	}
	for i := range m.Events {
		w.comma(n).event(&m.Events[i], m.BlockID)
		n++
	}
	w.raw(`],"services":[`)
	n = 0
	if w.automatic && len(writable) > 0 {
		w.raw(`{"identifier":"set","name":"set","required":true,"callType":"async","desc":"属性设置",`)
		w.raw(`"method":"thing.service.property.set","inputData":`)
		w.arguments(writable).raw(`,"outputData":[]}`)
		n++
	}
	if w.automatic && len(all) > 0 {
		w.comma(n).raw(`{"identifier":"get","name":"get","required":true,"callType":"async","desc":"属性获取",`)
		w.raw(`"method":"thing.service.property.get","inputData":[`)
		for i, a := range all {
			w.comma(i).str(a.Identifier)
		}
		w.raw(`],"outputData":`)
		w.arguments(all).raw(`}`)
		n++
	}
	for i := range m.Services {
		w.comma(n).service(&m.Services[i], m.BlockID)
		n++
	}
	w.raw(`]`)
}

func (w *writer) property(p *Property) {
	w.raw(`{"identifier":`).str(p.Identifier)
	if w.full {
		w.raw(`,"name":`).str(p.Name).raw(`,"accessMode":`).str(p.AccessMode).raw(`,"required":`).bool(p.Required)
		w.desc(p.Desc)
	}
	w.raw(`,"dataType":`).dataType(&p.Type).extend(p.Extend)
	w.raw(`}`)
}

func (w *writer) desc(s string) *writer {
	if s != "" {
		w.raw(`,"desc":`).str(s)
	}
	return w
}

func (w *writer) extend(json string) *writer {
	if w.full && json != "" {
		w.raw(`,"extendConfig":`).raw(json)
	}
	return w
}

// method is the dotted name with the module's prefix.
func (w *writer) method(before, block, identifier, after string) *writer {
	if block != "" {
		identifier = block + ":" + identifier
	}
	return w.raw(`,"method":`).str(before + identifier + after)
}

func (w *writer) event(e *Event, block string) {
	w.raw(`{"identifier":`).str(e.Identifier)
	if w.full {
		w.raw(`,"name":`).str(e.Name).raw(`,"type":`).str(e.Type).raw(`,"required":`).bool(e.Required)
		w.desc(e.Desc).method("thing.event.", block, e.Identifier, ".post")
	}
	w.raw(`,"outputData":`)
	w.arguments(e.Output).extend(e.Extend)
	w.raw(`}`)
}

func (w *writer) service(s *Service, block string) {
	w.raw(`{"identifier":`).str(s.Identifier)
	if w.full {
		w.raw(`,"name":`).str(s.Name).raw(`,"required":`).bool(s.Required).raw(`,"callType":`).str(string(s.CallType))
		w.desc(s.Desc).method("thing.service.", block, s.Identifier, "")
	}
	w.raw(`,"inputData":`)
	w.arguments(s.Input).raw(`,"outputData":`)
	w.arguments(s.Output).extend(s.Extend)
	w.raw(`}`)
}

func (w *writer) arguments(args []Argument) *writer {
	w.raw(`[`)
	for i := range args {
		w.comma(i).raw(`{"identifier":`).str(args[i].Identifier)
		if w.full {
			w.raw(`,"name":`).str(args[i].Name)
		}
		w.raw(`,"dataType":`).dataType(&args[i].Type)
		w.raw(`}`)
	}
	return w.raw(`]`)
}

// dataType writes type and specs; all numbers in specs are strings.
func (w *writer) dataType(t *Type) *writer {
	w.raw(`{"type":`).str(string(t.Kind))
	switch t.Kind {
	case Int, Float, Double:
		w.raw(`,"specs":{`)
		n := 0
		for _, f := range [...]struct{ name, text string }{
			{"min", t.Min}, {"max", t.Max}, {"unit", t.Unit}, {"unitName", t.UnitName}, {"step", t.Step},
		} {
			if f.text != "" {
				w.comma(n).str(f.name).raw(`:`).str(f.text)
				n++
			}
		}
		w.raw(`}`)
	case Text:
		w.raw(`,"specs":{`)
		if t.Length > 0 {
			w.raw(`"length":`).str(strconv.Itoa(t.Length))
		}
		w.raw(`}`)
	case Bool, Enum:
		w.raw(`,"specs":{`)
		for i, n := range t.Names {
			w.comma(i).str(strconv.Itoa(int(n.Value))).raw(`:`).str(n.Name)
		}
		w.raw(`}`)
	case Date:
		w.raw(`,"specs":{}`)
	case Struct:
		w.raw(`,"specs":`).arguments(t.Members)
	case Array:
		w.raw(`,"specs":{"size":`).str(strconv.Itoa(t.Size)).raw(`,"item":`)
		w.item(t.Item).raw(`}`)
	}
	return w.raw(`}`)
}

// item writes the element type of an array: without specs where it has no limits.
func (w *writer) item(t *Type) *writer {
	bare := false
	switch t.Kind {
	case Int, Float, Double:
		bare = t.Min == "" && t.Max == "" && t.Step == "" && t.Unit == "" && t.UnitName == ""
	case Text:
		bare = t.Length == 0
	}
	if bare {
		return w.raw(`{"type":`).str(string(t.Kind)).raw(`}`)
	}
	return w.dataType(t)
}
