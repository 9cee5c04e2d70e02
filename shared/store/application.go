package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

const tableApplication = "application" // key: application

type applications struct{ client *client }

func applicationKey(id int64) *tablestore.PrimaryKey {
	k := new(tablestore.PrimaryKey)
	k.AddPrimaryKeyColumn("application", id)
	return k
}

func (a applications) Put(ctx context.Context, app *Application) error {
	names, err := json.Marshal(app.Names)
	if err != nil {
		return fmt.Errorf("application %d: %w", app.ID, err)
	}
	invalid, err := json.Marshal(app.Invalid)
	if err != nil {
		return fmt.Errorf("application %d: %w", app.ID, err)
	}
	var c columns
	c.add("product_key", string(app.ProductKey))
	c.add("names", string(names))
	c.add("status", app.Status)
	c.add("invalid", string(invalid))
	c.add("created_at", app.CreatedAt)
	return a.client.put(ctx, &tablestore.PutRowChange{TableName: tableApplication, PrimaryKey: applicationKey(app.ID), Columns: c, Condition: always})
}

func (a applications) Get(ctx context.Context, id int64) (*Application, error) {
	row, err := a.client.get(ctx, tableApplication, applicationKey(id))
	if row == nil || err != nil {
		return nil, err
	}
	app := &Application{ID: id, ProductKey: iot.ProductKey(row.str("product_key")), Status: row.str("status"), CreatedAt: row.int("created_at")}
	if err := readJSON(row.str("names"), &app.Names); err != nil {
		return nil, fmt.Errorf("application %d: %w", id, err)
	}
	if err := readJSON(row.str("invalid"), &app.Invalid); err != nil {
		return nil, fmt.Errorf("application %d: %w", id, err)
	}
	return app, nil
}
