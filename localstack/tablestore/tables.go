package tablestore

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// answer marshals m as the response.
func (rq *request) answer(m protoadapt.MessageV1) (*failure, error) {
	b, err := marshal(m)
	if err != nil {
		return nil, err
	}
	rq.out = append(rq.out, b...)
	return nil, nil
}

func (s *Server) createTable(rq *request) (*failure, error) {
	var m otsprotocol.CreateTableRequest
	if unmarshal(rq.body, &m) != nil {
		return failProtobuf, nil
	}
	switch {
	case len(m.IndexMetas) > 0 || len(m.GetTableMeta().GetIndexMeta()) > 0:
		return unsupported("a secondary index"), nil
	case m.GetStreamSpec().GetEnableStream():
		return unsupported("a stream"), nil
	case m.GetSseSpec().GetEnable():
		return unsupported("server-side encryption"), nil
	case m.GetEnableLocalTxn():
		return unsupported("a local transaction"), nil
	}
	name := m.GetTableMeta().GetTableName()
	if !validName([]byte(name)) {
		return invalid("Invalid table name: '%s'.", name), nil
	}
	d := definition{
		ReadCU:     m.GetReservedThroughput().GetCapacityUnit().GetRead(),
		WriteCU:    m.GetReservedThroughput().GetCapacityUnit().GetWrite(),
		IncreaseAt: rq.now / 1000,
	}
	if d.ReadCU < 0 || d.WriteCU < 0 {
		return invalid("Invalid Capacity Unit:%d. Capacity Unit must be nonnegative.", min(d.ReadCU, d.WriteCU)), nil
	}
	var f *failure
	if d.Key, f = keyColumns(m.TableMeta.PrimaryKey, name); f != nil {
		return f, nil
	}
	if d.Columns, f = addColumns(d.Key, nil, m.TableMeta.DefinedColumn); f != nil {
		return f, nil
	}
	if m.TableOptions == nil || m.TableOptions.TimeToLive == nil {
		return invalid("Time-to-live is missing while creating table."), nil
	}
	if m.TableOptions.MaxVersions == nil {
		return invalid("MaxVersions is missing while creating table."), nil
	}
	d.Options = tableOptions{Deviation: defaultDeviation, AllowUpdate: true}
	if f = d.Options.set(m.TableOptions); f != nil {
		return f, nil
	}

	c := s.catalog
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.instances[rq.instance][name] != nil {
		return fail(codeObjectAlreadyExist), nil
	}
	if len(c.instances[rq.instance]) >= maxTables {
		return fail(codeQuotaExhausted), nil
	}
	d.ID = c.nextID
	t := newTable(rq.instance, name, d)
	t.readyAt = s.opts.Clock().Add(s.opts.TableReadyDelay)
	return nil, c.store(t, d, true)
}

func keyColumns(schema []*otsprotocol.PrimaryKeySchema, table string) ([]definedColumn, *failure) {
	if len(schema) < 1 || len(schema) > maxPKColumns {
		return nil, invalid("The number of primary key columns must be in range: [1, %d].", maxPKColumns)
	}
	var key []definedColumn
	auto := false
	for i, c := range schema {
		col := definedColumn{Name: c.GetName(), Type: int32(c.GetType())}
		if !validName([]byte(col.Name)) {
			return nil, invalid("Invalid column name: '%s'.", col.Name)
		}
		if slices.ContainsFunc(key, func(k definedColumn) bool { return k.Name == col.Name }) {
			return nil, invalid("Duplicated primary key name: '%s'.", col.Name)
		}
		if col.Type < 1 || col.Type > 3 {
			return nil, invalid("Invalid column type, only STRING,INTEGER,BINARY is allowed.")
		}
		if c.Option != nil && *c.Option == otsprotocol.PrimaryKeyOption_AUTO_INCREMENT {
			switch {
			case i == 0:
				return nil, invalid("First primary key can't be auto increment, table: %s.", table)
			case auto:
				return nil, invalid("AUTO_INCREMENT primary key count must <= 1.")
			case c.GetType() != otsprotocol.PrimaryKeyType_INTEGER:
				return nil, invalid("AUTO_INCREMENT primary key must be integer.")
			}
			col.AutoInc, auto = true, true
		}
		key = append(key, col)
	}
	return key, nil
}

