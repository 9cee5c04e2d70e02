package store

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"gopkg.in/yaml.v3"
)

// A Table is one table as templates/tablestore.yaml declares it.
type Table struct {
	Name             string
	Purpose          string
	PrimaryKey       []KeyColumn
	TTL              int   // seconds, -1 for ever
	MaxVersions      int   // of each column
	MaxVersionOffset int64 // seconds
}

// A KeyColumn is one column of a table's primary key. Type is STRING, INTEGER or BINARY.
type KeyColumn struct{ Name, Type string }

const (
	defaultOffset = 86400 // seconds; Tablestore's own
	minTTL        = 86400 // seconds; Tablestore, "TTL"
)

var keyTypes = map[string]tablestore.PrimaryKeyType{
	"STRING": tablestore.PrimaryKeyType_STRING, "INTEGER": tablestore.PrimaryKeyType_INTEGER, "BINARY": tablestore.PrimaryKeyType_BINARY,
}

// ReadTables reads the declaration. What it does not know, or does not understand, is an error that names the table.
func ReadTables(declaration io.Reader) ([]Table, error) {
	var file struct {
		Tables []struct {
			Name             string              `yaml:"name"`
			Purpose          string              `yaml:"purpose"`
			PrimaryKey       []map[string]string `yaml:"primaryKey"`
			TTL              string              `yaml:"ttl"`
			MaxVersions      int                 `yaml:"maxVersions"`
			MaxVersionOffset int64               `yaml:"maxVersionOffset"`
		} `yaml:"tables"`
	}
	dec := yaml.NewDecoder(declaration)
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("declaration of tables: %w", err)
	}
	tables := make([]Table, 0, len(file.Tables))
	for _, d := range file.Tables {
		t := Table{Name: d.Name, Purpose: d.Purpose, MaxVersions: max(d.MaxVersions, 1), MaxVersionOffset: d.MaxVersionOffset}
		if t.MaxVersionOffset == 0 {
			t.MaxVersionOffset = defaultOffset
		}
		var err error
		if t.TTL, err = readTTL(d.TTL); err != nil {
			return nil, fmt.Errorf("table %q: %w", d.Name, err)
		}
		for _, column := range d.PrimaryKey {
			for name, typ := range column {
				if _, ok := keyTypes[typ]; !ok {
					return nil, fmt.Errorf("table %q: key column %s has type %q; want STRING, INTEGER or BINARY", d.Name, name, typ)
				}
				t.PrimaryKey = append(t.PrimaryKey, KeyColumn{name, typ})
			}
		}
		if t.Name == "" || len(t.PrimaryKey) != len(d.PrimaryKey) || len(t.PrimaryKey) < 1 || len(t.PrimaryKey) > 4 {
			return nil, fmt.Errorf("table %q: want a name and a primary key of 1 to 4 columns, one name and type each", d.Name)
		}
		tables = append(tables, t)
	}
	return tables, nil
}

func readTTL(s string) (int, error) {
	if s == "forever" {
		return -1, nil
	}
	days, err := strconv.Atoi(strings.TrimSuffix(s, "d"))
	if err != nil || !strings.HasSuffix(s, "d") || days*86400 < minTTL || days > 24855 {
		return 0, fmt.Errorf("ttl %q: want days, as in 30d, or forever", s)
	}
	return days * 86400, nil
}
