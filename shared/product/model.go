package product

import (
	"context"
	"slices"
	"strconv"

	"relink/shared/iot"
	"relink/shared/store"
	"relink/shared/tsl"
)

// Limits of thing models.
const (
	maxVersions = 10
	maxImport   = 256 << 10
)

// emptyModel is what a product has before anything was added.
var emptyModel = new(tsl.Model)

// A Model is one document of a product's thing model: a published version, or the draft, which has no version.
type Model struct {
	*tsl.Model
	Version     string
	Description string
}

// Draft gives the model that is being edited. Errors: ModelNotFound if the product has no thing model at all.
func Draft(p *store.Product) (Model, error) {
	if err := senior(p); err != nil {
		return Model{}, err
	}
	m, err := draft(p)
	return Model{Model: m}, err
}

// Published gives a published version, the newest if version is empty. Errors: ModelNotFound.
func Published(p *store.Product, version string) (Model, error) {
	if err := senior(p); err != nil {
		return Model{}, err
	}
	for i := len(p.Models) - 1; i >= 0; i-- {
		if v := p.Models[i]; version == "" || v.Version == version {
			m, err := tsl.Parse(v.TSL)
			if err != nil {
				return Model{}, iot.Wrap(iot.Internal, err, "the stored thing model is broken")
			}
			return Model{m, v.Version, v.Description}, nil
		}
	}
	if version == "" {
		return Model{}, iot.Errorf(iot.ModelNotFound, "the product's thing model is not published")
	}
	return Model{}, iot.Errorf(iot.ModelNotFound, "the product's thing model has no version %s", version)
}

func senior(p *store.Product) error {
	if !p.Senior {
		return iot.Errorf(iot.ModelNotFound, "the product has no thing model")
	}
	return nil
}

// draft is the draft as it stands: what was edited last, or else what was published last.
func draft(p *store.Product) (*tsl.Model, error) {
	stored := p.Draft
	if stored == nil && len(p.Models) > 0 {
		stored = p.Models[len(p.Models)-1].TSL
	}
	if stored == nil {
		return emptyModel, nil
	}
	m, err := tsl.Parse(stored)
	if err != nil {
		return nil, iot.Wrap(iot.Internal, err, "the stored thing model is broken")
	}
	return m, nil
}

// edit changes the draft. Errors: ProductNotFound, ModelNotFound, ProductReleased, and those of the change.
func (s *Service) edit(ctx context.Context, key iot.ProductKey, change func(m *tsl.Model) (*tsl.Model, error)) error {
	return s.update(ctx, key, func(p *store.Product) error {
		if err := senior(p); err != nil {
			return err
		}
		if p.Status == StatusReleased {
			return iot.Errorf(iot.ProductReleased, "the product is released; its thing model cannot change")
		}
		m, err := draft(p)
		if err != nil {
			return err
		}
		if m, err = change(m); err != nil {
			return err
		}
		p.Draft, err = m.Stored(p.Key, "")
		return err
	})
}

// A Block names the module of a thing model that an edit is of: the default one if ID is empty or "default". Name makes a custom module
// that is not there, and renames one that is.
type Block struct{ ID, Name string }

// AddFeatures adds the features of a ThingModelJson to a module of the draft.
func (s *Service) AddFeatures(ctx context.Context, key iot.ProductKey, block Block, thingModelJSON []byte) error {
	return s.edit(ctx, key, func(m *tsl.Model) (*tsl.Model, error) {
		return m.EditBlock(block.ID, block.Name, func(b *tsl.Model) (*tsl.Model, error) { return b.AddFeatures(thingModelJSON) })
	})
}

// UpdateFeature replaces one feature of a module of the draft.
func (s *Service) UpdateFeature(ctx context.Context, key iot.ProductKey, block Block, identifier string, thingModelJSON []byte) error {
	return s.edit(ctx, key, func(m *tsl.Model) (*tsl.Model, error) {
		if _, err := m.Block(block.ID); err != nil {
			return nil, err
		}
		return m.EditBlock(block.ID, block.Name, func(b *tsl.Model) (*tsl.Model, error) { return b.UpdateFeature(identifier, thingModelJSON) })
	})
}

