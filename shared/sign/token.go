package sign

import (
	"slices"
	"strings"

	"relink/shared/iot"
)

// unsigned are the members of POST /auth that are not signed; everything else that was submitted is.
var unsigned = []string{"version", "sign", "signmethod", "signMethod", "resources"}

// TokenContent is the string that is signed to get a token ("POST /auth" of HTTP and of CoAP device access): all members but those that
// are unsigned, sorted by name, name and value without separators.
func TokenContent(params map[string]string) string { return tokenContent(params, unsigned...) }

func tokenContent(params map[string]string, without ...string) string {
	names := make([]string, 0, len(params))
	size := 0
	for name, value := range params {
		if !slices.Contains(without, name) {
			names = append(names, name)
			size += len(name) + len(value)
		}
	}
	slices.Sort(names)
	content := make([]byte, 0, size)
	for _, name := range names {
		content = append(append(content, name...), params[name]...)
	}
	return string(content)
}

// A PresentedToken is a POST /auth whose signature is wrong, with what the platform knows of the device.
type PresentedToken struct {
	Params        map[string]string
	Method        Method // as Resolve gave it
	Sign          string
	Secrets       []iot.Secret // of the device, the current one first
	ProductSecret iot.Secret   // may be empty
}

// MistakeToken is Mistake for a POST /auth. Its mistakes are a member that was signed and must not be, or was not signed and has to be,
// a content with separators, and the wrong key.
func MistakeToken(p PresentedToken) string {
	contents := []signedAs{{TokenContent(p.Params), ""}}
	for _, name := range unsigned {
		if _, sent := p.Params[name]; sent && name != "sign" {
			contents = append(contents, signedAs{tokenContent(p.Params, slices.DeleteFunc(slices.Clone(unsigned), func(s string) bool { return s == name })...),
				name + ": the device signed it; it is not part of the signed string"})
		}
	}
	for name := range p.Params {
		if !slices.Contains(unsigned, name) {
			contents = append(contents, signedAs{tokenContent(p.Params, append(slices.Clone(unsigned), name)...), name + ": the device did not sign it, and sent it"})
		}
	}
	pairs := make([]string, 0, len(p.Params))
	values := make([]string, 0, len(p.Params))
	for name, value := range p.Params {
		if !slices.Contains(unsigned, name) {
			pairs = append(pairs, name+"="+value)
		}
	}
	slices.Sort(pairs)
	for _, pair := range pairs {
		_, value, _ := strings.Cut(pair, "=")
		values = append(values, value)
	}
	contents = append(contents,
		signedAs{strings.Join(pairs, "&"), "the device signed with = and &; nothing stands between names and values"},
		signedAs{strings.Join(values, ""), "the device signed the values without the names"})
	presented := Presented{Secrets: p.Secrets, ProductSecret: p.ProductSecret}
	return mistake(p.Method, p.Sign, presented.keys(), contents)
}
