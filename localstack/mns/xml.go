package mns

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
)

const namespace = "http://mns.aliyuncs.com/doc/v1/"

// Bounds of what a request may contain.
const (
	maxBody     = 1 << 20 // a batch of 64 KB whose every character is escaped
	maxDepth    = 4
	maxElements = 256
)

// An element is one of a request. Only those without children have text that counts.
type element struct {
	name     string
	text     string
	children []*element
}

var errLimits = errors.New("too many or too deep elements")

// parseXML reads one document. Namespaces, attributes, comments and instructions are passed over, as the service does.
func parseXML(body []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	var root *element
	var open []*element
	var text strings.Builder
	count := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			e := &element{name: t.Name.Local}
			if count++; count > maxElements || len(open) == maxDepth {
				return nil, errLimits
			}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			case root != nil:
				return nil, errors.New("more than one root element")
			default:
				root = e
			}
			open = append(open, e)
			text.Reset()
		case xml.EndElement:
			e := open[len(open)-1]
			if len(e.children) == 0 {
				e.text = text.String()
			}
			open = open[:len(open)-1]
			text.Reset()
		case xml.CharData:
			if len(open) > 0 {
				text.Write(t)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, errors.New("text outside of the root element")
			}
		}
	}
	if root == nil {
		return nil, io.ErrUnexpectedEOF
	}
	return root, nil
}

// parseBody reads a request's document, whose root must have the name.
func parseBody(body []byte, root string) (*element, error) {
	e, err := parseXML(body)
	if err != nil {
		return nil, fail(MalformedXML)
	}
	if e.name != root {
		return nil, notValid(e.name)
	}
	return e, nil
}

// only refuses children that the schema does not have, and ones that come twice.
func (e *element) only(names ...string) error {
	var seen uint
children:
	for _, c := range e.children {
		for i, name := range names {
			if c.name == name && seen&(1<<i) == 0 {
				seen |= 1 << i
				continue children
			}
		}
		return notValid(c.name)
	}
	return nil
}

// child returns the text of a child, and whether there is one.
func (e *element) child(name string) (string, bool) {
	for _, c := range e.children {
		if c.name == name {
			return c.text, true
		}
	}
	return "", false
}

// number reads a child into value if it is there and not empty.
func (e *element) number(name string, low, high int64, unit string, value *int64) error {
	text, ok := e.child(name)
	text = strings.TrimSpace(text)
	if !ok || text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return notValid(name)
	}
	if n < low || n > high {
		return outOfRange(name, low, high, unit)
	}
	*value = n
	return nil
}

// boolean reads a child into value if it is there and not empty.
func (e *element) boolean(name string, value *bool) error {
	text, ok := e.child(name)
	text = strings.TrimSpace(text)
	if !ok || text == "" {
		return nil
	}
	switch strings.ToLower(text) {
	case "true":
		*value = true
	case "false":
		*value = false
	default:
		return notValid(name)
	}
	return nil
}

// A document writes an answer. Its first element carries the declaration and the namespace.
type document struct{ b bytes.Buffer }

func (d *document) open(name string) {
	if d.b.Len() == 0 {
		d.b.WriteString(`<?xml version="1.0" encoding="utf-8"?>` + "\n<" + name + ` xmlns="` + namespace + `">`)
		return
	}
	d.b.WriteString("<" + name + ">")
}

func (d *document) close(name string) { d.b.WriteString("</" + name + ">") }

func (d *document) leaf(name, value string) {
	d.b.WriteString("<" + name + ">")
	_ = xml.EscapeText(&d.b, []byte(value)) // a buffer takes everything
	d.b.WriteString("</" + name + ">")
}

// text is leaf for a value that is there already as bytes.
func (d *document) text(name string, value []byte) {
	d.b.WriteString("<" + name + ">")
	_ = xml.EscapeText(&d.b, value) // a buffer takes everything
	d.b.WriteString("</" + name + ">")
}

func (d *document) number(name string, value int64) {
	d.b.WriteString("<" + name + ">")
	d.b.Write(strconv.AppendInt(d.b.AvailableBuffer(), value, 10))
	d.b.WriteString("</" + name + ">")
}

func (d *document) boolean(name string, value bool) {
	text := "False"
	if value {
		text = "True"
	}
	d.leaf(name, text)
}

func (d *document) bytes() []byte { return d.b.Bytes() }
