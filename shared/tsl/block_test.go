package tsl

import (
	"strings"
	"testing"

	"relink/shared/iot"
)

func TestBlocksAreKept(t *testing.T) {
	t.Parallel()
	m := golden(t)
	stored, err := m.Stored("pk", "1.0")
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(stored)
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := again.Property("meter:kwh"); !ok || p.Name != "Energy" {
		t.Errorf("the module's property: %+v, %t", p, ok)
	}
	if e, ok := again.Event("meter:trip"); !ok || e.Type != "error" {
		t.Errorf("the module's event: %+v, %t", e, ok)
	}
	if twice, err := again.Stored("pk", "1.0"); err != nil || string(twice) != string(stored) {
		t.Errorf("stored again: %s, %v", twice, err)
	}
	document := string(m.TSL("pk", ""))
	if strings.Contains(document, "functionBlock") {
		t.Error("the default module's TSL has other modules")
	}
	document = document[:len(document)-1] + `,"functionBlocks":[{"functionBlockId":"meter","functionBlockName":"Meter","productKey":"pk"}]}`
	if imported, err := Parse([]byte(document)); err != nil || len(imported.Blocks) != 0 {
		t.Errorf("a list of names became modules: %v", err)
	}
	block, err := m.Block("meter")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(block.TSL("pk", "1.0")); !strings.Contains(got, `"method":"thing.event.meter:trip.post"`) || !strings.Contains(got, `"functionBlockId":"meter","functionBlockName":"Meter"`) {
		t.Errorf("the module's TSL: %s", got)
	}
	if got := string(block.Simple()); got != `{"profile":{"productKey":"a1GoldenPk1"},"properties":[{"identifier":"kwh","dataType":{"type":"double","specs":{"min":"0","max":"1e9"}}}],"events":[{"identifier":"trip","outputData":[]}],"services":[],"functionBlockId":"meter","functionBlockName":"Meter"}` {
		t.Errorf("simplified: %s", got)
	}
	if got := string(m.ToThingModelJSON("pk", "", "")); !strings.Contains(got, `"functionBlocks":[{"functionBlockId":"meter","functionBlockName":"Meter","productKey":"pk"}]`) {
		t.Errorf("ThingModelJson: %s", got)
	}
}

func TestEditBlock(t *testing.T) {
	t.Parallel()
	const feature = `{"properties":[{"identifier":"ID","name":"ID","rwFlag":"READ_WRITE","dataType":"INT","dataSpecs":{"min":"0","max":"9"}}]}`
	add := func(id string) func(*Model) (*Model, error) {
		return func(b *Model) (*Model, error) { return b.AddFeatures([]byte(strings.ReplaceAll(feature, "ID", id))) }
	}
	m := golden(t)
	same := func(b *Model) (*Model, error) { return b, nil }
	for _, c := range []struct {
		id, name string
		change   func(*Model) (*Model, error)
		kind     iot.Kind
	}{
		{"pump", "", add("x"), iot.NotInModel},
		{"set", "Pump", same, iot.InvalidParams},
		{"a-b", "Pump", same, iot.InvalidParams},
		{strings.Repeat("x", 31), "Pump", same, iot.InvalidParams},
		{"pump", "Abc", same, iot.InvalidParams},
		{"pump", strings.Repeat("泵", 16), same, iot.InvalidParams},
		{"pump", "Meter", same, iot.AlreadyExists},
		{"meter", "", add("kwh"), iot.AlreadyExists},
		{"", "", add("temp"), iot.AlreadyExists},
		{"default", "", add("time"), iot.InvalidParams},
	} {
		if _, err := m.EditBlock(c.id, c.name, c.change); iot.KindOf(err) != c.kind || err == nil {
			t.Errorf("%s %s: %v, want %s", c.id, c.name, err, c.kind)
		}
	}
	next, err := m.EditBlock("pump", "水泵", add("speed"))
	if err != nil {
		t.Fatal(err)
	}
	if next, err = next.EditBlock("pump", "Pump", add("power")); err != nil { // as one of the default module
		t.Fatal(err)
	}
	if next, err = next.EditBlock("", "", add("extra")); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"pump:speed", "pump:power", "extra", "meter:kwh"} {
		if _, ok := next.Property(id); !ok {
			t.Errorf("%s is not there", id)
		}
	}
	if next, err = next.DeleteBlock("pump"); err != nil {
		t.Fatal(err)
	}
	if _, ok := next.Property("pump:speed"); ok {
		t.Error("a deleted module's property is found")
	}
	if _, err := next.DeleteBlock("pump"); !iot.Is(err, iot.NotInModel) {
		t.Error(err)
	}
	if _, ok := m.Property("extra"); ok {
		t.Error("an edit changed the model that it began with")
	}
}
