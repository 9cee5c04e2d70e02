package serverless

import "gopkg.in/yaml.v3"

// extend merges a resource's props over the template it names: mappings are merged in depth, everything
// else, lists included, is replaced (Serverless Devs parse-spec merges with extend2).
func (r *reader) extend(key, ext, props *yaml.Node) *yaml.Node {
	if props == nil {
		props = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: key.Line}
	}
	props = deref(props)
	if props.Kind != yaml.MappingNode {
		r.addf(props.Line, "resource %s: props must be a mapping", key.Value)
		return nil
	}
	if ext == nil {
		return props
	}
	fs := r.fields(ext, "extend", set("name", "ignore"))
	if fs == nil {
		return nil
	}
	name := fs["name"]
	if name == nil {
		r.addf(ext.Line, "extend: name is missing")
		return nil
	}
	base := child(r.templates, name.Value)
	if base == nil {
		r.addf(name.Line, "extend: template %s is not declared", name.Value)
		return nil
	}
	if base.Kind != yaml.MappingNode {
		r.addf(base.Line, "template %s must be a mapping", name.Value)
		return nil
	}
	ignore := make(map[string]bool)
	if ig := fs["ignore"]; ig != nil {
		for _, s := range r.strings(r.resolve(ig), "extend: ignore") {
			ignore[s] = true
		}
	}
	kept := *base
	kept.Content = nil
	for i := 0; i+1 < len(base.Content); i += 2 {
		if !ignore[base.Content[i].Value] {
			kept.Content = append(kept.Content, base.Content[i], base.Content[i+1])
		}
	}
	return merge(&kept, props)
}

// merge returns over laid on base; neither is changed.
func merge(base, over *yaml.Node) *yaml.Node {
	base, over = deref(base), deref(over)
	if base.Kind != yaml.MappingNode || over.Kind != yaml.MappingNode {
		return over
	}
	out := *over
	out.Content = append([]*yaml.Node(nil), base.Content...)
next:
	for i := 0; i+1 < len(over.Content); i += 2 {
		k, v := over.Content[i], over.Content[i+1]
		for j := 0; j+1 < len(out.Content); j += 2 {
			if out.Content[j].Value == k.Value {
				out.Content[j], out.Content[j+1] = k, merge(out.Content[j+1], v)
				continue next
			}
		}
		out.Content = append(out.Content, k, v)
	}
	return &out
}
