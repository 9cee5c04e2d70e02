package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"relink/shared/script/sandbox"
)

// attacks are bodies of rawDataToProtocol that must fail their call and do nothing else. Which limit stops them is part of the promise
// for those that the steps can stop; for the others it is any.
var attacks = map[string]struct {
	body string
	kind sandbox.Kind // 0: any of the limits
}{
	"endless_while":       {"while (true);", sandbox.TooManySteps},
	"endless_for":         {"for (;;) {}", sandbox.TooManySteps},
	"endless_do":          {"do ; while (1);", sandbox.TooManySteps},
	"endless_catch":       {"while (1) { try { while (1); } catch (e) {} finally { while (1); } }", sandbox.TooManySteps},
	"endless_label":       {"a: for (;;) continue a;", sandbox.TooManySteps},
	"endless_forof":       {"var a = [1]; for (var x of a) a.push(x);", 0},
	"endless_getter":      {"var o = {get a() { for (;;); }}; return o;", sandbox.TooManySteps},
	"endless_to_json":     {"return {toJSON: function() { for (;;); }};", sandbox.TooManySteps},
	"endless_to_string":   {"throw {toString: function() { for (;;); }, get message() { for (;;); }};", 0},
	"endless_value_of":    {"return {a: +{valueOf: function() { for (;;); }}};", sandbox.TooManySteps},
	"endless_callbacks":   {"var a = []; a.length = 4294967295; a[0] = 1; for (;;) a.map(function() {});", 0},
	"fibonacci":           {"function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) } return {n: f(50)};", sandbox.TooManySteps},
	"fibonacci_arrow":     {"const f = n => n < 2 ? n : f(n - 1) + f(n - 2); return {n: f(50)};", sandbox.TooManySteps},
	"fibonacci_default":   {"function f(n, a = n > 0 && f(n - 1), b = n > 0 && f(n - 1)) {} f(60);", 0},
	"iterator":            {"var it = {}; it[Symbol.iterator] = function() { return {next: function() { return {done: false, value: 1} }} }; return {a: [...it]};", 0},
	"recursion":           {"function f() { return f() } f();", sandbox.TooDeep},
	"recursion_accessor":  {"var o = {get a() { return this.a }}; return o.a;", sandbox.TooDeep},
	"recursion_sort":      {"function f() { [2, 1].sort(f); return 0 } f();", sandbox.TooDeep},
	"recursion_to_string": {"var a = {toString: function() { return '' + this }}; return '' + a;", sandbox.TooDeep},
	"recursion_replace":   {"function f(s) { return 'aa'.replace(/a/g, f) } f();", 0},
	"recursion_bind":      {"var f = function() {}; for (var i = 0; i < 300000; i++) f = f.bind(null, 1); f();", 0},
	"regex_backtracking":  {"return {a: /^(?=(a|aa)+$)/.test('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!')};", sandbox.TooMuchCPU},
	"regex_reference":     {"return {a: /^((a*)*\\2)+b$/.test(new Array(60).join('a'))};", sandbox.TooMuchCPU},
	"sort_native":         {"var a = []; for (var i = 0; i < 60000; i++) a.push('' + i); for (i = 0; i < 2000; i++) a.sort().reverse();", 0},
	"index_of":            {"var s = 'a'.repeat(4e6), t = 'a'.repeat(2e6) + 'b', n = 0; for (var i = 0; i < 5000; i++) n += s.indexOf(t); return {n: n};", 0},
	"doubling":            {"var a = 'x'; for (;;) a = a + a;", 0},
	"repeat":              {"return {a: 'x'.repeat(1e9)};", 0},
	"repeat_twice":        {"return {a: 'x'.repeat(2e7).repeat(1e3)};", 0},
	"pad":                 {"return {a: 'x'.padStart(1e9, 'y')};", 0},
	"join":                {"return {a: new Array(1e9).join('xxxxxxxx')};", 0},
	"array_join_big":      {"var a = []; a.length = 1e6; a = a.join('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'); return {a: a};", 0},
	"array_fill":          {"return {a: new Array(1e9).fill(1)};", 0},
	"array_bomb":          {"var a = []; for (;;) a = [a, a, a, a, new Array(1000).fill(7)];", 0},
	"array_concat":        {"var a = [1, 2, 3]; for (;;) a = a.concat(a);", 0},
	"array_push":          {"var a = []; for (;;) a.push(a, a, a, a, a, a, a, a, {}, {}, {}, {});", 0},
	"array_length":        {"var a = []; a.length = 4294967295; return {a: a};", 0},
	"typed_array":         {"return {a: new Uint8Array(2e9).length};", 0},
	"typed_arrays":        {"var a = []; for (;;) a.push(new Float64Array(1e5));", 0},
	"array_buffer":        {"var a = []; for (;;) a.push(new ArrayBuffer(1e7));", 0},
	"closures":            {"var f = null; for (;;) { f = (function(g) { return function() { return g } })(f) }", 0},
	"properties":          {"var o = {}; for (var i = 0; ; i++) o['k' + i] = {a: i};", 0},
	"replace_bomb":        {"var s = 'aaaaaaaaaa'; for (;;) s = s.replace(/a/g, '$&$&$&$&');", 0},
	"split_bomb":          {"return {n: 'x'.repeat(1e7).split('').map(function(c) { return [c] }).length};", 0},
	"json_parse_deep":     {"JSON.parse('['.repeat(5e6) + ']'.repeat(5e6));", 0},
	"json_bomb":           {"var a = ['x']; for (var i = 0; i < 40; i++) a = [a, a]; return {a: a};", 0},
	"deep_result":         {"var a = {}; var b = a; for (var i = 0; i < 10000; i++) b = b.a = {}; for (i = 0; i < 2; i++) a = {a: a, b: a, c: a}; return JSON.parse(JSON.stringify(a) + '[');", 0},
	"huge_result":         {"return {a: 'x'.repeat(2e6)};", sandbox.WrongType},
	"eval":                {"eval('while (1);')", sandbox.Exception},
	"eval_indirect":       {"(0, this.eval)('while (1);')", sandbox.Exception},
	"function_text":       {"new Function('while (1);')()", sandbox.Exception},
	"function_hidden":     {"(function() {}).constructor('while (1);')()", sandbox.Exception},
	"arrow_hidden":        {"(() => 1).constructor('while (1);')()", sandbox.Exception},
	"native_hidden":       {"[].map.constructor('while (1);')()", sandbox.Exception},
	"generator":           {"function* g() { yield 1 }", sandbox.Exception},
	"asynchronous":        {"async function g() {}", sandbox.Exception},
	"with":                {"with ({}) { while (1); }", sandbox.Exception},
	"class":               {"class A { x = new A() } new A();", sandbox.Exception},
	"big_integer":         {"return {a: String(2n ** 100000000n)};", sandbox.Exception},
	"big_integer_call":    {"return {a: String(BigInt(2) ** BigInt(1000000000))};", 0},
	"proxy_result":        {"return new Proxy({}, {ownKeys: function() { for (;;); }});", sandbox.TooManySteps},
	"proxy_endless":       {"return new Proxy({}, {get: function(t, k) { return new Proxy({}, this) }, ownKeys: function() { return ['a'] }, getOwnPropertyDescriptor: function() { return {value: 1, enumerable: true, configurable: true} }});", 0},
	"promise":             {"Promise.resolve().then(function() { for (;;); }); return {};", 0},
	"timer":               {"setTimeout(function() {}, 1);", sandbox.Exception},
	"require":             {"require('fs');", sandbox.Exception},
	"process":             {"process.exit(0);", sandbox.Exception},
	"counter_replaced":    {"Object.defineProperty(this, '\\u0000', {value: function() {}}); for (;;);", 0},
	"counter_shadowed":    {"this['\\u0000'] = function() {}; delete this['\\u0000']; for (;;);", sandbox.TooManySteps},
	"counter_cheated":     {"var c = this['\\u0000']; c(-1e15); c(NaN); c({valueOf: function() { return -1e9 }}); for (;;) c(-1e15);", sandbox.TooManySteps},
	"throw_null":          {"throw null;", sandbox.Exception},
	"throw_undefined":     {"throw undefined;", sandbox.Exception},
	"throw_symbol":        {"throw Symbol('x');", sandbox.Exception},
	"throw_array":         {"throw [[], {}];", sandbox.Exception},
	"throw_function":      {"throw function() {};", sandbox.Exception},
	"throw_huge":          {"throw 'x'.repeat(3e6);", sandbox.Exception},
	"throw_newlines":      {"throw 'a\\nb\\u0000\\ud800';", sandbox.Exception},
	"bytes_length":        {"return {length: 1e9, toJSON: function() { var a = []; a.length = 1e9; return {a: a} }};", 0},
}

