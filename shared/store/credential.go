package store

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// Credentials are what is known of a device's proofs beside its secret in force. They are part of the device's row.
type Credentials struct {
	Serial   int64 // of the secret in force; grows with every secret that is issued, from 1
	IssuedAt int64 // when that was; 0: with the device

	// OldSecret is the secret before, which is still accepted until OldUntil, so that a device can change it without losing its
	// connection. Empty if no rotation is under way. It is encrypted at rest.
	OldSecret iot.Secret
	OldUntil  int64

	Tokens []Token // of physical devices that were registered without pre-registration, at most MaxTokens
	// ResetAt is when the operator allowed the device to be registered dynamically again, although it had been activated.
	ResetAt int64

	Revision int64 // grows with every SetCredentials; one of an older revision is a Conflict
}

// MaxTokens is how many physical devices may share one device name ("MQTT: result").
const MaxTokens = 5

// A Token is what one physical device logs in with (authType connwl). Only a digest of it is stored.
type Token struct {
	ClientID string `json:"clientId"`
	Digest   string `json:"digest"` // hex of SHA-256; the token is random and long, so that nothing slower is needed
	IssuedAt int64  `json:"issuedAt"`
}

// Secrets are the secrets that a device may sign with at a time, the one in force first, and their serials.
func (d *Device) Secrets(now int64) (secrets []iot.Secret, serials []int64) {
	secrets, serials = []iot.Secret{d.Secret}, []int64{d.Credentials.Serial}
	if c := &d.Credentials; c.OldSecret != "" && now < c.OldUntil {
		secrets, serials = append(secrets, c.OldSecret), append(serials, c.Serial-1)
	}
	return secrets, serials
}

// Rotating reports whether two secrets are accepted at a time.
func (d *Device) Rotating(now int64) bool {
	return d.Credentials.OldSecret != "" && now < d.Credentials.OldUntil
}

// Clone is a copy that shares nothing with d.
func (d *Device) Clone() *Device {
	c := *d
	c.Credentials.Tokens = slices.Clone(d.Credentials.Tokens)
	return &c
}

func oldSecretPlace(ref iot.DeviceRef) string { return secretPlace("device.old_secret", ref.String()) }

// addCredentials adds the columns of credentials; empty ones are left out.
func (d devices) addCredentials(c *columns, dev *Device) error {
	cr := &dev.Credentials
	if sealed := d.s.seal.seal(dev.Secret, secretPlace(tableDevice, dev.Ref.String())); sealed != nil {
		c.add("secret", sealed)
	}
	c.add("credential_revision", cr.Revision)
	c.add("secret_serial", cr.Serial)
	if cr.IssuedAt != 0 {
		c.add("secret_issued_at", cr.IssuedAt)
	}
	if sealed := d.s.seal.seal(cr.OldSecret, oldSecretPlace(dev.Ref)); sealed != nil {
		c.add("old_secret", sealed)
		c.add("old_secret_until", cr.OldUntil)
	}
	if len(cr.Tokens) > 0 {
		tokens, err := json.Marshal(cr.Tokens)
		if err != nil {
			return err
		}
		c.add("tokens", string(tokens))
	}
	if cr.ResetAt != 0 {
		c.add("reset_at", cr.ResetAt)
	}
	return nil
}

// credentialColumns are those that SetCredentials deletes where they have become empty.
var credentialColumns = []string{"secret", "secret_issued_at", "old_secret", "old_secret_until", "tokens", "reset_at"}

func (d devices) readCredentials(ref iot.DeviceRef, row cells) (Credentials, error) {
	c := Credentials{
		Serial: max(row.int("secret_serial"), 1), IssuedAt: row.int("secret_issued_at"), OldUntil: row.int("old_secret_until"),
		Tokens: readList[Token](row, "tokens"), ResetAt: row.int("reset_at"), Revision: row.int("credential_revision"),
	}
	var err error
	c.OldSecret, err = d.s.seal.open(row.bytes("old_secret"), oldSecretPlace(ref))
	return c, err
}

func (d devices) SetCredentials(ctx context.Context, dev *Device) error {
	next := dev.Clone()
	next.Credentials.Revision++
	mine := claim()
	var c columns
	if err := d.addCredentials(&c, next); err != nil {
		return err
	}
	c.add("updated_at", dev.UpdatedAt)
	c.add("claim", mine)
	// A row of a release before has no revision; nobody else takes its first away meanwhile, because then it has one.
	cond := tablestore.NewSingleColumnCondition("credential_revision", tablestore.CT_EQUAL, dev.Credentials.Revision)
	cond.FilterIfMissing = dev.Credentials.Revision != 0
	cond.LatestVersionOnly = true
	change := &tablestore.UpdateRowChange{TableName: tableDevice, PrimaryKey: deviceRowKey(dev.Ref),
		Condition: &tablestore.RowCondition{RowExistenceExpectation: tablestore.RowExistenceExpectation_EXPECT_EXIST, ColumnCondition: cond}}
	for _, column := range c {
		change.PutColumn(column.ColumnName, column.Value)
	}
	for _, name := range credentialColumns {
		if !slices.ContainsFunc(c, func(a tablestore.AttributeColumn) bool { return a.ColumnName == name }) {
			change.DeleteColumn(name)
		}
	}
	err := d.s.client.update(ctx, change)
	if conflict(err) {
		row, err := d.s.client.get(ctx, tableDevice, deviceRowKey(dev.Ref))
		switch {
		case err != nil:
			return err
		case row == nil || row.bool("deleted"):
			return iot.Errorf(iot.DeviceNotFound, "no device %s", dev.Ref)
		case row.int("claim") != mine:
			return iot.Errorf(iot.Conflict, "the credentials of device %s were changed meanwhile", dev.Ref)
		}
	} else if err != nil {
		return err
	}
	dev.Credentials.Revision = next.Credentials.Revision
	return nil
}
