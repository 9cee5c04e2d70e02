package openapi

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
)

// toXML writes a JSON object as the API's XML: members are elements in their order, a list is its element repeated, null and
// an empty list are nothing.
func toXML(root string, object []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>`)
	if err := xmlValue(&b, d, root); err != nil {
		return nil, fmt.Errorf("answer as XML: %w", err)
	}
	return b.Bytes(), nil
}

// xmlValue writes the next value as one element of that name, a list as many.
func xmlValue(b *bytes.Buffer, d *json.Decoder, name string) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			for d.More() {
				if err := xmlValue(b, d, name); err != nil {
					return err
				}
			}
			_, err := d.Token()
			return err
		}
		b.WriteString("<" + name + ">")
		for d.More() {
			member, err := d.Token()
			if err != nil {
				return err
			}
			if err := xmlValue(b, d, member.(string)); err != nil { // a member's name is always a string
				return err
			}
		}
		b.WriteString("</" + name + ">")
		_, err := d.Token()
		return err
	case nil:
		return nil
	default:
		b.WriteString("<" + name + ">")
		if err := xml.EscapeText(b, fmt.Append(nil, t)); err != nil {
			return err
		}
		b.WriteString("</" + name + ">")
		return nil
	}
}