func attack(body string) string {
	return "function rawDataToProtocol(bytes) {" + body + "\n}\nfunction protocolToRawData(json) { return [1]; }"
}

// TestAttacks proves that each hostile script fails its own call, that the next call of a good script works, and that this process
// stays as it is.
func TestAttacks(t *testing.T) {
	t.Parallel()
	p := newPool(t, 2)
	golden := read(t, "golden.js")
	for name, c := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started := time.Now()
			run, err := p.Call(t.Context(), sandbox.Script{ID: name, Source: attack(c.body)}, sandbox.RawDataToProtocol, "", []byte{1})
			f, ok := errors.AsType[*sandbox.Failure](err)
			if !ok || c.kind != 0 && f.Kind != c.kind {
				t.Errorf("%.100s, %v; want %s", run.Output, err, c.kind)
			} else if f.Kind == sandbox.Crashed {
				t.Errorf("the child crashed: %v", f)
			}
			if err != nil && len(err.Error()) > 700 || strings.ContainsAny(fmt.Sprint(err), "\n\x00") {
				t.Errorf("message %q", err)
			}
			t.Log(time.Since(started).Round(time.Millisecond), err)
			run, err = p.Call(t.Context(), golden, sandbox.RawDataToProtocol, "", bytes(t, "00 00000065 0983 01"))
			if err != nil || !strings.Contains(string(run.Output), "24.35") {
				t.Errorf("the next call: %s, %v", run.Output, err)
			}
		})
	}
}

