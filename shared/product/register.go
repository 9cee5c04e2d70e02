package product

import (
	"context"

	"relink/shared/iot"
	"relink/shared/store"
)

// SetDynamicRegister switches dynamic registration of a product's devices on or off. Errors: ProductNotFound.
func (s *Service) SetDynamicRegister(ctx context.Context, key iot.ProductKey, on bool) error {
	return s.update(ctx, key, func(p *store.Product) error {
		p.DynamicRegister = on
		return nil
	})
}
