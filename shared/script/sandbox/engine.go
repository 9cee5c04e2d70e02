package sandbox

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"
)

// Reasons to stop.
var (
	errSteps  = errors.New("the script takes too many steps: an endless loop?")
	errMemory = errors.New("the script needs too much memory")
)

// checkEvery is how many calls of the counter lie between two looks at the heap.
const checkEvery = 64

// An engine runs programs, in the child.
type engine struct {
	maxSteps, maxMemory int64
	samples             []metrics.Sample
}

func newEngine(steps, memory int64) *engine {
	return &engine{maxSteps: steps, maxMemory: memory, samples: []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/allocs:bytes"}}}
}

func (e *engine) heap() (live, allocated int64) {
	metrics.Read(e.samples)
	return int64(e.samples[0].Value.Uint64()), int64(e.samples[1].Value.Uint64())
}

// A call is one function on its way.
type call struct {
	*engine
	vm        *goja.Runtime
	steps     int64
	counts    int
	live      int64 // heap at the beginning
	allocated int64
	stringify goja.Callable
	parse     goja.Callable
}

// run calls one function in a fresh scope.
func (e *engine) run(program *goja.Program, f Function, topic string, input []byte) (Run, *Failure) {
	c := &call{engine: e}
	c.live, c.allocated = e.heap()
	output, failure := c.guarded(program, f, topic, input)
	_, allocated := e.heap()
	run := Run{Output: output, Steps: c.steps, Memory: allocated - c.allocated}
	if failure != nil {
		failure.Steps, failure.Memory = run.Steps, run.Memory
	}
	return run, failure
}

// guarded is do, with what the engine throws through the host's own code caught.
func (c *call) guarded(program *goja.Program, f Function, topic string, input []byte) (output []byte, failure *Failure) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			output, failure = nil, c.failure(p)
		default:
			output, failure = nil, &Failure{Kind: Crashed, Message: cut(fmt.Sprint(p))}
		}
	}()
	return c.do(program, f, topic, input)
}

func (c *call) do(program *goja.Program, f Function, topic string, input []byte) ([]byte, *Failure) {
	if err := c.setUp(); err != nil {
		return nil, c.failure(err)
	}
	if _, err := c.vm.RunProgram(program); err != nil {
		return nil, c.failure(err)
	}
	if f == Check {
		return c.functions(), nil
	}
	function, failure := c.find(f)
	if failure != nil {
		return nil, failure
	}
	var result goja.Value
	var err error
	switch f {
	case RawDataToProtocol:
		result, err = function(goja.Undefined(), c.bytes(input))
	case TransformPayload:
		result, err = function(goja.Undefined(), c.vm.ToValue(topic), c.bytes(input))
	default:
		var object goja.Value
		if object, err = c.parse(goja.Undefined(), c.vm.ToValue(string(input))); err == nil {
			result, err = function(goja.Undefined(), object)
		}
	}
	if err != nil {
		return nil, c.failure(err)
	}
	if nothing(result) {
		return nil, &Failure{Kind: Nothing, Message: f.String() + " returned nothing"}
	}
	if f == ProtocolToRawData {
		return c.octets(f, result)
	}
	return c.json(f, result)
}

// setUp makes the scope. What the host itself needs of it is taken before the script can change it.
func (c *call) setUp() error {
	c.vm = goja.New()
	c.vm.SetMaxCallStackSize(MaxDepth)
	c.vm.SetParserOptions(parser.WithDisableSourceMaps)
	global := c.vm.GlobalObject()
	json := c.vm.Get("JSON").ToObject(c.vm)
	c.stringify, _ = goja.AssertFunction(json.Get("stringify"))
	c.parse, _ = goja.AssertFunction(json.Get("parse"))
	if err := global.Delete("eval"); err != nil {
		return err
	}
	// The Function constructor makes code without counters; its prototype stays for those who look at it.
	prototype := global.Get("Function").ToObject(c.vm).Get("prototype").ToObject(c.vm)
	function := c.vm.ToValue(func(goja.FunctionCall) goja.Value {
		panic(c.vm.NewTypeError("functions cannot be made from text"))
	}).ToObject(c.vm)
	silent := c.vm.NewObject()
	ignore := c.vm.ToValue(func(goja.FunctionCall) goja.Value { return goja.Undefined() })
	for _, name := range []string{"log", "info", "warn", "error", "debug", "trace"} {
		if err := silent.Set(name, ignore); err != nil {
			return err
		}
	}
	const no = goja.FLAG_FALSE
	return errors.Join(
		function.DefineDataProperty("prototype", prototype, no, no, no),
		prototype.DefineDataProperty("constructor", function, no, no, no),
		global.DefineDataProperty("Function", function, goja.FLAG_TRUE, goja.FLAG_TRUE, no),
		global.DefineDataProperty("console", silent, goja.FLAG_TRUE, goja.FLAG_TRUE, no),
		global.DefineDataProperty(counter, c.vm.ToValue(c.count), no, no, no),
	)
}

