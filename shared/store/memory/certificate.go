package memory

import (
	"context"
	"slices"

	"relink/shared/iot"
	"relink/shared/store"
)

// certificateTables are the tables `authority`, in the order of creation, and `certificate`.
type certificateTables struct {
	authorities []store.Authority
	bound       map[[2]string]store.Certificate
}

type certificates struct{ s *Store }

// Certificates is the tables `authority` and `certificate`.
func (s *Store) Certificates() store.Certificates { return certificates{s} }

func (c certificates) Authorities(ctx context.Context) ([]*store.Authority, error) {
	end, err := c.s.begin(ctx, "certificates.authorities", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	var list []*store.Authority
	for _, a := range c.s.certificates.authorities {
		list = append(list, &a)
	}
	return list, nil
}

func (c certificates) CreateAuthority(ctx context.Context, a *store.Authority) error {
	end, err := c.s.begin(ctx, "certificates.create_authority", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	if slices.ContainsFunc(c.s.certificates.authorities, func(o store.Authority) bool { return o.ID == a.ID }) {
		return iot.Errorf(iot.AlreadyExists, "authority %s exists", a.ID)
	}
	c.s.certificates.authorities = append(c.s.certificates.authorities, *a)
	return nil
}

func (c certificates) DeleteAuthority(ctx context.Context, id string) error {
	end, err := c.s.begin(ctx, "certificates.delete_authority", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	c.s.certificates.authorities = slices.DeleteFunc(c.s.certificates.authorities, func(o store.Authority) bool { return o.ID == id })
	return nil
}

func (c certificates) Get(ctx context.Context, authority, serial string) (*store.Certificate, error) {
	end, err := c.s.begin(ctx, "certificates.get", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	cert, ok := c.s.certificates.bound[[2]string{authority, serial}]
	if !ok {
		return nil, nil
	}
	return &cert, nil
}

func (c certificates) Create(ctx context.Context, cert *store.Certificate) error {
	return c.put(ctx, "certificates.create", cert, func(_ store.Certificate, there bool) error {
		if there {
			return iot.Errorf(iot.AlreadyExists, "certificate %s exists", cert.Serial)
		}
		return nil
	})
}

func (c certificates) Put(ctx context.Context, cert *store.Certificate, before int64) error {
	return c.put(ctx, "certificates.put", cert, func(old store.Certificate, there bool) error {
		if !there || old.UpdatedAt != before {
			return iot.Errorf(iot.Conflict, "certificate %s was changed meanwhile", cert.Serial)
		}
		return nil
	})
}

// put writes a row unless the one that is there, if one is, speaks against it.
func (c certificates) put(ctx context.Context, op string, cert *store.Certificate, condition func(old store.Certificate, there bool) error) error {
	end, err := c.s.begin(ctx, op, cert.Ref)
	if err != nil {
		return err
	}
	defer end()
	key := [2]string{cert.Authority, cert.Serial}
	old, there := c.s.certificates.bound[key]
	if err := condition(old, there); err != nil {
		return err
	}
	if c.s.certificates.bound == nil {
		c.s.certificates.bound = make(map[[2]string]store.Certificate)
	}
	c.s.certificates.bound[key] = *cert
	return nil
}