// TestPollution: what a script does to the built-in objects is gone in the next call.
func TestPollution(t *testing.T) {
	t.Parallel()
	p := newPool(t, 1)
	dirty := sandbox.Script{ID: "dirty", Source: `
var calls = 0;
function rawDataToProtocol(bytes) {
  calls++;
  var before = [typeof Object.prototype.evil, [].map.length, JSON.stringify({}), typeof this.leak, calls];
  Object.prototype.evil = 1; this.leak = 1;
  Array.prototype.map = function() { return 'evil' }; Array.prototype.push = null;
  JSON.stringify = JSON.parse = function() { return '"evil"' };
  Object.prototype.toJSON = undefined; String.prototype.toString = null; Number.prototype.toJSON = 5;
  Object.freeze(Object.prototype); Object.freeze(this);
  return {before: before};
}
function protocolToRawData(json) { return [1]; }`}
	for range 3 {
		run, err := p.Call(t.Context(), dirty, sandbox.RawDataToProtocol, "", []byte{1})
		if want := `{"before":["undefined",1,"{}","undefined",1]}`; err != nil || string(run.Output) != want {
			t.Fatalf("%s, %v; want %s", run.Output, err, want)
		}
	}
}

// TestDeterministic: the same call takes the same steps, alone and while others keep the machine busy.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	p := newPool(t, 2)
	s := sandbox.Script{ID: "count", Source: attack("for (var i = 0, n = 0; i < 20000; i++) n += i; return {n: n};")}
	first, err := p.Call(t.Context(), s, sandbox.RawDataToProtocol, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		run, err := p.Call(t.Context(), s, sandbox.RawDataToProtocol, "", nil)
		if err != nil || run.Steps != first.Steps {
			t.Fatalf("%d steps, %v; want %d", run.Steps, err, first.Steps)
		}
	}
	// One step less than it takes is too little.
	tight := &sandbox.Pool{Size: 1, Limits: sandbox.Limits{Steps: first.Steps - 1}}
	defer tight.Close()
	if _, err := tight.Call(t.Context(), s, sandbox.RawDataToProtocol, "", nil); !failed(err, sandbox.TooManySteps) {
		t.Errorf("%v, want too_many_steps", err)
	}
	exact := &sandbox.Pool{Size: 1, Limits: sandbox.Limits{Steps: first.Steps}}
	defer exact.Close()
	if _, err := exact.Call(t.Context(), s, sandbox.RawDataToProtocol, "", nil); err != nil {
		t.Error(err)
	}
}

