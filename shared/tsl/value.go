package tsl

import (
	"math"
	"strconv"

	"relink/shared/alink"
)

// A problem is why a value does not fit its type.
type problem struct {
	code int
	text string // for the reply, without the path
	path string // identifier, then .member and [i]
}

// message is the text that the original gives.
func (p *problem) message() string { return "tsl parse: " + p.text + " -> " + p.path }

// notA are the codes and texts of values that are not of their type ("Validation").
var notA = map[Kind]problem{
	Int:    {code: alink.CodeInt, text: "data type is not int"},
	Float:  {code: alink.CodeFloat, text: "data type is not float"},
	Double: {code: alink.CodeDouble, text: "data type is not double"},
	Bool:   {code: alink.CodeBool, text: "value of bool type must be int"},
	Enum:   {code: alink.CodeEnum, text: "data type is not enum"},
	Text:   {code: alink.CodeText, text: "data type is not string"},
	Date:   {code: alink.CodeDate, text: "data type is not date"},
	Struct: {code: alink.CodeStruct, text: "data type is not struct"},
	Array:  {code: alink.CodeArray, text: "data type is not array"},
}

func (t *Type) is(path string) *problem {
	p := notA[t.Kind]
	p.path = path
	return &p
}

// outside is the same code with a text for a value that is of the type but not within its limits.
func (t *Type) outside(path, text string) *problem {
	return &problem{notA[t.Kind].code, text, path}
}

// fits checks a value, which is valid JSON. There is no conversion between JSON types.
func (t *Type) fits(value []byte, mode Mode, path string) *problem {
	if len(value) == 0 {
		return t.is(path)
	}
	strong := mode == Strong
	switch t.Kind {
	case Int:
		v, ok := integer(value)
		if !ok {
			return t.is(path)
		}
		if strong && !(float64(v) >= t.min && float64(v) <= t.max) {
			return t.outside(path, "value is out of range")
		}
	case Float, Double:
		v, ok := number(value, strong)
		if !ok {
			return t.is(path)
		}
		if strong && !(v >= t.min && v <= t.max) {
			return t.outside(path, "value is out of range")
		}
	case Bool:
		if len(value) != 1 || value[0] != '0' && value[0] != '1' {
			return t.is(path)
		}
	case Enum:
		v, ok := integer(value)
		if !ok {
			return t.is(path)
		}
		for i := range t.Names {
			if t.Names[i].Value == v {
				return nil
			}
		}
		return t.outside(path, "value is not in enum")
	case Text:
		if value[0] != '"' {
			return t.is(path)
		}
		if strong && t.Length > 0 && len(alink.Unquote(value)) > t.Length {
			return t.outside(path, "text is too long")
		}
	case Date:
		if !date(value) {
			return t.is(path)
		}
	case Struct:
		return t.fitsStruct(value, mode, path)
	case Array:
		return t.fitsArray(value, mode, path)
	}
	return nil
}

func (t *Type) fitsStruct(value []byte, mode Mode, path string) *problem {
	if value[0] != '{' {
		return t.is(path)
	}
	for name, v := range alink.Members(value) {
		member := t.member(name)
		if member == nil {
			return &problem{alink.CodeParamNotInModel, "params not exist", path + "." + string(name)}
		}
		if p := member.Type.fits(v, mode, ""); p != nil { // the path is put together only if it is needed
			p.path = path + "." + member.Identifier + p.path
			return p
		}
	}
	return nil
}

func (t *Type) member(name []byte) *Argument {
	for i := range t.Members {
		if t.Members[i].Identifier == string(name) {
			return &t.Members[i]
		}
	}
	return nil
}

func (t *Type) fitsArray(value []byte, mode Mode, path string) *problem {
	if value[0] != '[' {
		return t.is(path)
	}
	n := 0
	for v := range alink.Elements(value) {
		if mode == Strong && n == t.Size {
			return &problem{alink.CodeArraySize, "array has too many elements", path}
		}
		if p := t.Item.fits(v, mode, ""); p != nil {
			p.path = path + at("", n) + p.path
			return p
		}
		n++
	}
	return nil
}

// integer reads a JSON integer of 32 bits; 1.0 and 1e3 are none.
func integer(value []byte) (int32, bool) {
	i, sign := 0, int64(1)
	if value[0] == '-' {
		i, sign = 1, -1
	}
	if n := len(value) - i; n == 0 || n > 10 {
		return 0, false
	}
	v := int64(0)
	for _, c := range value[i:] {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	v *= sign
	return int32(v), v >= math.MinInt32 && v <= math.MaxInt32
}

// number reads a JSON number that is finite. Its value is computed only if it is needed: for limits, or because it has an exponent or
// so many digits that it may be infinite.
func number(value []byte, needed bool) (float64, bool) {
	if c := value[0]; c != '-' && (c < '0' || c > '9') {
		return 0, false
	}
	if !needed && len(value) < 300 {
		exponent := false
		for _, c := range value {
			exponent = exponent || c == 'e' || c == 'E'
		}
		if !exponent {
			return 0, true
		}
	}
	v, err := strconv.ParseFloat(string(value), 64)
	return v, err == nil
}

// date reports whether value is a string of digits.
func date(value []byte) bool {
	if len(value) < 3 || value[0] != '"' {
		return false
	}
	for _, c := range value[1 : len(value)-1] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
