package store

import (
	"context"
	"encoding/base64"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// PlatformAuthority is the ID of the authority that the platform itself issues certificates with.
const PlatformAuthority = "platform"

// An Authority is one row of the table `authority`: a certificate authority whose device certificates are accepted.
type Authority struct {
	ID          string     // PlatformAuthority, or 32 hex digits
	Certificate []byte     // DER
	Key         iot.Secret // base64 of PKCS #8, of the platform's own alone; encrypted at rest
	CreatedAt   int64
}

// A Certificate is one row of the table `certificate`: which device a certificate is bound to.
type Certificate struct {
	Authority   string // ID
	Serial      string // hex, lower case, without leading zeros
	Ref         iot.DeviceRef
	IotID       iot.IotID     // a device that is registered again under the same name is another one
	Former      iot.DeviceRef // whom it was moved from last; zero if it never moved
	Revoked     bool
	Certificate []byte     // DER, where the platform issued it
	Key         iot.Secret // base64 of PKCS #8, where the platform issued it; encrypted at rest
	CreatedAt   int64
	UpdatedAt   int64 // grows with every change, even within a millisecond: it is the row's revision
}

// Certificates is the tables `authority`, some ten rows, and `certificate`.
type Certificates interface {
	Authorities(ctx context.Context) ([]*Authority, error)
	CreateAuthority(ctx context.Context, a *Authority) error                 // AlreadyExists
	DeleteAuthority(ctx context.Context, id string) error                    // idempotent; what it signed stays bound, and is not accepted
	Get(ctx context.Context, authority, serial string) (*Certificate, error) // nil without an error if there is none
	Create(ctx context.Context, c *Certificate) error                        // AlreadyExists
	// Put writes c, whose UpdatedAt is later, in the place of the row that was read with UpdatedAt before. Conflict if somebody has
	// changed that one, or there is none.
	Put(ctx context.Context, c *Certificate, before int64) error
}

const (
	tableAuthority   = "authority"   // key: authority
	tableCertificate = "certificate" // key: authority, serial
)

type certificates struct{ s *Store }

// Certificates is the tables `authority` and `certificate`.
func (s *Store) Certificates() Certificates { return certificates{s} }

func certificateKey(authority, serial string) *tablestore.PrimaryKey {
	k := stringKey("authority", authority)
	k.AddPrimaryKeyColumn("serial", serial)
	return k
}

func (c certificates) Authorities(ctx context.Context) ([]*Authority, error) {
	start, end := new(tablestore.PrimaryKey), new(tablestore.PrimaryKey)
	start.AddPrimaryKeyColumnWithMinValue("authority")
	end.AddPrimaryKeyColumnWithMaxValue("authority")
	var list []*Authority
	var bad error
	err := c.s.client.scan(ctx, tablestore.RangeRowQueryCriteria{TableName: tableAuthority, StartPrimaryKey: start, EndPrimaryKey: end},
		func(r *tablestore.Row) bool {
			id, _ := r.PrimaryKey.PrimaryKeys[0].Value.(string)
			row := newCells(r.Columns)
			key, err := c.s.seal.open(row.bytes("key"), secretPlace(tableAuthority, id))
			if err != nil {
				bad = err
				return false
			}
			list = append(list, &Authority{ID: id, Certificate: row.bytes("certificate"), Key: key, CreatedAt: row.int("created_at")})
			return true
		})
	if err == nil {
		err = bad
	}
	return list, err
}

func (c certificates) CreateAuthority(ctx context.Context, a *Authority) error {
	var cols columns
	cols.add("certificate", a.Certificate)
	if sealed := c.s.seal.seal(a.Key, secretPlace(tableAuthority, a.ID)); sealed != nil {
		cols.add("key", sealed)
	}
	cols.add("created_at", a.CreatedAt)
	return c.create(ctx, tableAuthority, stringKey("authority", a.ID), cols, "authority "+a.ID)
}

// create puts a row that must not be there yet.
func (c certificates) create(ctx context.Context, table string, key *tablestore.PrimaryKey, cols columns, what string) error {
	mine := claim()
	cols.add("claim", mine)
	err := c.s.client.put(ctx, &tablestore.PutRowChange{TableName: table, PrimaryKey: key, Columns: cols, Condition: ifMissing})
	if !conflict(err) {
		return err
	}
	row, err := c.s.client.get(ctx, table, key, "claim")
	if err == nil && row.int("claim") != mine { // else it was this call; its first answer was lost
		err = iot.Errorf(iot.AlreadyExists, "%s exists", what)
	}
	return err
}

func (c certificates) DeleteAuthority(ctx context.Context, id string) error {
	return c.s.client.delete(ctx, &tablestore.DeleteRowChange{TableName: tableAuthority, PrimaryKey: stringKey("authority", id), Condition: always})
}

func (c certificates) columns(cert *Certificate) columns {
	var cols columns
	cols.add("product_key", string(cert.Ref.ProductKey))
	cols.add("device_name", string(cert.Ref.DeviceName))
	cols.add("iot_id", string(cert.IotID))
	if !cert.Former.IsZero() {
		cols.add("former_product_key", string(cert.Former.ProductKey))
		cols.add("former_device_name", string(cert.Former.DeviceName))
	}
	cols.add("revoked", cert.Revoked)
	if len(cert.Certificate) > 0 {
		cols.add("certificate", cert.Certificate)
	}
	if sealed := c.s.seal.seal(cert.Key, secretPlace(tableCertificate, cert.Authority+"/"+cert.Serial)); sealed != nil {
		cols.add("key", sealed)
	}
	cols.add("created_at", cert.CreatedAt)
	cols.add("updated_at", cert.UpdatedAt)
	return cols
}

func (c certificates) Get(ctx context.Context, authority, serial string) (*Certificate, error) {
	row, err := c.s.client.get(ctx, tableCertificate, certificateKey(authority, serial))
	if row == nil || err != nil {
		return nil, err
	}
	key, err := c.s.seal.open(row.bytes("key"), secretPlace(tableCertificate, authority+"/"+serial))
	if err != nil {
		return nil, err
	}
	return &Certificate{
		Authority: authority, Serial: serial, IotID: iot.IotID(row.str("iot_id")), Revoked: row.bool("revoked"), Certificate: row.bytes("certificate"),
		Ref:    iot.DeviceRef{ProductKey: iot.ProductKey(row.str("product_key")), DeviceName: iot.DeviceName(row.str("device_name"))},
		Former: iot.DeviceRef{ProductKey: iot.ProductKey(row.str("former_product_key")), DeviceName: iot.DeviceName(row.str("former_device_name"))},
		Key:    key, CreatedAt: row.int("created_at"), UpdatedAt: row.int("updated_at"),
	}, nil
}

func (c certificates) Create(ctx context.Context, cert *Certificate) error {
	return c.create(ctx, tableCertificate, certificateKey(cert.Authority, cert.Serial), c.columns(cert), "certificate "+cert.Serial)
}

func (c certificates) Put(ctx context.Context, cert *Certificate, before int64) error {
	key, cols, mine := certificateKey(cert.Authority, cert.Serial), c.columns(cert), claim()
	cols.add("claim", mine)
	err := c.s.client.put(ctx, &tablestore.PutRowChange{
		TableName: tableCertificate, PrimaryKey: key, Columns: cols, Condition: ifColumn("updated_at", tablestore.CT_EQUAL, before),
	})
	if !conflict(err) {
		return err
	}
	row, err := c.s.client.get(ctx, tableCertificate, key, "claim")
	if err == nil && (row == nil || row.int("claim") != mine) { // else it was this call; its first answer was lost
		err = iot.Errorf(iot.Conflict, "certificate %s was changed meanwhile", cert.Serial)
	}
	return err
}

// SecretBytes makes a secret of bytes: secrets are text.
func SecretBytes(b []byte) iot.Secret { return iot.Secret(base64.StdEncoding.EncodeToString(b)) }

// BytesOf is the inverse of SecretBytes.
func BytesOf(s iot.Secret) ([]byte, error) { return base64.StdEncoding.DecodeString(s.Reveal()) }
