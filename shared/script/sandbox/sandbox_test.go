package sandbox_test

import (
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"

	"relink/shared/script/sandbox"
)

func read(t testing.TB, name string) sandbox.Script {
	t.Helper()
	source, err := os.ReadFile("../testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return sandbox.Script{ID: name, Source: string(source)}
}

func newPool(t testing.TB, size int) *sandbox.Pool {
	t.Helper()
	p := &sandbox.Pool{Size: size}
	t.Cleanup(p.Close)
	return p
}

func bytes(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestGolden has the values of "Golden script" and the vendor's samples.
func TestGolden(t *testing.T) {
	t.Parallel()
	p := newPool(t, 1)
	for _, c := range []struct{ script, up, down, want string }{
		{"golden.js", "00 00000065 0983 01", "", `{"method":"thing.event.property.post","id":"101","version":"1.0","params":{"temp":24.35,"power":1}}`},
		{"golden.js", "", `{"code":200,"data":{},"id":"101","message":"success","method":"thing.event.property.post","version":"1.0"}`, "020000006500c8"},
		{"golden.js", "", `{"method":"thing.service.property.set","id":"4097","params":{"power":1},"version":"1.0.0"}`, "010000100101"},
		{"golden.js", "03 00001001 00c8", "", `{"id":"4097","code":200,"data":{},"version":"1.0"}`},
		{"golden.js", "00 ffffffff ff9c 00", "", `{"method":"thing.event.property.post","id":"4294967295","version":"1.0","params":{"temp":-1,"power":0}}`},
		{"vendor.js", "00002233441232013fa00000", "", `{"method":"thing.event.property.post","version":"1.0","id":"2241348","params":{"prop_int16":4658,"prop_bool":1,"prop_float":1.25}}`},
		{"vendor.js", "", `{"method":"thing.service.property.set","id":"12345","version":"1.0","params":{"prop_float":123.452,"prop_int16":333,"prop_bool":1}}`, "0100003039014d0142f6e76d"},
		{"vendor.js", "", `{"method":"thing.event.property.post","id":"12345","version":"1.0","code":200,"data":{}}`, "0200003039c8"},
		{"vendor.js", "0300223344c8", "", `{"version":"1.0","id":"2241348","code":"200","data":{}}`},
	} {
		f, input := sandbox.ProtocolToRawData, []byte(c.down)
		if c.up != "" {
			f, input = sandbox.RawDataToProtocol, bytes(t, c.up)
		}
		run, err := p.Call(t.Context(), read(t, c.script), f, "", input)
		got := string(run.Output)
		if f == sandbox.ProtocolToRawData {
			got = hex.EncodeToString(run.Output)
		}
		if err != nil || got != c.want || run.Steps == 0 {
			t.Errorf("%s %s%s: %s, %v (%d steps, %d bytes); want %s", c.script, c.up, c.down, got, err, run.Steps, run.Memory, c.want)
		}
	}
}

const pair = "\nfunction protocolToRawData(j) { return [1]; }\n"

// TestResults is what scripts may return, and what they may not.
func TestResults(t *testing.T) {
	t.Parallel()
	p := newPool(t, 1)
	up := func(body string) string { return "function rawDataToProtocol(bytes) {" + body + "}" + pair }
	down := func(body string) string {
		return "function protocolToRawData(json) {" + body + "}\nfunction rawDataToProtocol() {}"
	}
	for name, c := range map[string]struct {
		source string
		f      sandbox.Function
		want   string // output, hex for bytes
		kind   sandbox.Kind
		line   int
	}{
		"signed":           {up("return {b: bytes}"), sandbox.RawDataToProtocol, `{"b":[1,-1]}`, 0, 0},
		"array":            {up("return {a: Array.isArray(bytes), n: bytes.length, i: bytes instanceof Array}"), sandbox.RawDataToProtocol, `{"a":true,"n":2,"i":true}`, 0, 0},
		"undefined":        {up(""), sandbox.RawDataToProtocol, "", sandbox.Nothing, 0},
		"null":             {up("return null"), sandbox.RawDataToProtocol, "", sandbox.Nothing, 0},
		"empty_array":      {up("return []"), sandbox.RawDataToProtocol, "", sandbox.Nothing, 0},
		"array_for_object": {up("return [1]"), sandbox.RawDataToProtocol, "", sandbox.WrongType, 0},
		"string":           {up("return '{}'"), sandbox.RawDataToProtocol, "", sandbox.WrongType, 0},
		"number":           {up("return 5"), sandbox.RawDataToProtocol, "", sandbox.WrongType, 0},
		"function":         {up("return function() {}"), sandbox.RawDataToProtocol, "", sandbox.WrongType, 0},
		"date":             {up("return new Date(0)"), sandbox.RawDataToProtocol, "", sandbox.WrongType, 0},
		"as_json":          {up("return {a: undefined, n: NaN, i: Infinity, f: function() {}, d: new Date(0), s: 'é\\u2028\"', u: [undefined], m: -0}"), sandbox.RawDataToProtocol, `{"n":null,"i":null,"d":"1970-01-01T00:00:00.000Z","s":"é` + "\u2028" + `\"","u":[null],"m":0}`, 0, 0},
		"to_json":          {up("return {toJSON: function() { return {a: 1} }}"), sandbox.RawDataToProtocol, `{"a":1}`, 0, 0},
		"to_json_string":   {up("return {toJSON: function() { return 'x' }}"), sandbox.RawDataToProtocol, "", sandbox.WrongType, 0},
		"getter":           {up("return {get a() { return 1 }}"), sandbox.RawDataToProtocol, `{"a":1}`, 0, 0},
		"getter_throws":    {up("\nreturn {get a() {\n throw new Error('no') }}"), sandbox.RawDataToProtocol, "", sandbox.Exception, 3},
		"cycle":            {up("var a = {}; a.a = a; return a"), sandbox.RawDataToProtocol, "", sandbox.Exception, 0},
		"throws":           {up("\n\n  throw new TypeError('bad frame')"), sandbox.RawDataToProtocol, "", sandbox.Exception, 3},
		"reference":        {up("\n  return x.y"), sandbox.RawDataToProtocol, "", sandbox.Exception, 2},
		"syntax":           {"function rawDataToProtocol( {", sandbox.RawDataToProtocol, "", sandbox.Exception, 1},
		"half":             {"function rawDataToProtocol() { return {} }", sandbox.RawDataToProtocol, "", sandbox.MissingFunction, 0},
		"not_a_function":   {"var rawDataToProtocol = 1;" + pair, sandbox.RawDataToProtocol, "", sandbox.MissingFunction, 0},
		"variables":        {"var rawDataToProtocol = function(b) { return {n: b.length} };" + pair, sandbox.RawDataToProtocol, `{"n":2}`, 0, 0},
		"modern":           {"const rawDataToProtocol = (b) => ({n: b.map(x => x & 255)}); let protocolToRawData = j => [1];", sandbox.RawDataToProtocol, `{"n":[1,255]}`, 0, 0},
		"strict":           {up("'use strict'; try { undeclared = 1; return {a: 1} } catch (e) { return {a: this === undefined} }"), sandbox.RawDataToProtocol, `{"a":true}`, 0, 0},
		"labels":           {up("var n = 0; a: for (var i = 0; i < 3; i++) for (var j in [1, 2]) { if (j == 1) continue a; n++ } do n++; while (n < 9); while (n-- > 5); return {n: n}"), sandbox.RawDataToProtocol, `{"n":4}`, 0, 0},
		"empty_loops":      {up("var i = 0; for (;++i < 5;); while (++i < 9); do ; while (++i < 12); return {i: i}"), sandbox.RawDataToProtocol, `{"i":12}`, 0, 0},
		"console":          {up("console.log('x'); return {c: typeof console.error}"), sandbox.RawDataToProtocol, `{"c":"function"}`, 0, 0},
		"function_type":    {up("return {f: bytes.map instanceof Function, c: Function.prototype.call.call(function() { return 1 })}"), sandbox.RawDataToProtocol, `{"f":true,"c":1}`, 0, 0},
		"modulo":           {down("return [0, 255, -1, -128, 256, 1e3, -0, 3.0]"), sandbox.ProtocolToRawData, "00ffff8000e80003", 0, 0},
		"typed":            {down("return new Int8Array([1, -1])"), sandbox.ProtocolToRawData, "01ff", 0, 0},
		"buffer":           {down("return new Uint8Array([7, 8]).buffer"), sandbox.ProtocolToRawData, "0708", 0, 0},
		"no_bytes":         {down("return []"), sandbox.ProtocolToRawData, "", sandbox.Nothing, 0},
		"nothing":          {down(""), sandbox.ProtocolToRawData, "", sandbox.Nothing, 0},
		"fraction":         {down("return [1.5]"), sandbox.ProtocolToRawData, "", sandbox.WrongType, 0},
		"nan":              {down("return [NaN]"), sandbox.ProtocolToRawData, "", sandbox.WrongType, 0},
		"digits":           {down("return ['1']"), sandbox.ProtocolToRawData, "", sandbox.WrongType, 0},
		"hole":             {down("return [1,,2]"), sandbox.ProtocolToRawData, "", sandbox.WrongType, 0},
		"text":             {down("return 'abc'"), sandbox.ProtocolToRawData, "", sandbox.WrongType, 0},
		"object":           {down("return {}"), sandbox.ProtocolToRawData, "", sandbox.WrongType, 0},
		"envelope":         {down("return [json.id | 0, json.params.a.length]"), sandbox.ProtocolToRawData, "0703", 0, 0},
		"transform":        {"function transformPayload(topic, b) { return {t: topic, n: b.length} }", sandbox.TransformPayload, `{"t":"/a/b/user/update","n":2}`, 0, 0},
		"no_transform":     {up("return {}"), sandbox.TransformPayload, "", sandbox.MissingFunction, 0},
		"check":            {"function transformPayload() {}" + pair, sandbox.Check, hex.EncodeToString([]byte("protocolToRawData,transformPayload")), 0, 0},
		"check_throws":     {"\nthrow 'x'", sandbox.Check, "", sandbox.Exception, 2},
	} {
		t.Run(name, func(t *testing.T) {
			input, topic := []byte{1, 0xff}, ""
			switch c.f {
			case sandbox.ProtocolToRawData:
				input = []byte(`{"id":"7","params":{"a":"abc"}}`)
			case sandbox.TransformPayload:
				topic = "/a/b/user/update"
			}
			run, err := p.Call(t.Context(), sandbox.Script{ID: name, Source: c.source}, c.f, topic, input)
			got := string(run.Output)
			if c.f == sandbox.ProtocolToRawData || c.f == sandbox.Check {
				got = hex.EncodeToString(run.Output)
			}
			if c.kind == 0 && (err != nil || got != c.want) {
				t.Fatalf("%s, %v; want %s", got, err, c.want)
			}
			if c.kind == 0 {
				return
			}
			f, ok := errors.AsType[*sandbox.Failure](err)
			if !ok || f.Kind != c.kind || c.line != 0 && f.Line != c.line {
				t.Fatalf("%s, %v; want %s in line %d", got, err, c.kind, c.line)
			}
			t.Log(err)
		})
	}
}