// DeleteFeatures removes features from a module of the draft. If none is named, it removes the module, or, of the default one, everything:
// all features and all custom modules.
func (s *Service) DeleteFeatures(ctx context.Context, key iot.ProductKey, block Block, properties, events, services []string) error {
	return s.edit(ctx, key, func(m *tsl.Model) (*tsl.Model, error) {
		b, err := m.Block(block.ID)
		switch {
		case err != nil:
			return nil, err
		case len(properties)+len(events)+len(services) > 0:
			return m.EditBlock(block.ID, "", func(b *tsl.Model) (*tsl.Model, error) { return b.DeleteFeatures(properties, events, services) })
		case b == m:
			return emptyModel, nil
		}
		return m.DeleteBlock(block.ID)
	})
}

// Import replaces a module of the draft by a TSL document, whose product key does not matter.
func (s *Service) Import(ctx context.Context, key iot.ProductKey, block Block, document []byte) error {
	if len(document) > maxImport {
		return iot.Errorf(iot.InvalidParams, "a thing model to import has at most %d bytes", maxImport)
	}
	with, err := tsl.Parse(document)
	if err != nil {
		return err
	}
	custom := block.ID != "" && block.ID != "default"
	switch {
	case !custom && with.BlockID != "":
		return iot.Errorf(iot.InvalidParams, "the document is a custom module's: say FunctionBlockId %s", with.BlockID)
	case custom && block.Name == "":
		block.Name = with.BlockName
	}
	return s.edit(ctx, key, func(m *tsl.Model) (*tsl.Model, error) {
		return m.EditBlock(block.ID, block.Name, func(b *tsl.Model) (*tsl.Model, error) { return with.WithBlocks(b), nil })
	})
}

// Copy makes a version of one product's thing model, the draft if version is empty, the draft of another one. Both have to be of one
// category. Errors: ProductNotFound, ModelNotFound, InvalidParams, ProductReleased.
func (s *Service) Copy(ctx context.Context, from, to iot.ProductKey, version string) error {
	source, err := s.products.Get(ctx, from)
	if err != nil {
		return err
	}
	var m Model
	if version == "" {
		m, err = Draft(source)
	} else {
		m, err = Published(source, version)
	}
	if err != nil {
		return err
	}
	target, err := s.products.Get(ctx, to)
	if err != nil {
		return err
	}
	if source.CategoryKey != target.CategoryKey {
		return iot.Errorf(iot.InvalidParams, "the products are of different categories")
	}
	return s.edit(ctx, to, func(*tsl.Model) (*tsl.Model, error) { return m.Model, nil })
}

// Publish makes the draft the version in force. The ten newest are kept. An empty version is the time in Unix milliseconds.
// Errors: ProductNotFound, ModelNotFound, InvalidParams, AlreadyExists (the version), ProductReleased.
func (s *Service) Publish(ctx context.Context, key iot.ProductKey, version, description string) error {
	if version != "" && !validVersion(version) {
		return iot.Errorf(iot.InvalidParams, "a version has 1 to 16 letters, digits and dots")
	}
	return s.update(ctx, key, func(p *store.Product) error {
		if err := senior(p); err != nil {
			return err
		}
		if p.Status == StatusReleased {
			return iot.Errorf(iot.ProductReleased, "the product is released; its thing model cannot change")
		}
		if hasVersion(p, version) {
			return iot.Errorf(iot.AlreadyExists, "version %s is published already", version)
		}
		m, err := draft(p)
		if err != nil {
			return err
		}
		return s.appendVersion(p, m, version, description)
	})
}

func (s *Service) appendVersion(p *store.Product, m *tsl.Model, version, description string) error {
	at := s.now().UnixMilli()
	for n := at; version == ""; n++ {
		if v := strconv.FormatInt(n, 10); !hasVersion(p, v) {
			version = v
		}
	}
	document, err := m.Stored(p.Key, version)
	if err != nil {
		return err
	}
	p.Models = append(slices.Clone(p.Models), store.Model{Version: version, Description: description, PublishedAt: at, TSL: document})
	if extra := len(p.Models) - maxVersions; extra > 0 {
		p.Models = p.Models[extra:]
	}
	return nil
}

func hasVersion(p *store.Product, version string) bool {
	return slices.ContainsFunc(p.Models, func(m store.Model) bool { return m.Version == version })
}

func validVersion(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.') {
			return false
		}
	}
	return len(s) <= 16
}
