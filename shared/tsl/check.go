package tsl

import (
	"math"
	"strconv"
)

// check validates a whole module and sets what is derived from its text.
func (m *Model) check() error {
	if n := len(m.Properties) + len(m.Events) + len(m.Services); n > maxFeatures {
		return tooMany("features", maxFeatures)
	}
	ids, names := unique{}, unique{}
	for i := range m.Properties {
		p := &m.Properties[i]
		path := at("properties", i)
		if err := checkFeature(path, p.Identifier, p.Name, p.Desc, ids, names); err != nil {
			return err
		}
		switch p.AccessMode {
		case "r", "rw", "w":
		default:
			return invalid(path+".accessMode", "%q is none of r, rw, w", p.AccessMode)
		}
		if err := p.Type.check(path+".dataType", false); err != nil {
			return err
		}
	}
	ids, names = unique{}, unique{}
	for i := range m.Events {
		e := &m.Events[i]
		path := at("events", i)
		if err := checkFeature(path, e.Identifier, e.Name, e.Desc, ids, names); err != nil {
			return err
		}
		switch e.Type {
		case "info", "alert", "error":
		default:
			return invalid(path+".type", "%q is none of info, alert, error", e.Type)
		}
		if err := checkArguments(path+".outputData", e.Output, maxEventArg, false); err != nil {
			return err
		}
	}
	ids, names = unique{}, unique{}
	for i := range m.Services {
		s := &m.Services[i]
		path := at("services", i)
		if err := checkFeature(path, s.Identifier, s.Name, s.Desc, ids, names); err != nil {
			return err
		}
		if s.CallType != Async && s.CallType != Sync {
			return invalid(path+".callType", "%q is none of async, sync", s.CallType)
		}
		if err := checkArguments(path+".inputData", s.Input, maxServiceArg, false); err != nil {
			return err
		}
		if err := checkArguments(path+".outputData", s.Output, maxServiceArg, false); err != nil {
			return err
		}
	}
	for _, n := range []int{len(m.Properties), len(m.Events), len(m.Services)} {
		if n > maxPerKind {
			return tooMany("features of one kind", maxPerKind)
		}
	}
	return nil
}

func at(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

func checkFeature(path, identifier, name, desc string, ids, names unique) error {
	if err := checkIdentifier(path, identifier, true); err != nil {
		return err
	}
	if err := ids.add(path, "identifier", identifier); err != nil {
		return err
	}
	if err := checkName(path, name); err != nil {
		return err
	}
	if err := names.add(path, "name", name); err != nil {
		return err
	}
	return checkDesc(path, desc)
}

func checkArguments(path string, args []Argument, limit int, inStruct bool) error {
	if len(args) > limit {
		return tooMany(path, limit)
	}
	ids := unique{}
	for i := range args {
		a := &args[i]
		p := path + at("", i)
		if err := checkIdentifier(p, a.Identifier, false); err != nil {
			return err
		}
		if err := ids.add(p, "identifier", a.Identifier); err != nil {
			return err
		}
		if err := checkName(p, a.Name); err != nil {
			return err
		}
		if err := a.Type.check(p+".dataType", inStruct); err != nil {
			return err
		}
	}
	return nil
}

// check validates a type; nested types are those in a struct or an array, of which not all may be.
func (t *Type) check(path string, nested bool) error {
	specs := path + ".specs"
	switch t.Kind {
	case Int, Float, Double:
		return t.checkNumber(specs)
	case Bool, Enum:
		return t.checkNames(specs)
	case Text:
		if t.Length < 1 || t.Length > maxText {
			return invalid(specs+".length", "is not 1 to %d", maxText)
		}
		return nil
	case Date:
		return nil
	case Struct:
		if nested {
			return invalid(path, "a struct's member cannot be a struct")
		}
		if len(t.Members) == 0 {
			return invalid(specs, "a struct has at least one member")
		}
		return checkArguments(specs, t.Members, maxMembers, true)
	case Array:
		if nested {
			return invalid(path, "a struct's member cannot be an array")
		}
		return t.checkArray(specs)
	}
	return invalid(path+".type", "%q is not a data type", t.Kind)
}

func (t *Type) checkNumber(specs string) error {
	if t.Min == "" && t.Max == "" && t.Step == "" { // elements of an array have no limits
		t.min, t.max = math.Inf(-1), math.Inf(1)
		return nil
	}
	var step float64
	for _, f := range []struct {
		name, text string
		into       *float64
	}{{".min", t.Min, &t.min}, {".max", t.Max, &t.max}, {".step", t.Step, &step}} {
		if f.name == ".step" && f.text == "" {
			continue
		}
		v, err := strconv.ParseFloat(f.text, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return invalid(specs+f.name, "%q is not a number", f.text)
		}
		if t.Kind == Int && f.name != ".step" && (v != math.Trunc(v) || v < math.MinInt32 || v > math.MaxInt32) {
			return invalid(specs+f.name, "%q is not an integer of 32 bits", f.text)
		}
		*f.into = v
	}
	if t.min >= t.max {
		return invalid(specs, "min %s is not less than max %s", t.Min, t.Max)
	}
	if step < 0 || step > t.max-t.min {
		return invalid(specs+".step", "%q is not between 0 and max - min", t.Step)
	}
	return nil
}

func (t *Type) checkNames(specs string) error {
	if len(t.Names) == 0 || len(t.Names) > maxNames {
		return invalid(specs, "has %d values, not 1 to %d", len(t.Names), maxNames)
	}
	seen := make(map[int32]struct{}, len(t.Names))
	for _, n := range t.Names {
		if _, found := seen[n.Value]; found {
			return invalid(specs, "%d is there twice", n.Value)
		}
		seen[n.Value] = struct{}{}
		if t.Kind == Bool && n.Value != 0 && n.Value != 1 {
			return invalid(specs, "a bool is 0 or 1, not %d", n.Value)
		}
	}
	return nil
}

func (t *Type) checkArray(specs string) error {
	if t.Size < 1 || t.Size > maxSize {
		return invalid(specs+".size", "is not 1 to %d", maxSize)
	}
	if t.Item == nil {
		return invalid(specs+".item", "is missing")
	}
	item := specs + ".item"
	switch t.Item.Kind {
	case Int, Float, Double:
		return t.Item.checkNumber(item)
	case Text:
		if t.Item.Length < 0 || t.Item.Length > maxText {
			return invalid(item+".specs.length", "is not 1 to %d", maxText)
		}
		return nil
	case Struct:
		return t.Item.check(item, false)
	}
	return invalid(item+".type", "%q cannot be the element of an array", t.Item.Kind)
}
