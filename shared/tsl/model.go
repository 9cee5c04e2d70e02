// Package tsl is the thing model: what properties, events and services the devices of a product have. It reads and writes the two
// spellings that the platform's OpenAPI has for it (TSL and ThingModelJson), edits drafts, and checks what devices post and what
// applications send against it. The facts are those of "Thing model (TSL)" in the device protocol and of "Thing-model JSON" in the
// OpenAPI.
package tsl

import "strings"

// A Mode is how strictly values are checked: the product's ValidateType.
type Mode int

// The modes ("ValidateType").
const (
	Strong Mode = 0 // type, range, length, members
	Weak   Mode = 1 // the identifier exists and the value's JSON type fits
	None   Mode = 2 // nothing; such values are forwarded but not stored
)

// A Model is the thing model of a product: its default module, and the custom modules that were added with AddBlock. The zero value
// is an empty model. A model that is in use is not changed: edits make a new one, so that many goroutines may read it.
type Model struct {
	ProductKey string // of profile; informative
	Version    string // of profile; empty for a draft
	BlockID    string // functionBlockId, of a custom module's own document
	BlockName  string
	Properties []Property
	Events     []Event   // without the automatic one, post
	Services   []Service // without the automatic ones, set and get
	Blocks     []*Model  // custom modules

	properties map[string]*entry[Property] // by identifier, with module prefix
	events     map[string]*entry[Event]
	services   map[string]*entry[Service]
}

// entry keeps the key, so that lookups by bytes can hand out a string without making one.
type entry[T any] struct {
	key  string
	item *T
}

// A Property is a value that a device has.
type Property struct {
	Identifier string
	Name       string
	AccessMode string // r, rw, w
	Required   bool
	Desc       string
	Type       Type
	Extend     string // extendConfig of ThingModelJson: JSON, kept as given
}

// Writable reports whether applications may set the property.
func (p *Property) Writable() bool { return strings.Contains(p.AccessMode, "w") }

// An Event is something that happens to a device.
type Event struct {
	Identifier string
	Name       string
	Type       string // info, alert, error
	Required   bool
	Desc       string
	Output     []Argument
	Extend     string
}

// A Service is something that a device can be asked to do.
type Service struct {
	Identifier string
	Name       string
	CallType   CallType
	Required   bool
	Desc       string
	Input      []Argument
	Output     []Argument
	Extend     string
}

// A CallType says whether a service's caller waits for the device's answer.
type CallType string

// The call types.
const (
	Async CallType = "async"
	Sync  CallType = "sync"
)

// An Argument is a named value of an event, a service or a struct.
type Argument struct {
	Identifier string
	Name       string
	Type       Type
}

// A Kind is a data type without its limits, as TSL spells it.
type Kind string

// The kinds.
const (
	Int    Kind = "int"    // 32 bits
	Float  Kind = "float"  //
	Double Kind = "double" //
	Bool   Kind = "bool"   // the numbers 0 and 1
	Enum   Kind = "enum"   // an integer
	Text   Kind = "text"   //
	Date   Kind = "date"   // a string of UTC milliseconds
	Struct Kind = "struct" //
	Array  Kind = "array"  //
)

// A Type is a data type. Only the members of its Kind are set. Numbers keep the text that they were written with.
type Type struct {
	Kind     Kind
	Min, Max string // int, float, double
	Step     string
	Unit     string
	UnitName string
	Length   int        // text: bytes
	Size     int        // array: elements at most
	Item     *Type      // array
	Names    []Name     // bool, enum
	Members  []Argument // struct

	min, max float64 // of Min and Max
}

// A Name is one value of a bool or an enum.
type Name struct {
	Value int32
	Name  string
}

// SplitIdentifier takes module:identifier apart; module is empty for the default one.
func SplitIdentifier(s string) (module, identifier string) {
	if i := strings.IndexByte(s, ':'); i >= 0 {
		return s[:i], s[i+1:]
	}
	return "", s
}

// Property finds a property by its identifier, module:identifier for one of a custom module.
func (m *Model) Property(identifier string) (*Property, bool) {
	if e := m.properties[identifier]; e != nil {
		return e.item, true
	}
	return nil, false
}

// Event finds an event. The automatic event post is not found.
func (m *Model) Event(identifier string) (*Event, bool) {
	if e := m.events[identifier]; e != nil {
		return e.item, true
	}
	return nil, false
}

// Service finds a service. The automatic services set and get are not found.
func (m *Model) Service(identifier string) (*Service, bool) {
	if e := m.services[identifier]; e != nil {
		return e.item, true
	}
	return nil, false
}

// index builds the maps again. It is called before a model is handed out.
func (m *Model) index() {
	m.properties = make(map[string]*entry[Property])
	m.events = make(map[string]*entry[Event])
	m.services = make(map[string]*entry[Service])
	m.indexBlock(m, "")
	for _, b := range m.Blocks {
		m.indexBlock(b, b.BlockID+":")
	}
}

func (m *Model) indexBlock(b *Model, prefix string) {
	for i := range b.Properties {
		p := &b.Properties[i]
		m.properties[prefix+p.Identifier] = &entry[Property]{prefix + p.Identifier, p}
	}
	for i := range b.Events {
		e := &b.Events[i]
		m.events[prefix+e.Identifier] = &entry[Event]{prefix + e.Identifier, e}
	}
	for i := range b.Services {
		s := &b.Services[i]
		m.services[prefix+s.Identifier] = &entry[Service]{prefix + s.Identifier, s}
	}
}

// clone copies what edits change; the items' own slices are shared, because edits replace items whole.
func (m *Model) clone() *Model {
	c := &Model{ProductKey: m.ProductKey, Version: m.Version, BlockID: m.BlockID, BlockName: m.BlockName}
	c.Properties = append(c.Properties, m.Properties...)
	c.Events = append(c.Events, m.Events...)
	c.Services = append(c.Services, m.Services...)
	c.Blocks = append(c.Blocks, m.Blocks...)
	return c
}