// count is the counter. What it is given by a script that found it is worth at least a step.
func (c *call) count(f goja.FunctionCall) goja.Value {
	cost := int64(1)
	if len(f.Arguments) > 0 {
		if n, ok := f.Arguments[0].Export().(int64); ok && n > 1 {
			cost = min(n, MaxSource)
		}
	}
	c.spend(cost)
	return goja.Undefined()
}

func (c *call) spend(cost int64) {
	if c.steps += cost; c.steps > c.maxSteps {
		c.vm.Interrupt(errSteps)
		return
	}
	if c.counts++; c.counts%checkEvery != 0 {
		return
	}
	if live, _ := c.heap(); live-c.live > c.maxMemory {
		runtime.GC() // much of it may be garbage
		if live, _ = c.heap(); live-c.live > c.maxMemory {
			c.vm.Interrupt(errMemory)
		}
	}
}

// functions lists what the script has, with commas.
func (c *call) functions() []byte {
	var names []string
	for _, f := range []Function{RawDataToProtocol, ProtocolToRawData, TransformPayload} {
		if c.has(f) {
			names = append(names, f.String())
		}
	}
	return []byte(strings.Join(names, ","))
}

func (c *call) has(f Function) bool {
	_, ok := goja.AssertFunction(c.get(f))
	return ok
}

// get finds a function of the script: declared, or held by a variable of any kind.
func (c *call) get(f Function) (v goja.Value) {
	defer func() {
		if recover() != nil { // a getter that threw
			v = nil
		}
	}()
	return c.vm.Get(f.String())
}

func (c *call) find(f Function) (goja.Callable, *Failure) {
	needed := []Function{RawDataToProtocol, ProtocolToRawData} // both, even if one is never used
	if f == TransformPayload {
		needed = []Function{TransformPayload}
	}
	for _, n := range needed {
		if !c.has(n) {
			return nil, &Failure{Kind: MissingFunction, Message: "the script has no function " + n.String()}
		}
	}
	function, _ := goja.AssertFunction(c.get(f))
	return function, nil
}

// bytes is an array of signed integers ("Script contract").
func (c *call) bytes(input []byte) goja.Value {
	items := make([]any, len(input))
	for i, b := range input {
		items[i] = int64(int8(b))
	}
	return c.vm.NewArray(items...)
}

func nothing(v goja.Value) bool {
	return v == nil || goja.IsUndefined(v) || goja.IsNull(v)
}

// json makes JSON of a result as JSON.stringify does, getters and toJSON and all: they are the script's and count.
func (c *call) json(f Function, result goja.Value) ([]byte, *Failure) {
	object, ok := result.(*goja.Object)
	if !ok {
		return nil, wrongType(f, "an object")
	}
	if _, ok := goja.AssertFunction(object); ok {
		return nil, wrongType(f, "an object")
	}
	text, err := c.stringify(goja.Undefined(), object)
	if err != nil {
		return nil, c.failure(err)
	}
	if goja.IsUndefined(text) {
		return nil, wrongType(f, "an object")
	}
	s, ok := text.Export().(string)
	switch {
	case s == "[]" || s == "null":
		return nil, &Failure{Kind: Nothing, Message: f.String() + " returned nothing"}
	case !ok || s == "" || s[0] != '{':
		return nil, wrongType(f, "an object")
	case len(s) > MaxOutput:
		return nil, &Failure{Kind: WrongType, Message: fmt.Sprintf("%s returned %d bytes of JSON; at most %d are taken", f, len(s), MaxOutput)}
	}
	return []byte(s), nil
}

func wrongType(f Function, want string) *Failure {
	return &Failure{Kind: WrongType, Message: f.String() + " did not return " + want}
}

