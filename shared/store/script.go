package store

import (
	"cmp"
	"context"
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// FailuresKept is how many failed calls of a product's script are kept: slots 0 to FailuresKept-1.
const FailuresKept = 20

// A Script is one row of the table `script`: the parsing script of a product. Only the submitted one runs.
type Script struct {
	ProductKey  iot.ProductKey
	Type        string // JavaScript, Python_27, PHP_72
	Source      string // submitted; empty if only a draft was saved
	DraftType   string
	Draft       string // empty if there is none
	SubmittedAt int64
	UpdatedAt   int64
	Revision    int64 // grows with every Put; a Put of an older one is a Conflict. 0: there is no row yet
}

// A ScriptFailure is one row of the table `script_failure`: a call that a script is to blame for.
type ScriptFailure struct {
	ProductKey iot.ProductKey
	Slot       int // of the product's ring; the next failure in it replaces this one
	At         int64
	DeviceName iot.DeviceName
	MessageID  string
	Function   string // rawDataToProtocol …
	Input      []byte // the beginning of it
	InputSize  int
	Kind       string // of sandbox.Kind
	Message    string
	Line       int
	Column     int
	Steps      int64
	Memory     int64
}

// Scripts is the tables `script` and `script_failure`.
type Scripts interface {
	Get(ctx context.Context, key iot.ProductKey) (*Script, error) // nil without an error if there is none
	// Put writes Revision+1 and sets it in s; Conflict if somebody else did.
	Put(ctx context.Context, s *Script) error
	Delete(ctx context.Context, key iot.ProductKey) error // with the failures; idempotent
	PutFailure(ctx context.Context, f *ScriptFailure) error
	Failures(ctx context.Context, key iot.ProductKey) ([]*ScriptFailure, error) // newest first
}

const (
	tableScript        = "script"         // key: product_key
	tableScriptFailure = "script_failure" // key: product_key, slot
)

type scripts struct{ client *client }

// Scripts is the tables `script` and `script_failure`.
func (s *Store) Scripts() Scripts { return scripts{s.client} }

func (s scripts) Get(ctx context.Context, key iot.ProductKey) (*Script, error) {
	row, err := s.client.get(ctx, tableScript, productKey(key))
	if row == nil || err != nil {
		return nil, err
	}
	return &Script{
		ProductKey: key, Type: row.str("type"), Source: row.str("source"), DraftType: row.str("draft_type"), Draft: row.str("draft"),
		SubmittedAt: row.int("submitted_at"), UpdatedAt: row.int("updated_at"), Revision: row.int("revision"),
	}, nil
}

// revision is Get of one column; 0 if there is no script.
func (s scripts) revision(ctx context.Context, key iot.ProductKey) (int64, error) {
	row, err := s.client.get(ctx, tableScript, productKey(key), "revision")
	return row.int("revision"), err
}

func (s scripts) Put(ctx context.Context, script *Script) error {
	mine := claim()
	var c columns
	c.add("type", script.Type)
	c.add("source", script.Source)
	c.add("draft_type", script.DraftType)
	c.add("draft", script.Draft)
	c.add("submitted_at", script.SubmittedAt)
	c.add("updated_at", script.UpdatedAt)
	c.add("revision", script.Revision+1)
	c.add("claim", mine)
	change := &tablestore.PutRowChange{TableName: tableScript, PrimaryKey: productKey(script.ProductKey), Columns: c, Condition: ifMissing}
	if script.Revision > 0 {
		change.Condition = ifColumn("revision", tablestore.CT_EQUAL, script.Revision)
	}
	err := s.client.put(ctx, change)
	if conflict(err) { // with somebody else; or with this very call, if its first answer was lost
		row, err := s.client.get(ctx, tableScript, productKey(script.ProductKey), "claim")
		if err != nil {
			return err
		}
		if row == nil || row.int("claim") != mine {
			return iot.Errorf(iot.Conflict, "the script of product %s was changed meanwhile", script.ProductKey)
		}
	} else if err != nil {
		return err
	}
	script.Revision++
	return nil
}

func failureKey(key iot.ProductKey, slot int) *tablestore.PrimaryKey {
	k := productKey(key)
	k.AddPrimaryKeyColumn("slot", int64(slot))
	return k
}

func (s scripts) Delete(ctx context.Context, key iot.ProductKey) error {
	changes := make([]tablestore.RowChange, 0, FailuresKept)
	for slot := range FailuresKept {
		changes = append(changes, &tablestore.DeleteRowChange{TableName: tableScriptFailure, PrimaryKey: failureKey(key, slot), Condition: always})
	}
	for _, err := range s.client.write(ctx, changes) {
		if err != nil {
			return err
		}
	}
	return s.client.delete(ctx, &tablestore.DeleteRowChange{TableName: tableScript, PrimaryKey: productKey(key), Condition: always})
}

func (s scripts) PutFailure(ctx context.Context, f *ScriptFailure) error {
	var c columns
	c.add("at", f.At)
	c.add("device_name", string(f.DeviceName))
	c.add("message_id", f.MessageID)
	c.add("function", f.Function)
	c.add("input", append([]byte{}, f.Input...))
	c.add("input_size", int64(f.InputSize))
	c.add("kind", f.Kind)
	c.add("message", f.Message)
	c.add("line", int64(f.Line))
	c.add("column", int64(f.Column))
	c.add("steps", f.Steps)
	c.add("memory", f.Memory)
	return s.client.put(ctx, &tablestore.PutRowChange{TableName: tableScriptFailure, PrimaryKey: failureKey(f.ProductKey, f.Slot), Columns: c, Condition: always})
}

func (s scripts) Failures(ctx context.Context, key iot.ProductKey) ([]*ScriptFailure, error) {
	start, end := productKey(key), productKey(key)
	start.AddPrimaryKeyColumnWithMinValue("slot")
	end.AddPrimaryKeyColumnWithMaxValue("slot")
	var list []*ScriptFailure
	err := s.client.scan(ctx, tablestore.RangeRowQueryCriteria{TableName: tableScriptFailure, StartPrimaryKey: start, EndPrimaryKey: end}, func(row *tablestore.Row) bool {
		c := newCells(row.Columns)
		f := &ScriptFailure{
			ProductKey: key, At: c.int("at"), DeviceName: iot.DeviceName(c.str("device_name")), MessageID: c.str("message_id"), Function: c.str("function"),
			Input: c.bytes("input"), InputSize: int(c.int("input_size")), Kind: c.str("kind"), Message: c.str("message"),
			Line: int(c.int("line")), Column: int(c.int("column")), Steps: c.int("steps"), Memory: c.int("memory"),
		}
		slot, _ := row.PrimaryKey.PrimaryKeys[1].Value.(int64)
		f.Slot = int(slot)
		list = append(list, f)
		return true
	})
	SortFailures(list)
	return list, err
}

// SortFailures sorts them as Failures answers them.
func SortFailures(list []*ScriptFailure) {
	slices.SortFunc(list, func(a, b *ScriptFailure) int { return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(a.Slot, b.Slot)) })
}
