package tsl

import (
	"slices"
	"unicode"

	"relink/shared/iot"
)

// defaultBlock is how callers may name the default module; no custom one can be called so.
const defaultBlock = "default"

// Block is a custom module, or the default one if id is empty or "default". NotInModel if there is none.
func (m *Model) Block(id string) (*Model, error) {
	if id == "" || id == defaultBlock {
		return m, nil
	}
	for _, b := range m.Blocks {
		if b.BlockID == id {
			return b, nil
		}
	}
	return nil, iot.Errorf(iot.NotInModel, "there is no module %s", id)
}

// Address is how a feature of this module is addressed everywhere: its identifier, module:identifier if the module is a custom one.
func (m *Model) Address(identifier string) string {
	if m.BlockID == "" {
		return identifier
	}
	return m.BlockID + ":" + identifier
}

// EditBlock returns the model with one module changed, which is made if it is not there and name is given; another name renames it. id
// is as for Block. Errors: NotInModel, InvalidParams, AlreadyExists (the name), QuotaExceeded, and those of the change.
func (m *Model) EditBlock(id, name string, change func(b *Model) (*Model, error)) (*Model, error) {
	if id == "" || id == defaultBlock {
		return change(m)
	}
	b, err := m.Block(id)
	if err != nil {
		if name == "" {
			return nil, err
		}
		b = &Model{BlockID: id, BlockName: name}
	}
	if b, err = change(b); err != nil {
		return nil, err
	}
	b = b.clone()
	b.BlockID = id
	if name != "" {
		b.BlockName = name
	}
	b.index()
	return m.AddBlock(b)
}

// AddBlock adds a custom module, parsed from its own document, and returns the model with it. A module of the same id is replaced.
func (m *Model) AddBlock(block *Model) (*Model, error) {
	if err := checkBlock(block); err != nil {
		return nil, err
	}
	c := m.clone()
	at := slices.IndexFunc(c.Blocks, func(b *Model) bool { return b.BlockID == block.BlockID })
	if at >= 0 {
		c.Blocks[at] = block
	} else if c.Blocks = append(c.Blocks, block); len(c.Blocks) >= maxBlocks {
		return nil, tooMany("functionBlocks", maxBlocks)
	}
	names := unique{}
	for _, b := range c.Blocks {
		if err := names.add("functionBlocks", "functionBlockName", b.BlockName); err != nil {
			return nil, err
		}
	}
	c.index()
	return c, nil
}

// DeleteBlock returns the model without a custom module. NotInModel if there is none.
func (m *Model) DeleteBlock(id string) (*Model, error) {
	c := m.clone()
	if !remove(&c.Blocks, func(b *Model) bool { return b.BlockID == id }) {
		return nil, iot.Errorf(iot.NotInModel, "there is no module %s", id)
	}
	c.index()
	return c, nil
}

// WithBlocks returns the model with the custom modules of another one.
func (m *Model) WithBlocks(of *Model) *Model {
	c := m.clone()
	c.Blocks = slices.Clone(of.Blocks)
	c.index()
	return c
}

func checkBlock(b *Model) error {
	id, name := b.BlockID, b.BlockName
	if !validIdentifier(id) || len(id) > maxBlockID || id == defaultBlock || reserved(id, true) {
		return invalid("functionBlockId", "%q is not 1 to %d of letters, digits and _, or it is reserved", id, maxBlockID)
	}
	n := 0
	for _, r := range name {
		if n++; unicode.Is(unicode.Han, r) {
			n++
		}
	}
	if n < minBlockName || n > maxBlockName || checkName("functionBlockName", name) != nil {
		return invalid("functionBlockName", "%q has not %d to %d characters, of which Chinese ones count twice", name, minBlockName, maxBlockName)
	}
	return nil
}
