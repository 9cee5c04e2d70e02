package rulesql

import (
	"math"
	"strconv"
	"strings"
)

// A Kind is the type of a Value. The types are those of JSON (rule engine reference, "Types, null, comparison").
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Bool
	Number
	String
	Object
	Array
)

// String is the kind's name in messages for people.
func (k Kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "an object", "an array"}[k]
}

// How a number or a string is kept.
const (
	computed  = iota // string: decoded text, to be escaped when written; number: an int64 in bits
	asWritten        // part of a document: string without escapes, number with its digits
	escaped          // string between the quotes of a document, with escapes
	float            // number: a finite float64 in bits that is no integer within 2^53
)

// A Value is what an expression or a member is. The zero Value is null. It keeps the document's text alive.
type Value struct {
	text  string
	bits  uint64 // computed numbers; of a Bool: 1 if true
	kind  Kind
	form  uint8
	loose bool // an object or array with white space between tokens
}

func boolValue(b bool) Value {
	if b {
		return Value{kind: Bool, bits: 1}
	}
	return Value{kind: Bool}
}

func intValue(i int64) Value     { return Value{kind: Number, bits: uint64(i)} }
func stringValue(s string) Value { return Value{kind: String, text: s} }

const exact = 1 << 53 // integers up to here are exact in a float64

// floatValue is an integer if f is one, null if f is not finite.
func floatValue(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Value{}
	}
	if f == math.Trunc(f) && math.Abs(f) <= exact {
		return intValue(int64(f))
	}
	return Value{kind: Number, form: float, bits: math.Float64bits(f)}
}

// Kind is the value's type.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether there is no value.
func (v Value) IsNull() bool { return v.kind == Null }

// Bool is the value of a Bool.
func (v Value) Bool() bool { return v.kind == Bool && v.bits == 1 }

// Int64 is the value of a Number that is written as an integer and fits.
func (v Value) Int64() (int64, bool) {
	n, ok := v.number()
	return n.i, ok && n.whole
}

// Float64 is the value of a Number; false if it is none or out of range.
func (v Value) Float64() (float64, bool) {
	n, ok := v.number()
	return n.float(), ok
}

// Text is the value as text: a string's text, a number's digits as they were written, true, false, the compact JSON of an object
// or array, and "" for null.
func (v Value) Text() string {
	switch v.kind {
	case Null:
		return ""
	case Bool:
		if v.bits == 1 {
			return "true"
		}
		return "false"
	case String:
		if v.form == escaped {
			return unescape(v.text)
		}
		return v.text
	case Number:
		if v.form == asWritten {
			return v.text
		}
	default:
		if !v.loose {
			return v.text
		}
	}
	return string(v.AppendJSON(nil))
}

// A number is what arithmetic works on: an int64 if whole, else a finite float64.
type number struct {
	i     int64
	f     float64
	whole bool
}

func (n number) float() float64 {
	if n.whole {
		return float64(n.i)
	}
	return n.f
}

// number is the value of a Number; false for other kinds and what a float64 cannot hold.
func (v Value) number() (number, bool) {
	if v.kind != Number {
		return number{}, false
	}
	switch v.form {
	case asWritten:
		return readNumber(v.text)
	case float:
		return number{f: math.Float64frombits(v.bits)}, true
	}
	return number{i: int64(v.bits), whole: true}, true
}

// numeric is the value of a Number, or of a String that is one.
func (v Value) numeric() (number, bool) {
	if v.kind == String {
		if len(v.text) > longestEscape*maxDigits {
			return number{}, false
		}
		return readNumber(v.Text())
	}
	return v.number()
}

// readNumber reads a decimal number: digits, with a sign, a fraction and an exponent if it likes. Integers that fit are exact.
func readNumber(s string) (number, bool) {
	if len(s) > maxDigits {
		return number{}, false
	}
	rest := s
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		rest = rest[1:]
	}
	n := digits(rest)
	if n == 0 {
		return number{}, false
	}
	if n == len(rest) {
		if n < 19 {
			var i int64
			for j := 0; j < n; j++ {
				i = i*10 + int64(rest[j]-'0')
			}
			if s[0] == '-' {
				i = -i
			}
			return number{i: i, whole: true}, true
		}
		if i, err := strconv.ParseInt(s, 10, 64); err == nil {
			return number{i: i, whole: true}, true
		}
	} else {
		zeros := 0
		for zeros < n-1 && rest[zeros] == '0' {
			zeros++
		}
		if l := numberLength(rest[zeros:]); l != len(rest)-zeros {
			return number{}, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil { // out of range
		return number{}, false
	}
	return number{f: f}, true
}

// truth is what a value is as a condition: true, a number other than zero and the string true are; null stays null
// (rule engine reference, "Types, null, comparison").
func (v Value) truth() Value {
	switch v.kind {
	case Null, Bool:
		return v
	case Number:
		n, ok := v.number()
		return boolValue(ok && n.float() != 0)
	case String:
		return boolValue(v.is("true"))
	}
	return boolValue(false)
}

// is reports whether a String is s.
func (v Value) is(s string) bool { return len(v.text) <= longestEscape*len(s) && v.Text() == s }

// isTrue reports whether a value meets a condition.
func (v Value) isTrue() bool { return v.truth().Bool() }

// compareText orders two strings by their bytes.
func compareText(a, b Value) int { return strings.Compare(a.Text(), b.Text()) }
