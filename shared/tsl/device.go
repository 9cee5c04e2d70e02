package tsl

import (
	"slices"

	"relink/shared/iot"
)

// ForDevice writes the document as a device fetches it ("Fetching the model"): with its link and its name, with the automatic items, and
// of the default module only.
func (m *Model) ForDevice(dev iot.DeviceRef) []byte {
	w := writer{full: true, automatic: true}
	w.raw(`{"schema":`).str(Schema)
	w.raw(`,"link":`).str("/sys/" + dev.String() + "/thing/")
	w.deviceProfile(dev)
	w.features(m)
	return append(w.b, '}')
}

func (w *writer) deviceProfile(dev iot.DeviceRef) {
	w.raw(`,"profile":{"productKey":`).str(string(dev.ProductKey)).raw(`,"deviceName":`).str(string(dev.DeviceName)).raw(`},`)
}

// Nodes are the members that a device wants of each property, event, service and argument (dynamicTsl/get, "nodes").
type Nodes []string

// known are the members that there are.
var known = Nodes{"identifier", "name", "type", "accessMode", "required", "desc", "method", "callType", "dataType", "inputData", "outputData"}

// ParseNodes keeps of names those that there are.
func ParseNodes(names []string) Nodes {
	var nodes Nodes
	for _, n := range names {
		if slices.Contains(known, n) && !slices.Contains(nodes, n) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Dynamic writes the simplified document for a device. Without nodes each item has its identifier and data type, with nodes exactly the
// members named: "type" is then the name of the data type, or of the event's type. addDefault brings the automatic items too.
func (m *Model) Dynamic(dev iot.DeviceRef, nodes Nodes, addDefault bool) []byte {
	w := dynamic{writer{automatic: addDefault}, nodes}
	w.raw(`{"profile":{"productKey":`).str(string(dev.ProductKey)).raw(`,"deviceName":`).str(string(dev.DeviceName)).raw(`},`)
	if len(nodes) == 0 {
		w.features(m)
	} else {
		w.lists(m)
	}
	return append(w.b, '}')
}

// A dynamic writes only some members.
type dynamic struct {
	writer
	nodes Nodes
}

// member begins a member if it is wanted.
func (w *dynamic) member(name string, n *int) bool {
	if !slices.Contains(w.nodes, name) {
		return false
	}
	w.comma(*n).str(name).raw(`:`)
	*n++
	return true
}

func (w *dynamic) text(name, value string, n *int) {
	if value != "" && w.member(name, n) {
		w.str(value)
	}
}

func (w *dynamic) flag(name string, value bool, n *int) {
	if w.member(name, n) {
		w.bool(value)
	}
}

func (w *dynamic) lists(m *Model) {
	var all, writable []Argument
	w.raw(`"properties":[`)
	for i := range m.Properties {
		p := &m.Properties[i]
		a := Argument{p.Identifier, p.Name, p.Type}
		all = append(all, a)
		if p.Writable() {
			writable = append(writable, a)
		}
		w.comma(i).raw(`{`)
		n := 0
		w.text("identifier", p.Identifier, &n)
		w.text("name", p.Name, &n)
		w.text("accessMode", p.AccessMode, &n)
		w.flag("required", p.Required, &n)
		w.text("desc", p.Desc, &n)
		w.data(&p.Type, &n)
		w.raw(`}`)
	}
	w.raw(`],"events":[`)
	events := m.Events
	if w.automatic && len(all) > 0 {
		events = append([]Event{{Identifier: "post", Name: "post", Type: "info", Required: true, Desc: "属性上报", Output: all}}, events...)
	}
	for i := range events {
		w.event(&events[i], i)
	}
	w.raw(`],"services":[`)
	services := m.Services
	if w.automatic && len(all) > 0 {
		automatic := []Service{{Identifier: "get", Name: "get", Required: true, CallType: Async, Desc: "属性获取", Output: all}}
		if len(writable) > 0 {
			automatic = append([]Service{{Identifier: "set", Name: "set", Required: true, CallType: Async, Desc: "属性设置", Input: writable}}, automatic...)
		}
		services = append(automatic, services...)
	}
	for i := range services {
		w.service(&services[i], i)
	}
	w.raw(`]`)
}

func (w *dynamic) data(t *Type, n *int) {
	w.text("type", string(t.Kind), n)
	if w.member("dataType", n) {
		w.dataType(t)
	}
}

func (w *dynamic) event(e *Event, i int) {
	method := "thing.event." + e.Identifier + ".post"
	if e.Identifier == "post" {
		method = "thing.event.property.post"
	}
	w.comma(i).raw(`{`)
	n := 0
	w.text("identifier", e.Identifier, &n)
	w.text("name", e.Name, &n)
	w.text("type", e.Type, &n)
	w.flag("required", e.Required, &n)
	w.text("desc", e.Desc, &n)
	w.text("method", method, &n)
	w.arguments("outputData", e.Output, &n)
	w.raw(`}`)
}

func (w *dynamic) service(s *Service, i int) {
	method := "thing.service." + s.Identifier
	if s.Identifier == "set" || s.Identifier == "get" {
		method = "thing.service.property." + s.Identifier
	}
	w.comma(i).raw(`{`)
	n := 0
	w.text("identifier", s.Identifier, &n)
	w.text("name", s.Name, &n)
	w.flag("required", s.Required, &n)
	w.text("callType", string(s.CallType), &n)
	w.text("desc", s.Desc, &n)
	w.text("method", method, &n)
	w.arguments("inputData", s.Input, &n)
	w.arguments("outputData", s.Output, &n)
	w.raw(`}`)
}

func (w *dynamic) arguments(name string, args []Argument, n *int) {
	if !w.member(name, n) {
		return
	}
	w.raw(`[`)
	for i := range args {
		w.comma(i).raw(`{`)
		k := 0
		w.text("identifier", args[i].Identifier, &k)
		w.text("name", args[i].Name, &k)
		w.data(&args[i].Type, &k)
		w.raw(`}`)
	}
	w.raw(`]`)
}
