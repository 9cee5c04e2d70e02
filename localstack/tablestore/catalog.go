package tablestore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// A catalog knows the tables of all instances. Its mutex also serialises changes of definitions.
type catalog struct {
	mu        sync.RWMutex
	db        *pebble.DB
	instances map[string]map[string]*table // guarded by mu
	nextID    uint32                       // guarded by mu
}

// A table is one data table. Only options, capacity and defined columns change after creation.
type table struct {
	id       uint32
	instance string
	name     string
	schema   []pkColumn
	autoInc  int // index in schema, or -1
	readyAt  time.Time
	options  atomic.Pointer[tableOptions]
	lastAuto atomic.Int64 // last automatic key handed out

	def definition // guarded by catalog.mu
}

type pkColumn struct {
	name []byte
	typ  byte // typeInteger, typeString, typeBlob
}

// tableOptions are what a table's rows are read and written by.
type tableOptions struct {
	TTL         int   `json:"ttl"` // seconds; -1 = for ever
	MaxVersions int   `json:"max_versions"`
	Deviation   int64 `json:"deviation"` // seconds
	AllowUpdate bool  `json:"allow_update"`
	FullRow     bool  `json:"update_full_row,omitempty"`
}

// oldest is the version below which cells have expired at time now (ms); 0 if none ever does.
func (o *tableOptions) oldest(now int64) int64 {
	if o.TTL < 0 {
		return 0
	}
	return max(now-int64(o.TTL)*1000, 0)
}

// versioned tells whether each cell is billed for its version.
func (o *tableOptions) versioned() bool { return o.TTL >= 0 || o.MaxVersions > 1 }

// A definition is a table as it is stored.
type definition struct {
	ID         uint32          `json:"id"`
	Key        []definedColumn `json:"key"`
	Columns    []definedColumn `json:"columns,omitempty"`
	Options    tableOptions    `json:"options"`
	ReadCU     int32           `json:"read_cu"`
	WriteCU    int32           `json:"write_cu"`
	IncreaseAt int64           `json:"increase_at"` // seconds
	DecreaseAt int64           `json:"decrease_at,omitempty"`
	AdjustedAt int64           `json:"adjusted_at,omitempty"` // of the last UpdateTable that set capacity
}

type definedColumn struct {
	Name    string `json:"name"`
	Type    int32  `json:"type"` // PrimaryKeyType or DefinedColumnType
	AutoInc bool   `json:"auto_increment,omitempty"`
}

var nextIDKey = []byte("i")

func definitionKey(instance, name string) []byte {
	return []byte("t" + instance + "\x00" + name)
}

func newTable(instance, name string, d definition) *table {
	t := &table{id: d.ID, instance: instance, name: name, autoInc: -1, def: d}
	for i, c := range d.Key {
		t.schema = append(t.schema, pkColumn{[]byte(c.Name), [...]byte{1: typeInteger, 2: typeString, 3: typeBlob}[c.Type]})
		if c.AutoInc {
			t.autoInc = i
		}
	}
	t.options.Store(&d.Options)
	return t
}

// loadCatalog reads all definitions and drops rows of tables that are gone: a write that raced with DeleteTable may have
// left some.
func loadCatalog(db *pebble.DB, o Options) (*catalog, error) {
	c := &catalog{db: db, instances: make(map[string]map[string]*table), nextID: 1}
	if v, closer, err := db.Get(nextIDKey); err == nil {
		c.nextID = binary.BigEndian.Uint32(v)
		if err := closer.Close(); err != nil {
			return nil, err
		}
	} else if err != pebble.ErrNotFound {
		return nil, err
	}
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("t"), UpperBound: []byte("u")})
	if err != nil {
		return nil, err
	}
	alive := make(map[uint32]bool)
	for iter.First(); iter.Valid(); iter.Next() {
		instance, name, ok := bytes.Cut(iter.Key()[1:], []byte{0})
		var d definition
		err := json.Unmarshal(iter.Value(), &d)
		if err == nil && !ok {
			err = errCorrupt
		}
		if err != nil {
			key := bytes.Clone(iter.Key())
			return nil, fmt.Errorf("definition %q is damaged: %w", key, closeWith(iter, err))
		}
		c.put(newTable(string(instance), string(name), d))
		alive[d.ID] = true
	}
	if err := iter.Close(); err != nil {
		return nil, err
	}
	return c, c.dropOrphans(alive)
}

