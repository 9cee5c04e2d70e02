package memory

import (
	"cmp"
	"context"
	"slices"

	"relink/shared/iot"
	"relink/shared/store"
)

type products struct{ s *Store }

func copyProduct(p store.Product) store.Product {
	p.Topics, p.Draft, p.Models = slices.Clone(p.Topics), slices.Clone(p.Draft), slices.Clone(p.Models)
	for i := range p.Models {
		p.Models[i].TSL = slices.Clone(p.Models[i].TSL)
	}
	return p
}

func (p products) Create(ctx context.Context, product *store.Product) error {
	end, err := p.s.begin(ctx, "products.create", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	if _, ok := p.s.products[product.Key]; ok {
		return iot.Errorf(iot.AlreadyExists, "product %s exists", product.Key)
	}
	product.Revision = 1
	p.s.products[product.Key] = copyProduct(*product)
	return nil
}

func (p products) Get(ctx context.Context, key iot.ProductKey) (*store.Product, error) {
	end, err := p.s.begin(ctx, "products.get", iot.DeviceRef{ProductKey: key})
	if err != nil {
		return nil, err
	}
	defer end()
	product, ok := p.s.products[key]
	if !ok {
		return nil, iot.Errorf(iot.ProductNotFound, "no product %s", key)
	}
	product = copyProduct(product)
	return &product, nil
}

func (p products) List(ctx context.Context) ([]*store.Product, error) {
	end, err := p.s.begin(ctx, "products.list", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	var list []*store.Product
	for _, product := range p.s.products {
		product = copyProduct(product)
		list = append(list, &product)
	}
	slices.SortFunc(list, func(a, b *store.Product) int { return cmp.Compare(a.Key, b.Key) })
	return list, nil
}

func (p products) Update(ctx context.Context, product *store.Product) error {
	end, err := p.s.begin(ctx, "products.update", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	old, ok := p.s.products[product.Key]
	if !ok {
		return iot.Errorf(iot.ProductNotFound, "no product %s", product.Key)
	}
	if old.Revision != product.Revision {
		return iot.Errorf(iot.Conflict, "product %s was changed meanwhile", product.Key)
	}
	product.Revision++
	p.s.products[product.Key] = copyProduct(*product)
	return nil
}

func (p products) Delete(ctx context.Context, key iot.ProductKey) error {
	end, err := p.s.begin(ctx, "products.delete", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	delete(p.s.products, key)
	return nil
}
