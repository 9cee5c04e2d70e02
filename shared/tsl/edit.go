package tsl

import (
	"slices"

	"relink/shared/iot"
)

// AddFeatures returns the model with the features of a ThingModelJson added, at most ten (CreateThingModel). Identifiers and names must be
// new in the module: AlreadyExists.
func (m *Model) AddFeatures(thingModelJSON []byte) (*Model, error) {
	add, err := FromThingModelJSON(thingModelJSON)
	if err != nil {
		return nil, err
	}
	switch n := add.count(); {
	case n == 0:
		return nil, iot.Errorf(iot.InvalidParams, "the document has no features")
	case n > maxEdit:
		return nil, tooMany("features", maxEdit)
	}
	c := m.clone()
	c.Properties = append(c.Properties, add.Properties...)
	c.Events = append(c.Events, add.Events...)
	c.Services = append(c.Services, add.Services...)
	return c.checked()
}

func (m *Model) count() int { return len(m.Properties) + len(m.Events) + len(m.Services) }

func (m *Model) checked() (*Model, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	m.index()
	return m, nil
}

// UpdateFeature returns the model with one feature replaced by the only one of a ThingModelJson (UpdateThingModel). The feature is the
// one of the same sort named identifier, which may get another name thereby; an empty identifier means the one that the document
// names. NotInModel if there is none.
func (m *Model) UpdateFeature(identifier string, thingModelJSON []byte) (*Model, error) {
	with, err := FromThingModelJSON(thingModelJSON)
	if err != nil {
		return nil, err
	}
	if with.count() != 1 {
		return nil, iot.Errorf(iot.InvalidParams, "the document has %d features, not one", with.count())
	}
	c := m.clone()
	found := false
	switch {
	case len(with.Properties) == 1:
		found = replace(c.Properties, with.Properties[0], identifier, func(p *Property) string { return p.Identifier })
	case len(with.Events) == 1:
		found = replace(c.Events, with.Events[0], identifier, func(e *Event) string { return e.Identifier })
	default:
		found = replace(c.Services, with.Services[0], identifier, func(s *Service) string { return s.Identifier })
	}
	if !found {
		return nil, iot.Errorf(iot.NotInModel, "%q is not in the model", identifier)
	}
	return c.checked()
}

func replace[T any](list []T, with T, identifier string, idOf func(*T) string) bool {
	if identifier == "" {
		identifier = idOf(&with)
	}
	for i := range list {
		if idOf(&list[i]) == identifier {
			list[i] = with
			return true
		}
	}
	return false
}

// DeleteFeatures returns the model without the named features, at most ten of a sort (DeleteThingModel). NotInModel, and nothing
// deleted, if one of them is not there.
func (m *Model) DeleteFeatures(properties, events, services []string) (*Model, error) {
	if len(properties) > maxEdit || len(events) > maxEdit || len(services) > maxEdit {
		return nil, tooMany("identifiers", maxEdit)
	}
	c := m.clone()
	for _, id := range properties {
		if !remove(&c.Properties, func(p Property) bool { return p.Identifier == id }) {
			return nil, iot.Errorf(iot.NotInModel, "property %q is not in the model", id)
		}
	}
	for _, id := range events {
		if !remove(&c.Events, func(e Event) bool { return e.Identifier == id }) {
			return nil, iot.Errorf(iot.NotInModel, "event %q is not in the model", id)
		}
	}
	for _, id := range services {
		if !remove(&c.Services, func(s Service) bool { return s.Identifier == id }) {
			return nil, iot.Errorf(iot.NotInModel, "service %q is not in the model", id)
		}
	}
	return c.checked()
}

func remove[T any](list *[]T, is func(T) bool) bool {
	before := len(*list)
	*list = slices.DeleteFunc(*list, is)
	return len(*list) < before
}
