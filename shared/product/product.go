// Package product is the life of a product as the OpenAPI knows it ("Products", "Thing model"): created with a key and a secret,
// renamed, its thing model edited as a draft and published in versions, deleted once it has no devices.
package product

import (
	"context"
	"crypto/rand"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"relink/shared/iot"
	"relink/shared/store"
)

// Limits ("Quotas").
const (
	MaxProducts    = 1000
	MaxDescription = 100 // characters
)

// Statuses of a product.
const (
	StatusDevelopment = "DEVELOPMENT_STATUS"
	StatusReleased    = "RELEASE_STATUS"
)

// Devices is what the Service has to know of a product's devices.
type Devices interface {
	Count(ctx context.Context, key iot.ProductKey) (int, error)
	List(ctx context.Context, key iot.ProductKey, offset, limit int) ([]*store.Device, error)
}

// A Service does what the OpenAPI's actions on products do. It is safe for concurrent use.
type Service struct {
	products store.Products
	devices  Devices
	now      func() time.Time
}

// New makes a Service; now is the clock.
func New(products store.Products, devices Devices, now func() time.Time) *Service {
	return &Service{products: products, devices: devices, now: now}
}

// A Creation is a product to be created. What it leaves open has the value of store.Product's zero.
type Creation struct {
	Name         string
	Description  string
	Senior       bool // it has a thing model
	NodeType     int
	DataFormat   int
	AuthType     string
	CategoryKey  string
	NetType      string
	ProtocolType string
	ValidateType int
	Publish      bool // publish the (empty) thing model at once
}

// Create makes a product with a key and a secret of its own. Errors: InvalidParams, AlreadyExists (the name), QuotaExceeded.
//
// Names are unique by a look at all products before: two creations of one name at the same instant may both succeed, which
// harms nobody, because the key is what addresses a product.
func (s *Service) Create(ctx context.Context, c Creation) (*store.Product, error) {
	if err := checkTexts(c.Name, c.Description); err != nil {
		return nil, err
	}
	all, err := s.products.List(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) >= MaxProducts {
		return nil, iot.Errorf(iot.QuotaExceeded, "there are %d products, the limit", MaxProducts)
	}
	if nameTaken(all, c.Name, "") {
		return nil, iot.Errorf(iot.AlreadyExists, "there is a product with this name")
	}
	at := s.now().UnixMilli()
	key := newKey()
	p := &store.Product{
		Key: key, Name: c.Name, Secret: iot.Secret(randomAlphanumerics(16)), Senior: c.Senior, NodeType: c.NodeType,
		DataFormat: c.DataFormat, AuthType: c.AuthType, CategoryKey: c.CategoryKey, Description: c.Description, NetType: c.NetType,
		ProtocolType: c.ProtocolType, ValidateType: c.ValidateType, Status: StatusDevelopment, DynamicRegister: true, Topics: store.DefaultTopics(key),
		CreatedAt: at, UpdatedAt: at,
	}
	if c.Senior && c.Publish {
		if err := s.appendVersion(p, emptyModel, "", ""); err != nil {
			return nil, err
		}
	}
	return p, s.products.Create(ctx, p)
}

// Get gets a product. Errors: ProductNotFound.
func (s *Service) Get(ctx context.Context, key iot.ProductKey) (*store.Product, error) {
	return s.products.Get(ctx, key)
}

// Count counts a product's devices.
func (s *Service) Count(ctx context.Context, key iot.ProductKey) (int, error) {
	return s.devices.Count(ctx, key)
}

// List gets all products, newest first.
func (s *Service) List(ctx context.Context) ([]*store.Product, error) {
	all, err := s.products.List(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b *store.Product) int {
		switch {
		case a.CreatedAt != b.CreatedAt && a.CreatedAt > b.CreatedAt:
			return -1
		case a.CreatedAt != b.CreatedAt:
			return 1
		case a.Key < b.Key:
			return -1
		}
		return 1
	})
	return all, nil
}

