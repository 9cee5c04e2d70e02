package store

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// A Change is what Bootstrap did, or found, about one table.
type Change struct {
	Table  string
	Action string // created, unchanged, differs
	Detail string // of differs: what is declared and what is there
}

// Actions of a Change.
const (
	Created   = "created"
	Unchanged = "unchanged"
	Differs   = "differs"
)

// readyWithin bounds how long Bootstrap waits for a new table to take requests; it takes the service some seconds.
const readyWithin = time.Minute

// Bootstrap creates the declared tables that are missing, waits until they can be used, and compares the others. It never
// changes or drops a table, so it can run at every deployment. It needs no secret key. The plan has one entry per declared
// table, in order; on an error it has those that were dealt with.
func Bootstrap(ctx context.Context, o Options, declaration io.Reader) (plan []Change, err error) {
	tables, err := ReadTables(declaration)
	if err != nil {
		return nil, err
	}
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	defer c.transport.CloseIdleConnections()
	var there []string
	err = c.call(ctx, "list tables", func() error {
		resp, err := c.ots.ListTable()
		if err == nil {
			there = resp.TableNames
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		change := Change{Table: t.Name, Action: Created}
		if slices.Contains(there, t.Name) {
			change, err = c.compare(ctx, t)
		} else {
			err = c.create(ctx, t)
		}
		if err != nil {
			return plan, err
		}
		plan = append(plan, change)
	}
	for _, change := range plan {
		if change.Action == Created {
			if err := c.waitReady(ctx, tables[slices.IndexFunc(tables, func(t Table) bool { return t.Name == change.Table })]); err != nil {
				return plan, err
			}
		}
	}
	return plan, nil
}

func (c *client) create(ctx context.Context, t Table) error {
	meta := &tablestore.TableMeta{TableName: t.Name}
	for _, k := range t.PrimaryKey {
		meta.AddPrimaryKeyColumn(k.Name, keyTypes[k.Type])
	}
	req := &tablestore.CreateTableRequest{
		TableMeta:          meta,
		TableOption:        &tablestore.TableOption{TimeToAlive: t.TTL, MaxVersion: t.MaxVersions, DeviationCellVersionInSec: t.MaxVersionOffset},
		ReservedThroughput: &tablestore.ReservedThroughput{},
	}
	err := c.call(ctx, "create table "+t.Name, func() error {
		_, err := c.ots.CreateTable(req)
		return err
	})
	if err != nil && strings.Contains(err.Error(), "OTSObjectAlreadyExist") {
		return nil // another bootstrap was faster, or the first answer was lost
	}
	return err
}

func (c *client) compare(ctx context.Context, t Table) (Change, error) {
	var resp *tablestore.DescribeTableResponse
	err := c.call(ctx, "describe table "+t.Name, func() (err error) {
		resp, err = c.ots.DescribeTable(&tablestore.DescribeTableRequest{TableName: t.Name})
		return err
	})
	if err != nil {
		return Change{}, err
	}
	var diffs []string
	differ := func(what string, declared, there any) {
		if declared != there {
			diffs = append(diffs, fmt.Sprintf("%s is %v, declared %v", what, there, declared))
		}
	}
	var declared, there []string
	for _, k := range t.PrimaryKey {
		declared = append(declared, fmt.Sprintf("%s %d", k.Name, keyTypes[k.Type]))
	}
	for _, k := range resp.TableMeta.SchemaEntry {
		there = append(there, fmt.Sprintf("%s %d", *k.Name, *k.Type))
	}
	differ("primary key", strings.Join(declared, ", "), strings.Join(there, ", "))
	differ("ttl", t.TTL, resp.TableOption.TimeToAlive)
	differ("maxVersions", t.MaxVersions, resp.TableOption.MaxVersion)
	differ("maxVersionOffset", t.MaxVersionOffset, resp.TableOption.DeviationCellVersionInSec)
	if len(diffs) > 0 {
		return Change{t.Name, Differs, strings.Join(diffs, "; ")}, nil
	}
	return Change{Table: t.Name, Action: Unchanged}, nil
}

// waitReady asks for a row that is not there until the table answers.
func (c *client) waitReady(ctx context.Context, t Table) error {
	key := new(tablestore.PrimaryKey)
	for _, k := range t.PrimaryKey {
		switch k.Type {
		case "INTEGER":
			key.AddPrimaryKeyColumn(k.Name, int64(0))
		case "BINARY":
			key.AddPrimaryKeyColumn(k.Name, []byte("probe"))
		default:
			key.AddPrimaryKeyColumn(k.Name, "probe")
		}
	}
	end := time.Now().Add(readyWithin)
	for {
		_, err := c.get(ctx, t.Name, key)
		// The service may say for a moment that it does not know a table that it has just created.
		if err == nil || !passing(err) && !strings.Contains(err.Error(), "OTSObjectNotExist") {
			return err
		}
		if time.Now().After(end) {
			return iot.Wrap(iot.Unavailable, err, "table "+t.Name+" was created but does not answer")
		}
		timer := time.NewTimer(200 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}
