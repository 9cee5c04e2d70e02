package store

import (
	"context"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

const tableNode = "node" // key: node

type nodes struct{ client *client }

func (n nodes) Renew(ctx context.Context, node Node) error {
	var c columns
	c.add("url", node.URL)
	c.add("until", node.Until)
	c.add("sessions", int64(node.Sessions))
	return n.client.put(ctx, &tablestore.PutRowChange{TableName: tableNode, PrimaryKey: stringKey("node", node.ID), Columns: c, Condition: always})
}

func (n nodes) Get(ctx context.Context, id string) (*Node, error) {
	row, err := n.client.get(ctx, tableNode, stringKey("node", id))
	if row == nil || err != nil {
		return nil, err
	}
	return &Node{ID: id, URL: row.str("url"), Until: row.int("until"), Sessions: int(row.int("sessions"))}, nil
}

func (n nodes) List(ctx context.Context) ([]*Node, error) {
	start, end := new(tablestore.PrimaryKey), new(tablestore.PrimaryKey)
	start.AddPrimaryKeyColumnWithMinValue("node")
	end.AddPrimaryKeyColumnWithMaxValue("node")
	var list []*Node
	err := n.client.scan(ctx, tablestore.RangeRowQueryCriteria{TableName: tableNode, StartPrimaryKey: start, EndPrimaryKey: end}, func(row *tablestore.Row) bool {
		c := newCells(row.Columns)
		id, _ := row.PrimaryKey.PrimaryKeys[0].Value.(string)
		list = append(list, &Node{ID: id, URL: c.str("url"), Until: c.int("until"), Sessions: int(c.int("sessions"))})
		return true
	})
	return list, err
}