// addColumns adds predefined columns to have.
func addColumns(key, have []definedColumn, add []*otsprotocol.DefinedColumnSchema) ([]definedColumn, *failure) {
	have = slices.Clone(have)
	for _, c := range add {
		col := definedColumn{Name: c.GetName(), Type: int32(c.GetType())}
		same := func(k definedColumn) bool { return k.Name == col.Name }
		switch {
		case !validName([]byte(col.Name)):
			return nil, invalid("Invalid column name: '%s'.", col.Name)
		case slices.ContainsFunc(key, same):
			return nil, invalid("Duplicated attribute column name with primary key column: %s.", col.Name)
		case slices.ContainsFunc(have, same):
			return nil, invalid("Duplicated attribute column name: %s.", col.Name)
		}
		have = append(have, col)
	}
	if len(have) > maxDefinedColumns {
		return nil, invalid("The number of defined columns must be in range: [0, %d].", maxDefinedColumns)
	}
	return have, nil
}

// set applies the options that a request gives.
func (o *tableOptions) set(m *otsprotocol.TableOptions) *failure {
	if m.TimeToLive != nil {
		o.TTL = int(*m.TimeToLive)
	}
	if m.MaxVersions != nil {
		o.MaxVersions = int(*m.MaxVersions)
	}
	if m.DeviationCellVersionInSec != nil {
		o.Deviation = *m.DeviationCellVersionInSec
	}
	if m.AllowUpdate != nil {
		o.AllowUpdate = *m.AllowUpdate
	}
	if m.UpdateFullRow != nil {
		o.FullRow = *m.UpdateFullRow
	}
	switch {
	case o.TTL == 0 || o.TTL < -1:
		return invalid("TimeToLive cannot be 0 or less than -1.")
	case o.TTL > 0 && o.TTL < minTTL:
		return invalid("TimeToLive must be -1 or not less than %d.", minTTL)
	case o.MaxVersions <= 0:
		return invalid("The maximum versions cannot be less than or equal to 0.")
	case o.Deviation <= 0 || o.Deviation > math.MaxInt64/1000000:
		return invalid("The maximum deviation must be in range [0, INT64_MAX/1000000].")
	}
	return nil
}

func (o *tableOptions) message() *otsprotocol.TableOptions {
	return &otsprotocol.TableOptions{
		TimeToLive: proto.Int32(int32(o.TTL)), MaxVersions: proto.Int32(int32(o.MaxVersions)),
		DeviationCellVersionInSec: proto.Int64(o.Deviation), AllowUpdate: proto.Bool(o.AllowUpdate),
		UpdateFullRow: proto.Bool(o.FullRow),
	}
}

func (d *definition) throughput() *otsprotocol.ReservedThroughputDetails {
	r := &otsprotocol.ReservedThroughputDetails{
		CapacityUnit:     &otsprotocol.CapacityUnit{Read: proto.Int32(d.ReadCU), Write: proto.Int32(d.WriteCU)},
		LastIncreaseTime: proto.Int64(d.IncreaseAt),
	}
	if d.DecreaseAt > 0 {
		r.LastDecreaseTime = proto.Int64(d.DecreaseAt)
	}
	return r
}

func (s *Server) listTable(rq *request) (*failure, error) {
	s.catalog.mu.RLock()
	names := slices.Sorted(maps.Keys(s.catalog.instances[rq.instance]))
	s.catalog.mu.RUnlock()
	return rq.answer(&otsprotocol.ListTableResponse{TableNames: names})
}

func (s *Server) describeTable(rq *request) (*failure, error) {
	var m otsprotocol.DescribeTableRequest
	if unmarshal(rq.body, &m) != nil {
		return failProtobuf, nil
	}
	t, f := s.find(rq.instance, []byte(m.GetTableName()))
	if f != nil && f.code != codeTableNotReady {
		return f, nil
	}
	status := otsprotocol.TableStatus_ACTIVE
	s.catalog.mu.RLock()
	if f != nil {
		status = otsprotocol.TableStatus_LOADING
		if t = s.catalog.instances[rq.instance][m.GetTableName()]; t == nil { // deleted in between
			s.catalog.mu.RUnlock()
			return fail(codeObjectNotExist), nil
		}
	}
	d := t.def
	s.catalog.mu.RUnlock()
	meta := &otsprotocol.TableMeta{TableName: proto.String(t.name)}
	for _, c := range d.Key {
		k := &otsprotocol.PrimaryKeySchema{Name: proto.String(c.Name), Type: otsprotocol.PrimaryKeyType(c.Type).Enum()}
		if c.AutoInc {
			k.Option = otsprotocol.PrimaryKeyOption_AUTO_INCREMENT.Enum()
		}
		meta.PrimaryKey = append(meta.PrimaryKey, k)
	}
	for _, c := range d.Columns {
		meta.DefinedColumn = append(meta.DefinedColumn, &otsprotocol.DefinedColumnSchema{
			Name: proto.String(c.Name), Type: otsprotocol.DefinedColumnType(c.Type).Enum(),
		})
	}
	return rq.answer(&otsprotocol.DescribeTableResponse{
		TableMeta: meta, TableOptions: d.Options.message(), TableStatus: status.Enum(),
		ReservedThroughputDetails: d.throughput(),
		StreamDetails:             &otsprotocol.StreamDetails{EnableStream: proto.Bool(false)},
	})
}