// octets makes bytes of an array of integers, or of a typed array.
func (c *call) octets(f Function, result goja.Value) (out []byte, failure *Failure) {
	object, ok := result.(*goja.Object)
	if !ok {
		return nil, wrongType(f, "an array of integers")
	}
	if buffer, ok := object.Export().(goja.ArrayBuffer); ok {
		out = append([]byte(nil), buffer.Bytes()...)
	} else {
		err := c.vm.Try(func() { out, failure = c.elements(f, object) })
		if err != nil {
			return nil, c.failure(err)
		}
		if failure != nil {
			return nil, failure
		}
	}
	if len(out) == 0 {
		return nil, &Failure{Kind: Nothing, Message: f.String() + " returned nothing"}
	}
	if len(out) > MaxBytes {
		return nil, tooLong(f, len(out))
	}
	return out, nil
}

func tooLong(f Function, n int) *Failure {
	return &Failure{Kind: WrongType, Message: fmt.Sprintf("%s returned %d bytes; at most %d fit into a message", f, n, MaxBytes)}
}

func (c *call) elements(f Function, object *goja.Object) ([]byte, *Failure) {
	switch object.ClassName() {
	case "Array", "Uint8Array", "Int8Array", "Uint8ClampedArray", "Object":
	default:
		return nil, wrongType(f, "an array of integers")
	}
	length := object.Get("length")
	if length == nil || length.ExportType() == nil {
		return nil, wrongType(f, "an array of integers")
	}
	n := length.ToFloat()
	if math.IsNaN(n) || n < 0 || n != math.Trunc(n) {
		return nil, wrongType(f, "an array of integers")
	}
	if n > MaxBytes {
		return nil, tooLong(f, int(min(n, math.MaxInt32)))
	}
	out := make([]byte, int(n))
	for i := range out {
		var number float64
		switch v := exported(object.Get(strconv.Itoa(i))).(type) {
		case int64:
			out[i] = byte(v)
			continue
		case float64:
			number = v
		default:
			return nil, &Failure{Kind: WrongType, Message: fmt.Sprintf("element %d of what %s returned is not a number", i, f)}
		}
		if number != math.Trunc(number) || math.Abs(number) >= 1<<53 {
			return nil, &Failure{Kind: WrongType, Message: fmt.Sprintf("element %d of what %s returned is not an integer", i, f)}
		}
		out[i] = byte(int64(number))
	}
	return out, nil
}

func exported(v goja.Value) any {
	if v == nil {
		return nil
	}
	if _, ok := v.(*goja.Object); ok {
		return nil
	}
	return v.Export()
}

// failure says what was wrong, and where.
func (c *call) failure(err error) *Failure {
	f := &Failure{Kind: Exception}
	var stack []goja.StackFrame
	var interrupted *goja.InterruptedError
	var overflow *goja.StackOverflowError
	var exception *goja.Exception
	switch {
	case errors.As(err, &interrupted):
		f.Kind, stack = TooManySteps, interrupted.Stack()
		f.Message = errSteps.Error()
		if errors.Is(err, errMemory) {
			f.Kind, f.Message = TooMuchMemory, errMemory.Error()
		}
	case errors.As(err, &overflow):
		f.Kind, f.Message, stack = TooDeep, fmt.Sprintf("functions call each other more than %d deep", MaxDepth), overflow.Stack()
	case errors.As(err, &exception):
		f.Message, stack = c.thrown(exception), exception.Stack()
	default:
		f.Message = cut(err.Error())
	}
	for i := range stack {
		if p := stack[i].Position(); p.Line > 0 {
			f.Line, f.Column = p.Line, p.Column
			break
		}
	}
	return f
}

// thrown is the text of what a script threw. Its toString is the script's, so it is only asked if it is cheap and safe: for errors,
// whose name and message are taken as they are, and for values that are no objects.
func (c *call) thrown(e *goja.Exception) string {
	v := e.Value()
	object, ok := v.(*goja.Object)
	if !ok {
		if v == nil {
			return "exception"
		}
		if s, ok := v.Export().(string); ok {
			return cut(s)
		}
		return cut(v.String())
	}
	var parts []string
	err := c.vm.Try(func() {
		for _, name := range []string{"name", "message"} {
			if s, ok := exported(object.Get(name)).(string); ok && s != "" {
				parts = append(parts, cut(s))
			}
		}
	})
	if err != nil || len(parts) == 0 {
		return "an object was thrown"
	}
	return cut(strings.Join(parts, ": "))
}

// cut makes a message of text that a script chose: short, valid, one line.
func cut(s string) string {
	if len(s) > maxMessage {
		s = s[:maxMessage]
	}
	s = strings.ToValidUTF8(s, "")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
}
