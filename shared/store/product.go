package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

const tableProduct = "product"

// maxModels bounds the published versions of a product's model that are kept.
const maxModels = 10

type products struct{ s *Store }

func productKey(key iot.ProductKey) *tablestore.PrimaryKey {
	return stringKey("product_key", string(key))
}

func (p products) Create(ctx context.Context, product *Product) error {
	product.Revision = 1
	mine := claim()
	change, err := p.row(product, mine)
	if err != nil {
		return err
	}
	change.Condition = ifMissing
	err = p.s.client.put(ctx, change)
	if !conflict(err) {
		return err
	}
	// Somebody has the key; this very call, if the first answer was lost.
	row, err := p.s.client.get(ctx, tableProduct, productKey(product.Key))
	if err != nil {
		return err
	}
	if row.int("claim") != mine {
		return iot.Errorf(iot.AlreadyExists, "product %s exists", product.Key)
	}
	return nil
}

func (p products) Get(ctx context.Context, key iot.ProductKey) (*Product, error) {
	row, err := p.s.client.get(ctx, tableProduct, productKey(key))
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, iot.Errorf(iot.ProductNotFound, "no product %s", key)
	}
	return p.read(key, row)
}

// revision is Get of two columns.
func (p products) revision(ctx context.Context, key iot.ProductKey) (revision, createdAt int64, err error) {
	row, err := p.s.client.get(ctx, tableProduct, productKey(key), "revision", "created_at")
	if err == nil && row == nil {
		err = iot.Errorf(iot.ProductNotFound, "no product %s", key)
	}
	return row.int("revision"), row.int("created_at"), err
}

func (p products) List(ctx context.Context) ([]*Product, error) {
	start, end := new(tablestore.PrimaryKey), new(tablestore.PrimaryKey)
	start.AddPrimaryKeyColumnWithMinValue("product_key")
	end.AddPrimaryKeyColumnWithMaxValue("product_key")
	var list []*Product
	var bad error
	err := p.s.client.scan(ctx, tablestore.RangeRowQueryCriteria{TableName: tableProduct, StartPrimaryKey: start, EndPrimaryKey: end},
		func(row *tablestore.Row) bool {
			key, _ := row.PrimaryKey.PrimaryKeys[0].Value.(string)
			product, err := p.read(iot.ProductKey(key), newCells(row.Columns))
			if err != nil {
				bad = err
				return false
			}
			list = append(list, product)
			return true
		})
	if err != nil {
		return nil, err
	}
	return list, bad
}

func (p products) Update(ctx context.Context, product *Product) error {
	next := *product
	next.Revision++
	mine := claim()
	change, err := p.row(&next, mine)
	if err != nil {
		return err
	}
	change.Condition = ifColumn("revision", tablestore.CT_EQUAL, product.Revision)
	err = p.s.client.put(ctx, change)
	if conflict(err) {
		row, err := p.s.client.get(ctx, tableProduct, productKey(product.Key))
		switch {
		case err != nil:
			return err
		case row == nil:
			return iot.Errorf(iot.ProductNotFound, "no product %s", product.Key)
		case row.int("claim") != mine:
			return iot.Errorf(iot.Conflict, "product %s was changed meanwhile", product.Key)
		}
	} else if err != nil {
		return err
	}
	product.Revision = next.Revision
	return nil
}

func (p products) Delete(ctx context.Context, key iot.ProductKey) error {
	return p.s.client.delete(ctx, &tablestore.DeleteRowChange{TableName: tableProduct, PrimaryKey: productKey(key), Condition: always})
}

func modelColumn(i int) string { return fmt.Sprintf("model_%02d", i) }

// row makes the whole row of a product. Every published model has a column of its own: together they could exceed what one
// value may hold.
func (p products) row(product *Product, claim int64) (*tablestore.PutRowChange, error) {
	if len(product.Models) > maxModels {
		return nil, iot.Errorf(iot.QuotaExceeded, "a product keeps at most %d published models", maxModels)
	}
	topics, err := json.Marshal(product.Topics)
	if err != nil {
		return nil, fmt.Errorf("topics of product %s: %w", product.Key, err)
	}
	var c columns
	c.add("name", product.Name)
	if sealed := p.s.seal.seal(product.Secret, secretPlace(tableProduct, string(product.Key))); sealed != nil {
		c.add("secret", sealed)
	}
	c.add("senior", product.Senior)
	c.add("node_type", int64(product.NodeType))
	c.add("data_format", int64(product.DataFormat))
	c.add("auth_type", product.AuthType)
	c.add("category_key", product.CategoryKey)
	c.add("description", product.Description)
	c.add("net_type", product.NetType)
	c.add("protocol_type", product.ProtocolType)
	c.add("validate_type", int64(product.ValidateType))
	c.add("status", product.Status)
	c.add("dynamic_register", product.DynamicRegister)
	c.add("topics", string(topics))
	if product.Draft != nil {
		c.add("draft", string(product.Draft))
	}
	for i := range product.Models {
		model, err := json.Marshal(&product.Models[i])
		if err != nil {
			return nil, fmt.Errorf("model %s of product %s: %w", product.Models[i].Version, product.Key, err)
		}
		c.add(modelColumn(i), string(model))
	}
	c.add("created_at", product.CreatedAt)
	c.add("updated_at", product.UpdatedAt)
	c.add("revision", product.Revision)
	c.add("claim", claim)
	return &tablestore.PutRowChange{TableName: tableProduct, PrimaryKey: productKey(product.Key), Columns: c}, nil
}

func (p products) read(key iot.ProductKey, row cells) (*Product, error) {
	secret, err := p.s.seal.open(row.bytes("secret"), secretPlace(tableProduct, string(key)))
	if err != nil {
		return nil, err
	}
	product := &Product{
		Key: key, Name: row.str("name"), Secret: secret, Senior: row.bool("senior"), NodeType: int(row.int("node_type")),
		DataFormat: int(row.int("data_format")), AuthType: row.str("auth_type"), CategoryKey: row.str("category_key"),
		Description: row.str("description"), NetType: row.str("net_type"), ProtocolType: row.str("protocol_type"),
		ValidateType: int(row.int("validate_type")), Status: row.str("status"), DynamicRegister: row.bool("dynamic_register"),
		CreatedAt: row.int("created_at"), UpdatedAt: row.int("updated_at"), Revision: row.int("revision"),
	}
	if err := readJSON(row.str("topics"), &product.Topics); err != nil {
		return nil, fmt.Errorf("topics of product %s: %w", key, err)
	}
	for i := range product.Topics {
		if t := &product.Topics[i]; t.ID == 0 { // of a release that had no ids
			t.ID = TopicID(product.Key, t.Filter)
		}
	}
	if draft := row.str("draft"); draft != "" {
		product.Draft = json.RawMessage(draft)
	}
	for i := range maxModels {
		text := row.str(modelColumn(i))
		if text == "" {
			break
		}
		var m Model
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return nil, fmt.Errorf("model %d of product %s: %w", i, key, err)
		}
		product.Models = append(product.Models, m)
	}
	if product.Topics == nil {
		product.Topics = []Topic{}
	}
	return product, nil
}

func readJSON(text string, into any) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), into)
}

func secretPlace(table, key string) string { return table + "/" + key }