func failed(err error, k sandbox.Kind) bool {
	f, ok := errors.AsType[*sandbox.Failure](err)
	return ok && f.Kind == k
}

// TestHonestWork: what a large message takes is within the limits.
func TestHonestWork(t *testing.T) {
	t.Parallel()
	p := newPool(t, 1)
	s := sandbox.Script{ID: "sum", Source: `
function rawDataToProtocol(bytes) { var s = 0, b = []; for (var i = 0; i < bytes.length; i++) { b.push(bytes[i] & 0xff); s += b[i]; } return {sum: s, n: b.length}; }
function protocolToRawData(json) { var out = []; for (var i = 0; i < 200000; i++) out.push(i & 0xff); return out; }`}
	run, err := p.Call(t.Context(), s, sandbox.RawDataToProtocol, "", make([]byte, 256<<10))
	if err != nil || string(run.Output) != `{"sum":0,"n":262144}` {
		t.Errorf("%.100s, %v", run.Output, err)
	}
	t.Logf("256 KB up: %d steps, %d bytes", run.Steps, run.Memory)
	run, err = p.Call(t.Context(), s, sandbox.ProtocolToRawData, "", []byte(`{}`))
	if err != nil || len(run.Output) != 200000 {
		t.Errorf("%d bytes, %v", len(run.Output), err)
	}
	t.Logf("200 KB down: %d steps, %d bytes", run.Steps, run.Memory)
}

// TestThrottle: a script that keeps killing children is not run for a while, others are.
func TestThrottle(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	p := &sandbox.Pool{Size: 1, Now: func() time.Time { return now }}
	defer p.Close()
	bad := sandbox.Script{ID: "bad", Source: attack("return {a: 'x'.repeat(1e9)}")}
	for i := range 5 {
		if _, err := p.Call(t.Context(), bad, sandbox.RawDataToProtocol, "", nil); !failed(err, sandbox.TooMuchMemory) && !failed(err, sandbox.TooMuchCPU) {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	if _, err := p.Call(t.Context(), bad, sandbox.RawDataToProtocol, "", nil); !failed(err, sandbox.Throttled) {
		t.Errorf("%v, want throttled", err)
	}
	if _, err := p.Call(t.Context(), read(t, "golden.js"), sandbox.RawDataToProtocol, "", []byte{3}); err != nil {
		t.Error(err)
	}
	now = now.Add(time.Minute)
	if _, err := p.Call(t.Context(), bad, sandbox.RawDataToProtocol, "", nil); !failed(err, sandbox.TooMuchMemory) && !failed(err, sandbox.TooMuchCPU) {
		t.Errorf("after a minute: %v", err)
	}
}

// TestManyScripts: a child forgets what was used least, and gets it again.
func TestManyScripts(t *testing.T) {
	t.Parallel()
	p := newPool(t, 1)
	for range 2 {
		for i := range 80 {
			s := sandbox.Script{ID: fmt.Sprint(i), Source: attack(fmt.Sprintf("return {n: %d} //%s", i, strings.Repeat("x", 30_000)))}
			run, err := p.Call(t.Context(), s, sandbox.RawDataToProtocol, "", nil)
			if want := fmt.Sprintf(`{"n":%d}`, i); err != nil || string(run.Output) != want {
				t.Fatalf("%s, %v; want %s", run.Output, err, want)
			}
		}
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	p := &sandbox.Pool{Size: 1, Limits: sandbox.Limits{CPU: time.Hour, Steps: 1 << 60}}
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := p.Call(ctx, sandbox.Script{ID: "x", Source: attack("for (;;);")}, sandbox.RawDataToProtocol, "", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want deadline exceeded", err)
	}
	p.Close()
	if _, err := p.Call(t.Context(), read(t, "golden.js"), sandbox.RawDataToProtocol, "", nil); !errors.Is(err, sandbox.ErrClosed) {
		t.Errorf("%v, want closed", err)
	}
}

func BenchmarkCall(b *testing.B) {
	p := newPool(b, 2)
	s, input := read(b, "golden.js"), bytes(b, "00 00000065 0983 01")
	if _, err := p.Call(b.Context(), s, sandbox.RawDataToProtocol, "", input); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.Call(b.Context(), s, sandbox.RawDataToProtocol, "", input); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