// Rename changes a product's name and, unless description is nil, its description. Errors: ProductNotFound, InvalidParams,
// AlreadyExists.
func (s *Service) Rename(ctx context.Context, key iot.ProductKey, name string, description *string) error {
	text := ""
	if description != nil {
		text = *description
	}
	if err := checkTexts(name, text); err != nil {
		return err
	}
	all, err := s.products.List(ctx)
	if err != nil {
		return err
	}
	if nameTaken(all, name, key) {
		return iot.Errorf(iot.AlreadyExists, "there is another product with this name")
	}
	return s.update(ctx, key, func(p *store.Product) error {
		p.Name = name
		if description != nil {
			p.Description = *description
		}
		return nil
	})
}

// Delete removes a product that has no devices. Errors: ProductNotFound, ProductInUse.
func (s *Service) Delete(ctx context.Context, key iot.ProductKey) error {
	if _, err := s.products.Get(ctx, key); err != nil {
		return err
	}
	n, err := s.devices.Count(ctx, key)
	if err != nil {
		return err
	}
	if n > 0 {
		// The count takes in what registrations that broke off have left; listing the devices themselves removes that.
		if found, err := s.devices.List(ctx, key, 0, min(n, 5000)); err != nil {
			return err
		} else if len(found) == 0 {
			if n, err = s.devices.Count(ctx, key); err != nil {
				return err
			}
		}
	}
	if n > 0 {
		return iot.Errorf(iot.ProductInUse, "the product still has %d devices; delete them first", n)
	}
	return s.products.Delete(ctx, key)
}

// updateTries bounds how often an update is repeated because somebody else was faster.
const updateTries = 5

// update reads, changes and writes a product, again if somebody else wrote in between.
func (s *Service) update(ctx context.Context, key iot.ProductKey, change func(p *store.Product) error) error {
	for try := 1; ; try++ {
		p, err := s.products.Get(ctx, key)
		if err != nil {
			return err
		}
		if err := change(p); err != nil {
			return err
		}
		p.UpdatedAt = s.now().UnixMilli()
		if err = s.products.Update(ctx, p); !iot.Is(err, iot.Conflict) || try == updateTries {
			return err
		}
	}
}

func nameTaken(all []*store.Product, name string, except iot.ProductKey) bool {
	return slices.ContainsFunc(all, func(p *store.Product) bool { return p.Name == name && p.Key != except })
}

func checkTexts(name, description string) error {
	if !ValidName(name) {
		return iot.Errorf(iot.InvalidParams, "a product name has 4 to 30 characters: CJK, which count twice, letters, digits, and _-@()")
	}
	if utf8.RuneCountInString(description) > MaxDescription {
		return iot.Errorf(iot.InvalidParams, "a description has at most %d characters", MaxDescription)
	}
	return nil
}

// ValidName tells whether a product may have this name: 4 to 30 characters of CJK, which count twice, letters, digits and
// _-@() ("CreateProduct", ProductName).
func ValidName(s string) bool {
	n := 0
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '@', c == '(', c == ')':
			n++
		case unicode.In(c, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
			n += 2
		default:
			return false
		}
	}
	return n >= 4 && n <= 30
}

// newKey makes a product key: a1 and nine random alphanumerics. Keys are never reused: 62^9 of them make that a matter of
// chance that need not be checked.
func newKey() iot.ProductKey { return iot.ProductKey("a1" + randomAlphanumerics(9)) }

// alphanumerics has 62 characters: a byte below 248 picks one evenly.
const alphanumerics = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func randomAlphanumerics(n int) string {
	s := make([]byte, 0, n)
	var b [64]byte
	for {
		rand.Read(b[:])
		for _, c := range b {
			if c >= 4*62 {
				continue
			}
			if s = append(s, alphanumerics[c%62]); len(s) == n {
				return string(s)
			}
		}
	}
}