func closeWith(iter *pebble.Iterator, err error) error {
	if e := iter.Close(); err == nil {
		return e
	}
	return err
}

func (c *catalog) dropOrphans(alive map[uint32]bool) error {
	iter, err := c.db.NewIter(&pebble.IterOptions{LowerBound: []byte{dataPrefix}, UpperBound: []byte{dataPrefix + 1}})
	if err != nil {
		return err
	}
	var orphans [][]byte
	for iter.First(); iter.Valid(); {
		if len(iter.Key()) < tablePrefixSize {
			key := bytes.Clone(iter.Key())
			return fmt.Errorf("key %q is damaged: %w", key, closeWith(iter, errCorrupt))
		}
		prefix := bytes.Clone(iter.Key()[:tablePrefixSize])
		if !alive[binary.BigEndian.Uint32(prefix[1:])] {
			orphans = append(orphans, prefix)
		}
		iter.SeekGE(successor(prefix))
	}
	if err := iter.Close(); err != nil {
		return err
	}
	for _, p := range orphans {
		if err := c.db.DeleteRange(p, successor(p), pebble.Sync); err != nil {
			return err
		}
	}
	return nil
}

func (c *catalog) put(t *table) {
	m := c.instances[t.instance]
	if m == nil {
		m = make(map[string]*table)
		c.instances[t.instance] = m
	}
	m[t.name] = t
}

// find returns a table that may be used, or the failure to answer.
func (s *Server) find(instance string, name []byte) (*table, *failure) {
	s.catalog.mu.RLock()
	t := s.catalog.instances[instance][string(name)]
	s.catalog.mu.RUnlock()
	if t == nil {
		if !validName(name) {
			return nil, invalid("Invalid table name: '%s'.", name)
		}
		return nil, fail(codeObjectNotExist)
	}
	if s.opts.TableReadyDelay > 0 && s.opts.Clock().Before(t.readyAt) {
		return nil, fail(codeTableNotReady)
	}
	return t, nil
}

// tables returns all tables, for the sweep.
func (c *catalog) tables() []*table {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var list []*table
	for _, m := range c.instances {
		for _, t := range m {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b *table) int { return int(int64(a.id) - int64(b.id)) })
	return list
}

// store writes a definition; with id it also takes the next table id. The caller holds mu.
func (c *catalog) store(t *table, d definition, create bool) error {
	body, err := json.Marshal(d)
	if err != nil {
		return err
	}
	b := c.db.NewBatch()
	defer b.Close()
	if err := b.Set(definitionKey(t.instance, t.name), body, nil); err != nil {
		return err
	}
	if create {
		if err := b.Set(nextIDKey, binary.BigEndian.AppendUint32(nil, d.ID+1), nil); err != nil {
			return err
		}
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	if create {
		c.nextID = d.ID + 1
		c.put(t)
	}
	t.def = d
	t.options.Store(&d.Options)
	return nil
}

// drop deletes a table with its rows. The caller holds mu.
func (c *catalog) drop(t *table) error {
	b := c.db.NewBatch()
	defer b.Close()
	if err := b.Delete(definitionKey(t.instance, t.name), nil); err != nil {
		return err
	}
	p := appendTablePrefix(nil, t.id)
	if err := b.DeleteRange(p, successor(p), nil); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	delete(c.instances[t.instance], t.name)
	return nil
}
