package store

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// cells are the columns of one row; nil means that there is no row.
type cells []*tablestore.AttributeColumn

func newCells(columns []*tablestore.AttributeColumn) cells {
	if columns == nil {
		return cells{}
	}
	return columns
}

func (c cells) value(name string) any {
	for _, col := range c {
		if col.ColumnName == name {
			return col.Value
		}
	}
	return nil
}

// A column that is missing, or of another type than this build writes, reads as the zero value.

func (c cells) str(name string) string   { s, _ := c.value(name).(string); return s }
func (c cells) int(name string) int64    { n, _ := c.value(name).(int64); return n }
func (c cells) bool(name string) bool    { b, _ := c.value(name).(bool); return b }
func (c cells) bytes(name string) []byte { b, _ := c.value(name).([]byte); return b }

// columns collects what is written to a row.
type columns []tablestore.AttributeColumn

func (c *columns) add(name string, value any) {
	*c = append(*c, tablestore.AttributeColumn{ColumnName: name, Value: value})
}

// stringKey is a primary key of one string.
func stringKey(name, value string) *tablestore.PrimaryKey {
	k := new(tablestore.PrimaryKey)
	k.AddPrimaryKeyColumn(name, value)
	return k
}

// appendDeviceKey appends the first key column of every table that belongs to one device: four hex digits of the hash, which
// spread devices over partitions, then product key and device name, which keep one device's rows together.
func appendDeviceKey(dst []byte, dev iot.DeviceRef) []byte {
	const digits = "0123456789abcdef"
	h := dev.Hash()
	dst = append(dst, digits[h>>28], digits[h>>24&15], digits[h>>20&15], digits[h>>16&15], '#')
	dst = append(dst, dev.ProductKey...)
	dst = append(dst, '#')
	return append(dst, dev.DeviceName...)
}

func deviceKey(dev iot.DeviceRef) string {
	return string(appendDeviceKey(make([]byte, 0, 6+len(dev.ProductKey)+len(dev.DeviceName)), dev))
}

// claim is a number that marks one conditional write as this caller's, so that after a lost answer it is recognized in the row.
func claim() int64 {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return int64(binary.LittleEndian.Uint64(b[:]) >> 1)
}