// change finds a table and, holding the catalog, lets edit alter a copy of its definition, which it then stores.
func (s *Server) change(rq *request, name string, edit func(*definition) *failure) (d definition, f *failure, err error) {
	s.catalog.mu.Lock()
	defer s.catalog.mu.Unlock()
	t := s.catalog.instances[rq.instance][name]
	if t == nil {
		return d, fail(codeObjectNotExist), nil
	}
	d = t.def
	if f := edit(&d); f != nil {
		return d, f, nil
	}
	return d, nil, s.catalog.store(t, d, false)
}

// adjustPause is how long reserved capacity stays as it was set.
const adjustPause = 2 * time.Minute

func (s *Server) updateTable(rq *request) (*failure, error) {
	var m otsprotocol.UpdateTableRequest
	if unmarshal(rq.body, &m) != nil {
		return failProtobuf, nil
	}
	if m.GetStreamSpec().GetEnableStream() {
		return unsupported("a stream"), nil
	}
	if m.TableOptions == nil && m.ReservedThroughput == nil && m.StreamSpec == nil {
		return invalid("No parameter is specified in table options."), nil
	}
	d, f, err := s.change(rq, m.GetTableName(), func(d *definition) *failure {
		if cu := m.GetReservedThroughput().GetCapacityUnit(); cu != nil {
			now := rq.now / 1000
			if d.AdjustedAt > 0 && now-d.AdjustedAt < int64(adjustPause/time.Second) {
				return fail(codeTooFrequentCU)
			}
			read, write := d.ReadCU, d.WriteCU
			if cu.Read != nil {
				read = *cu.Read
			}
			if cu.Write != nil {
				write = *cu.Write
			}
			if read < 0 || write < 0 {
				return invalid("Invalid Capacity Unit:%d. Capacity Unit must be nonnegative.", min(read, write))
			}
			if read > d.ReadCU || write > d.WriteCU {
				d.IncreaseAt = now
			}
			if read < d.ReadCU || write < d.WriteCU {
				d.DecreaseAt = now
			}
			d.ReadCU, d.WriteCU, d.AdjustedAt = read, write, now
		}
		if m.TableOptions != nil {
			return d.Options.set(m.TableOptions)
		}
		return nil
	})
	if f != nil || err != nil {
		return f, err
	}
	return rq.answer(&otsprotocol.UpdateTableResponse{
		ReservedThroughputDetails: d.throughput(), TableOptions: d.Options.message(),
		StreamDetails: &otsprotocol.StreamDetails{EnableStream: proto.Bool(false)},
	})
}

func (s *Server) deleteTable(rq *request) (*failure, error) {
	var m otsprotocol.DeleteTableRequest
	if unmarshal(rq.body, &m) != nil {
		return failProtobuf, nil
	}
	s.catalog.mu.Lock()
	defer s.catalog.mu.Unlock()
	t := s.catalog.instances[rq.instance][m.GetTableName()]
	if t == nil {
		return fail(codeObjectNotExist), nil
	}
	return nil, s.catalog.drop(t)
}

func (s *Server) addDefinedColumn(rq *request) (*failure, error) {
	var m otsprotocol.AddDefinedColumnRequest
	if unmarshal(rq.body, &m) != nil {
		return failProtobuf, nil
	}
	_, f, err := s.change(rq, m.GetTableName(), func(d *definition) (f *failure) {
		d.Columns, f = addColumns(d.Key, d.Columns, m.Columns)
		return f
	})
	return f, err
}

func (s *Server) deleteDefinedColumn(rq *request) (*failure, error) {
	var m otsprotocol.DeleteDefinedColumnRequest
	if unmarshal(rq.body, &m) != nil {
		return failProtobuf, nil
	}
	_, f, err := s.change(rq, m.GetTableName(), func(d *definition) *failure {
		for _, name := range m.Columns {
			if !slices.ContainsFunc(d.Columns, func(c definedColumn) bool { return c.Name == name }) {
				return invalid("Column does not exist:%s.", name)
			}
		}
		d.Columns = slices.DeleteFunc(slices.Clone(d.Columns), func(c definedColumn) bool { return slices.Contains(m.Columns, c.Name) })
		return nil
	})
	return f, err
}
