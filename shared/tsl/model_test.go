package tsl

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"relink/shared/iot"
)

// golden is the model of "Golden examples" with its module.
func golden(t testing.TB) *Model {
	t.Helper()
	data, err := os.ReadFile("testdata/golden_model.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile("testdata/golden_module.json")
	if err != nil {
		t.Fatal(err)
	}
	meter, err := Parse(module)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = m.AddBlock(meter); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestParse(t *testing.T) {
	t.Parallel()
	m := golden(t)
	if len(m.Properties) != 6 || len(m.Events) != 1 || len(m.Services) != 2 {
		t.Fatalf("%d properties, %d events, %d services", len(m.Properties), len(m.Events), len(m.Services))
	}
	if p, ok := m.Property("temp"); !ok || p.Type.Kind != Float || p.Type.Min != "-40" || p.Type.Unit != "°C" || p.Writable() {
		t.Errorf("temp: %+v", p)
	}
	if p, ok := m.Property("pos"); !ok || len(p.Type.Members) != 2 || p.Type.Members[1].Type.Step != "0.000001" {
		t.Errorf("pos: %+v", p)
	}
	if p, ok := m.Property("log"); !ok || p.Type.Size != 4 || p.Type.Item.Kind != Int {
		t.Errorf("log: %+v", p)
	}
	if p, ok := m.Property("meter:kwh"); !ok || p.Identifier != "kwh" {
		t.Errorf("meter:kwh: %+v", p)
	}
	if _, ok := m.Property("kwh"); ok {
		t.Error("a module's property is found without its module")
	}
	if s, ok := m.Service("add"); !ok || s.CallType != Sync || len(s.Input) != 2 || len(s.Output) != 1 {
		t.Errorf("add: %+v", s)
	}
	for _, id := range []string{"set", "get", ""} {
		if _, ok := m.Service(id); ok {
			t.Errorf("service %q is found", id)
		}
	}
	if e, ok := m.Event("alarm"); !ok || e.Type != "alert" {
		t.Errorf("alarm: %+v", e)
	}
	if _, ok := m.Event("meter:trip"); !ok {
		t.Error("meter:trip is not found")
	}
	if _, ok := m.Event("post"); ok {
		t.Error("event post is found")
	}
	if _, ok := (&Model{}).Property("x"); ok {
		t.Error("an empty model has a property")
	}
}

// What TSL writes is what the vendor's document has, byte for byte but for schema, link and profile.
func TestTSLIsGolden(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/golden_model.json")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSpace(string(data))
	got := string(golden(t).TSL("a1GoldenPk1", "1.0"))
	_, got, _ = strings.Cut(got, `"properties"`)
	_, want, _ = strings.Cut(want, `"properties"`)
	if got != want {
		t.Errorf("TSL\n got %s\nwant %s", got, want)
	}
}

func TestSimple(t *testing.T) {
	t.Parallel()
	m, err := Parse([]byte(`{"properties":[{"identifier":"a","name":"A","accessMode":"rw","required":true,"desc":"d","dataType":{"type":"int","specs":{"min":"0","max":"9"}}}],
"events":[],"services":[{"identifier":"s","name":"S","callType":"sync","inputData":[{"identifier":"x","name":"X","dataType":{"type":"date","specs":{}}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"properties":[{"identifier":"a","dataType":{"type":"int","specs":{"min":"0","max":"9"}}}],"events":[],` +
		`"services":[{"identifier":"s","inputData":[{"identifier":"x","dataType":{"type":"date","specs":{}}}],"outputData":[]}]}`
	if got := string(m.Simple()); got != want {
		t.Errorf("Simple\n got %s\nwant %s", got, want)
	}
	if got := string(new(Model).TSL("pk", "")); got != `{"schema":"`+Schema+`","profile":{"productKey":"pk"},"properties":[],"events":[],"services":[]}` {
		t.Errorf("empty TSL: %s", got)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	property := func(rest string) string {
		return `{"properties":[{"identifier":"a","name":"A","accessMode":"r",` + rest + `}]}`
	}
	typed := func(kind, specs string) string {
		return property(`"dataType":{"type":"` + kind + `","specs":` + specs + `}`)
	}
	var many []string
	for i := range 301 {
		many = append(many, strings.Replace(`{"identifier":"p#","name":"P#","accessMode":"r","dataType":{"type":"date","specs":{}}}`, "#", string(rune('A'+i/26))+string(rune('a'+i%26)), 2))
	}
	for name, c := range map[string]struct {
		doc, path string
		kind      iot.Kind
	}{
		"not JSON":            {`{`, "not JSON", iot.InvalidParams},
		"lenient JSON":        {`{'properties':[]}`, "not JSON", iot.InvalidParams},
		"too big":             {`{"x":"` + strings.Repeat("a", MaxDocument) + `"}`, "bytes", iot.QuotaExceeded},
		"deep":                {strings.Repeat("[", 10000), "not JSON", iot.InvalidParams},
		"list for object":     {`[]`, "", iot.InvalidParams},
		"text for list":       {`{"properties":"x"}`, "properties", iot.InvalidParams},
		"no identifier":       {`{"properties":[{"name":"A","accessMode":"r","dataType":{"type":"date"}}]}`, "properties[0].identifier", iot.InvalidParams},
		"reserved":            {`{"properties":[{"identifier":"time","name":"A","accessMode":"r","dataType":{"type":"date"}}]}`, "properties[0].identifier", iot.InvalidParams},
		"bad identifier":      {`{"services":[{"identifier":"a-b","name":"A","callType":"sync"}]}`, "services[0].identifier", iot.InvalidParams},
		"bad name":            {`{"events":[{"identifier":"a","name":"\"","type":"info"}]}`, "events[0].name", iot.InvalidParams},
		"no name":             {`{"events":[{"identifier":"a","type":"info"}]}`, "events[0].name", iot.InvalidParams},
		"twice":               {`{"events":[{"identifier":"a","name":"A","type":"info"},{"identifier":"a","name":"B","type":"info"}]}`, "events[1].identifier", iot.AlreadyExists},
		"name twice":          {`{"events":[{"identifier":"a","name":"A","type":"info"},{"identifier":"b","name":"A","type":"info"}]}`, "events[1].name", iot.AlreadyExists},
		"access mode":         {`{"properties":[{"identifier":"a","name":"A","accessMode":"x","dataType":{"type":"date"}}]}`, "properties[0].accessMode", iot.InvalidParams},
		"event type":          {`{"events":[{"identifier":"a","name":"A","type":"x"}]}`, "events[0].type", iot.InvalidParams},
		"call type":           {`{"services":[{"identifier":"a","name":"A"}]}`, "services[0].callType", iot.InvalidParams},
		"no type":             {property(`"dataType":{}`), "properties[0].dataType.type", iot.InvalidParams},
		"unknown type":        {typed("long", "{}"), "properties[0].dataType.type", iot.InvalidParams},
		"min text":            {typed("int", `{"min":"a","max":"9"}`), "dataType.specs.min", iot.InvalidParams},
		"min missing":         {typed("int", `{"max":"9"}`), "dataType.specs.min", iot.InvalidParams},
		"min NaN":             {typed("double", `{"min":"NaN","max":"9"}`), "dataType.specs.min", iot.InvalidParams},
		"min not an integer":  {typed("int", `{"min":"0.5","max":"9"}`), "dataType.specs.min", iot.InvalidParams},
		"max beyond int32":    {typed("int", `{"min":"0","max":"2147483648"}`), "dataType.specs.max", iot.InvalidParams},
		"min above max":       {typed("float", `{"min":"9","max":"0"}`), "dataType.specs", iot.InvalidParams},
		"step too large":      {typed("float", `{"min":"0","max":"1","step":"2"}`), "dataType.specs.step", iot.InvalidParams},
		"bool value":          {typed("bool", `{"2":"x"}`), "dataType.specs", iot.InvalidParams},
		"enum key":            {typed("enum", `{"a":"x"}`), "dataType.specs", iot.InvalidParams},
		"enum name":           {typed("enum", `{"1":1}`), "dataType.specs.1", iot.InvalidParams},
		"enum empty":          {typed("enum", `{}`), "dataType.specs", iot.InvalidParams},
		"text length":         {typed("text", `{"length":"10241"}`), "dataType.specs.length", iot.InvalidParams},
		"text no length":      {typed("text", `{}`), "dataType.specs.length", iot.InvalidParams},
		"array size":          {typed("array", `{"size":"513","item":{"type":"int"}}`), "dataType.specs.size", iot.InvalidParams},
		"array of arrays":     {typed("array", `{"size":"1","item":{"type":"array","specs":{"size":"1","item":{"type":"int"}}}}`), "dataType.specs.item", iot.InvalidParams},
		"array of bool":       {typed("array", `{"size":"1","item":{"type":"bool","specs":{"0":"a"}}}`), "dataType.specs.item", iot.InvalidParams},
		"struct in struct":    {typed("struct", `[{"identifier":"b","name":"B","dataType":{"type":"struct","specs":[{"identifier":"c","name":"C","dataType":{"type":"date"}}]}}]`), "dataType.specs[0].dataType", iot.InvalidParams},
		"struct empty":        {typed("struct", `[]`), "dataType.specs", iot.InvalidParams},
		"struct of an object": {typed("struct", `{}`), "dataType.specs", iot.InvalidParams},
		"argument":            {`{"services":[{"identifier":"a","name":"A","callType":"sync","inputData":[{"identifier":"x","name":"X","dataType":{"type":"int","specs":{"min":"1","max":"1"}}}]}]}`, "services[0].inputData[0].dataType.specs", iot.InvalidParams},
		"too many":            {`{"properties":[` + strings.Join(many, ",") + `]}`, "features", iot.QuotaExceeded},
		"input list of text":  {`{"services":[{"identifier":"a","name":"A","callType":"sync","inputData":["x"]}]}`, "services[0].inputData", iot.InvalidParams},
	} {
		m, err := Parse([]byte(c.doc))
		if err == nil || iot.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: Parse = %+v, %v, want %v about %s", name, m, err, c.kind, c.path)
		}
	}
}

// canonical is JSON with sorted members.
func canonical(t *testing.T, data []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestThingModelJSON(t *testing.T) {
	t.Parallel()
	m := golden(t)
	doc := m.ToThingModelJSON("a1GoldenPk1", "1.0", "first")
	if got := canonical(t, doc); got != string(doc) {
		t.Errorf("members are not sorted: %s", doc)
	}
	for _, part := range []string{`"_ppk":{"description":"first","version":"1.0"}`, `"rwFlag":"READ_WRITE"`, `"eventType":"ALERT_EVENT_TYPE"`, `"callType":"SYNC"`,
		`"dataSpecs":{"custom":true,"dataType":"FLOAT","max":"125","min":"-40","step":"0.01","unit":"°C","unitName":"celsius"}`,
		`"dataSpecsList":[{"custom":true,"dataType":"BOOL","name":"off","value":0},{"custom":true,"dataType":"BOOL","name":"on","value":1}]`,
		`{"childDataType":"INT","custom":true,"dataSpecs":{"custom":true,"dataType":"INT"},"dataType":"ARRAY","size":4}`,
		`"dataSpecs":{"custom":true,"dataType":"TEXT","length":16}`, `"direction":"PARAM_INPUT"`, `"paraOrder":1`} {
		if !strings.Contains(string(doc), part) {
			t.Errorf("%s is not in %s", part, doc)
		}
	}
	back, err := FromThingModelJSON(doc)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(back.TSL("pk", "")), string(m.TSL("pk", "")); got != want {
		t.Errorf("there and back\n got %s\nwant %s", got, want)
	}
}

const thing = `{"properties":[{"identifier":"speed","name":"Speed","rwFlag":"READ_WRITE","required":false,"custom":true,"productKey":"pk","dataType":"ENUM",
"description":"how fast","extendConfig":"{\"x\":1}","dataSpecsList":[{"dataType":"ENUM","name":"slow","value":0},{"dataType":"ENUM","name":"fast","value":1}]}]}`

func TestEdit(t *testing.T) {
	t.Parallel()
	m := golden(t)
	before := string(m.TSL("pk", ""))
	added, err := m.AddFeatures([]byte(thing))
	if err != nil {
		t.Fatal(err)
	}
	p, ok := added.Property("speed")
	if !ok || p.Desc != "how fast" || !p.Writable() || p.Type.Names[1] != (Name{1, "fast"}) {
		t.Errorf("speed: %+v", p)
	}
	if back, err := Parse(added.TSL("pk", "")); err != nil || back.Properties[6].Extend != p.Extend {
		t.Errorf("extendConfig is lost: %v", err)
	}
	if _, err := added.AddFeatures([]byte(thing)); iot.KindOf(err) != iot.AlreadyExists {
		t.Errorf("adding again: %v", err)
	}
	if _, err := m.AddFeatures([]byte(`{}`)); iot.KindOf(err) != iot.InvalidParams {
		t.Errorf("adding nothing: %v", err)
	}
	eleven := `{"events":[` + strings.TrimSuffix(strings.Repeat(`{"identifier":"e#","eventName":"E#","eventType":"INFO_EVENT_TYPE"},`, 11), ",") + `]}`
	for i := range 11 {
		eleven = strings.Replace(eleven, "#", string(rune('a'+i)), 2)
	}
	if _, err := m.AddFeatures([]byte(eleven)); iot.KindOf(err) != iot.QuotaExceeded {
		t.Errorf("adding eleven: %v", err)
	}
	renamed, err := added.UpdateFeature("speed", []byte(strings.Replace(thing, `"speed"`, `"pace"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := renamed.Property("speed"); ok {
		t.Error("the old identifier is found")
	}
	if _, ok := renamed.Property("pace"); !ok {
		t.Error("the new identifier is not found")
	}
	if _, err := added.UpdateFeature("", []byte(thing)); err != nil {
		t.Errorf("update by the document's identifier: %v", err)
	}
	if _, err := m.UpdateFeature("speed", []byte(thing)); iot.KindOf(err) != iot.NotInModel {
		t.Errorf("update of what is not there: %v", err)
	}
	if _, err := added.UpdateFeature("speed", []byte(strings.Replace(thing, `"speed"`, `"temp"`, 1))); iot.KindOf(err) != iot.AlreadyExists {
		t.Errorf("renaming to a taken identifier: %v", err)
	}
	deleted, err := added.DeleteFeatures([]string{"speed", "temp"}, []string{"alarm"}, []string{"add"})
	if err != nil {
		t.Fatal(err)
	}
	if len(deleted.Properties) != 5 || len(deleted.Events) != 0 || len(deleted.Services) != 1 {
		t.Errorf("after deletion: %+v", deleted)
	}
	if _, ok := deleted.Property("meter:kwh"); !ok {
		t.Error("the module is lost")
	}
	if _, err := added.DeleteFeatures([]string{"nothing"}, nil, nil); iot.KindOf(err) != iot.NotInModel {
		t.Errorf("deletion of what is not there: %v", err)
	}
	if got := string(m.TSL("pk", "")); got != before {
		t.Errorf("edits changed the model that they began with: %s", got)
	}
	if fresh, err := new(Model).AddFeatures([]byte(thing)); err != nil || len(fresh.Properties) != 1 {
		t.Errorf("first feature of a draft: %v", err)
	}
}

func TestAddBlock(t *testing.T) {
	t.Parallel()
	m := golden(t)
	if _, err := m.AddBlock(&Model{BlockID: "a b"}); iot.KindOf(err) != iot.InvalidParams {
		t.Errorf("bad module: %v", err)
	}
	same, err := m.AddBlock(&Model{BlockID: "meter", BlockName: "Meter"})
	if err != nil || len(same.Blocks) != 1 {
		t.Fatalf("replacing a module: %+v, %v", same, err)
	}
	if _, ok := same.Property("meter:kwh"); ok {
		t.Error("the replaced module's property is found")
	}
	for i := range 19 {
		if m, err = m.AddBlock(&Model{BlockID: "b" + string(rune('a'+i)), BlockName: "Block" + string(rune('a'+i))}); err != nil {
			if i != 18 || iot.KindOf(err) != iot.QuotaExceeded {
				t.Errorf("module %d: %v", i, err)
			}
			return
		}
	}
	t.Error("twenty custom modules are taken")
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"golden_model.json", "golden_module.json"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		m, err := Parse(data)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(m.ToThingModelJSON("pk", "1", ""))
	}
	f.Add([]byte(thing))
	f.Add([]byte(`{"properties":[],"functionBlocks":[{"functionBlockId":"meter","functionBlockName":"Meter","productKey":"pk"}]}`))
	f.Add([]byte(`{"properties":[{"identifier":"a","name":"A","accessMode":"r","dataType":{"type":"array","specs":{"size":1,"item":{"type":"text"}}}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := FromThingModelJSON(data); err == nil {
			again, err := FromThingModelJSON(m.ToThingModelJSON("pk", "", ""))
			if err != nil {
				t.Fatalf("FromThingModelJSON(%q) writes what it refuses: %v", data, err)
			}
			if a, b := m.TSL("pk", "1"), again.TSL("pk", "1"); !slices.Equal(a, b) {
				t.Errorf("FromThingModelJSON(%q): %s, again %s", data, a, b)
			}
		}
		m, err := Parse(data)
		if err != nil {
			if kind := iot.KindOf(err); kind == iot.Internal {
				t.Errorf("Parse(%q): %v has no kind", data, err)
			}
			return
		}
		doc := m.TSL("pk", "1")
		again, err := Parse(doc)
		if err != nil {
			t.Fatalf("Parse(%q) writes %s and refuses it: %v", data, doc, err)
		}
		if b := again.TSL("pk", "1"); !slices.Equal(doc, b) {
			t.Errorf("Parse(%q): %s, again %s", data, doc, b)
		}
		if !json.Valid(m.Simple()) {
			t.Errorf("Parse(%q).Simple() = %s", data, m.Simple())
		}
		if _, err := CheckPost(m, []byte(`{"a":1}`), Strong, 0); err != nil {
			t.Errorf("CheckPost: %v", err)
		}
	})
}
