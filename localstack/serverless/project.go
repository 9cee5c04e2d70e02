package serverless

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"
)

// Options are what the interpolations of a file need. The zero value resolves env() from nothing and
// refuses config().
type Options struct {
	AccountID string                      // ${config('AccountID')}
	LookupEnv func(string) (string, bool) // ${env('X')}; nil means no variable is set
	Dir       string                      // directory that relative code paths start from; Load sets it
	Name      string                      // file name in errors; Load sets it, default s.yaml
}

// A Project is what a file declares.
type Project struct {
	Name      string
	Functions []Function // in file order
	Others    []string   // resources of components other than fc3, which this package does not read
}

// Load reads the file at path. A file that is not usable gives Problems.
func Load(path string, opt Options) (*Project, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read deployment description: %w", err)
	}
	if opt.Dir == "" {
		if opt.Dir, err = filepath.Abs(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("locate deployment description: %w", err)
		}
	}
	if opt.Name == "" {
		opt.Name = filepath.Base(path)
	}
	return Parse(data, opt)
}

// Parse reads the text of a file. A file that is not usable gives Problems.
func Parse(data []byte, opt Options) (*Project, error) {
	if opt.Name == "" {
		opt.Name = "s.yaml"
	}
	r := &reader{opt: opt, problems: problems{file: opt.Name}}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		r.syntax(err)
		return nil, r.err()
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		r.addf(more.Line, "a second document in the file")
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		r.addf(root.Line, "the file must be a mapping")
		return nil, r.err()
	}
	p := r.project(root)
	if err := r.err(); err != nil {
		return nil, err
	}
	return p, nil
}

// reader holds one parse.
type reader struct {
	problems
	opt       Options
	vars      *yaml.Node
	templates *yaml.Node
	resolving map[string]bool     // vars on the way, against cycles
	fromText  map[*yaml.Node]bool // scalars whose text came out of an interpolation
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// syntax reports a yaml error, taking the line number out of its text.
func (r *reader) syntax(err error) {
	if errors.Is(err, io.EOF) {
		r.addf(1, "the file is empty")
		return
	}
	text, line := err.Error(), 1
	if m := yamlLine.FindStringSubmatchIndex(text); m != nil {
		line, _ = strconv.Atoi(text[m[2]:m[3]])
		text = text[m[1]:]
	}
	r.addf(line, "%s", text)
}

var (
	topLevel     = set("edition", "name", "access", "vars", "template", "flow", "actions", "resources")
	resourceKeys = set("component", "extend", "access", "actions", "props")
)

func (r *reader) project(root *yaml.Node) *Project {
	p := &Project{}
	top := r.fields(root, "the file", topLevel)
	r.vars, r.templates = top["vars"], top["template"]
	if e := top["edition"]; e == nil {
		r.addf(root.Line, "edition is missing: want 3.0.0")
	} else if e.Value != "3.0.0" {
		r.addf(e.Line, "edition %s: want 3.0.0", e.Value)
	}
	if n := top["name"]; n != nil {
		p.Name = r.str(r.resolve(n), "name")
	}
	resources := top["resources"]
	if resources == nil || resources.Kind != yaml.MappingNode || len(resources.Content) == 0 {
		r.addf(root.Line, "resources is missing or empty")
		return p
	}
	names := make(map[string]int)
	for i := 0; i+1 < len(resources.Content); i += 2 {
		key, node := resources.Content[i], resources.Content[i+1]
		fs := r.fields(node, "resource "+key.Value, resourceKeys)
		if fs == nil {
			continue
		}
		component := fs["component"]
		if component == nil {
			r.addf(key.Line, "resource %s: component is missing", key.Value)
			continue
		}
		if component.Value != "fc3" {
			p.Others = append(p.Others, key.Value)
			continue
		}
		props := r.extend(key, fs["extend"], fs["props"])
		if props == nil {
			continue
		}
		f := r.function(key, props)
		if line, dup := names[f.Name]; dup && f.Name != "" {
			r.addf(key.Line, "resource %s: functionName %s is taken by the resource in line %d", key.Value, f.Name, line)
		}
		names[f.Name] = key.Line
		p.Functions = append(p.Functions, f)
	}
	return p
}

// fields returns the entries of a mapping and reports keys that are not allowed. A nil allow-list
// allows everything; nil is returned for what is not a mapping.
func (r *reader) fields(n *yaml.Node, what string, allowed map[string]bool) map[string]*yaml.Node {
	n = deref(n)
	if n.Kind != yaml.MappingNode {
		r.addf(n.Line, "%s must be a mapping", what)
		return nil
	}
	out := make(map[string]*yaml.Node, len(n.Content)/2)
	own := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], deref(n.Content[i+1])
		if k.Tag == "!!merge" {
			for name, inherited := range r.fields(v, what, allowed) {
				if out[name] == nil {
					out[name] = inherited
				}
			}
			continue
		}
		if allowed != nil && !allowed[k.Value] {
			r.addf(k.Line, "%s: unknown key %s%s", what, k.Value, suggest(k.Value, allowed))
			continue
		}
		if line, twice := own[k.Value]; twice {
			r.addf(k.Line, "%s: %s is already set in line %d", what, k.Value, line)
		}
		own[k.Value] = k.Line
		out[k.Value] = v
	}
	return out
}

func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}
