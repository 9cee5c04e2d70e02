package sandbox

import (
	"fmt"
	"time"
)

// Limits of one call ("Script contract": 100 ms CPU and 32 MB).
const (
	MaxSource = 128 << 10 // bytes of a script
	MaxInput  = 1 << 20   // bytes: a message of 256 KB, or the JSON that one of them became
	MaxOutput = 1 << 20   // bytes of JSON
	MaxBytes  = 256 << 10 // bytes that protocolToRawData makes: a message
	MaxDepth  = 2000      // functions that call each other

	DefaultSteps  = 1_000_000 // some 100 ms on a slow core
	DefaultMemory = 32 << 20
	DefaultCPU    = 400 * time.Millisecond // for what steps do not count
)

// A Function is one of those that a script has, or Check.
type Function byte

// The functions. Their input and output are bytes for a device, and JSON for the platform.
const (
	Check             Function = iota // compile, run the top level, and see which functions there are
	RawDataToProtocol                 // bytes → JSON object
	ProtocolToRawData                 // JSON → bytes
	TransformPayload                  // topic and bytes → JSON
	load                              // compile, and no more
)

var functionNames = [...]string{"check", "rawDataToProtocol", "protocolToRawData", "transformPayload", "load"}

// String is the function's name in a script.
func (f Function) String() string {
	if int(f) < len(functionNames) {
		return functionNames[f]
	}
	return fmt.Sprintf("function %d", byte(f))
}

// A Script is a source text and a name for it: two of the same ID are the same. The ID is at most 255 bytes.
type Script struct {
	ID     string
	Source string
}

// A Run is what a call came to.
type Run struct {
	Output []byte
	Steps  int64 // that the script took
	Memory int64 // bytes that it allocated, in all; small amounts may count in a later call
}

// A Kind says why a call failed.
type Kind byte

// The kinds.
const (
	Exception       Kind = iota + 1 // the script threw something, or cannot be compiled
	TooManySteps                    // over Limits.Steps
	TooMuchCPU                      // over Limits.CPU
	TooMuchMemory                   // over Limits.Memory
	TooDeep                         // functions call each other over MaxDepth
	Crashed                         // the child ended for another reason
	MissingFunction                 // the script does not have the function, or not both of the pair
	WrongType                       // the result is not of the type that the function has
	Nothing                         // the function returned nothing: undefined, null, an empty array
	Throttled                       // the script has killed too many children lately and was not run
)

var kindNames = [...]string{"", "exception", "too_many_steps", "too_much_cpu", "too_much_memory", "too_deep", "crashed", "missing_function",
	"wrong_type", "nothing", "throttled"}

// String is the kind's name in answers and logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind_%d", byte(k))
}

// A Failure is the error of a call that the script is to blame for.
type Failure struct {
	Kind         Kind
	Message      string // at most 512 bytes
	Line, Column int    // of the script, from 1; 0 if not known
	Steps        int64
	Memory       int64
}

func (f *Failure) Error() string {
	s := f.Kind.String()
	if f.Message != "" {
		s += ": " + f.Message
	}
	if f.Line > 0 {
		s += fmt.Sprintf(" (line %d, column %d)", f.Line, f.Column)
	}
	return s
}

const maxMessage = 512
