package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

const tableNode = "node" // key: node

type nodes struct{ client *client }

func (n nodes) Renew(ctx context.Context, node Node) error {
	var c columns
	c.add("url", node.URL)
	c.add("until", node.Until)
	c.add("sessions", int64(node.Sessions))
	if len(node.Lanes) > 0 {
		text, err := json.Marshal(node.Lanes)
		if err != nil {
			return err
		}
		c.add("lanes", string(text))
	}
	return n.client.put(ctx, &tablestore.PutRowChange{TableName: tableNode, PrimaryKey: stringKey("node", node.ID), Columns: c, Condition: always})
}

func (n nodes) Get(ctx context.Context, id string) (*Node, error) {
	row, err := n.client.get(ctx, tableNode, stringKey("node", id))
	if row == nil || err != nil {
		return nil, err
	}
	return readNode(id, row)
}

func readNode(id string, row cells) (*Node, error) {
	n := &Node{ID: id, URL: row.str("url"), Until: row.int("until"), Sessions: int(row.int("sessions"))}
	if text := row.str("lanes"); text != "" {
		if err := json.Unmarshal([]byte(text), &n.Lanes); err != nil {
			return nil, fmt.Errorf("counters of node %s: %w", id, err)
		}
	}
	return n, nil
}

func (n nodes) List(ctx context.Context) ([]*Node, error) {
	start, end := new(tablestore.PrimaryKey), new(tablestore.PrimaryKey)
	start.AddPrimaryKeyColumnWithMinValue("node")
	end.AddPrimaryKeyColumnWithMaxValue("node")
	var list []*Node
	var failed error
	err := n.client.scan(ctx, tablestore.RangeRowQueryCriteria{TableName: tableNode, StartPrimaryKey: start, EndPrimaryKey: end}, func(row *tablestore.Row) bool {
		id, _ := row.PrimaryKey.PrimaryKeys[0].Value.(string)
		var n *Node
		if n, failed = readNode(id, newCells(row.Columns)); failed != nil {
			return false
		}
		list = append(list, n)
		return true
	})
	if err == nil {
		err = failed
	}
	return list, err
}
