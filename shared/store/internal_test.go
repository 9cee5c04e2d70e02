package store

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/config"
	"relink/shared/iot"
)

// The SDK is the judge of the encoder that stands in for its own.
func TestRowEncoder(t *testing.T) {
	t.Parallel()
	texts := []string{"", "1", `"灯"`, `{"a":[1,2,{}]}`, string(bytes.Repeat([]byte("x"), 70_000))}
	for _, text := range texts {
		key := new(tablestore.PrimaryKey)
		key.AddPrimaryKeyColumn("device", "1234#pk#dn")
		key.AddPrimaryKeyColumn("time", int64(-5))
		key.AddPrimaryKeyColumn("message_id", text)
		want := &tablestore.UpdateRowChange{TableName: "t", PrimaryKey: key}
		want.PutColumn("p_a", text)
		want.PutColumnWithTimestamp("p_b", text, 1_700_000_000_123)
		want.PutColumn("p_c", []byte("\xff"+text))

		var e rowEncoder
		e.begin()
		e.stringCell("device", []byte("1234#pk#dn"))
		e.intCell("time", -5)
		e.cell("", "message_id")
		e.textString(text)
		e.attributes()
		e.cell("p_", "a")
		e.text([]byte(text))
		e.propertyCell("b")
		e.textAt([]byte(text), 1_700_000_000_123)
		e.propertyCell("c")
		e.text([]byte("\xff" + text))
		e.end()
		if !bytes.Equal(e.buf, want.Serialize()) {
			t.Errorf("%.20q:\n got %x\nwant %x", text, e.buf, want.Serialize())
		}
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{"a": "p_a", "1": "p_1", "m_02_x_y": "p_m_02_x_y", "climate:humidity": "m_07_climate_humidity", "a_b:c": "m_03_a_b_c", "a:b_c": "m_01_a_b_c"} {
		if !validIdentifier(id) || columnOf(id) != want || identifierOf(want) != id {
			t.Errorf("%q: valid %v, column %q, back %q", id, validIdentifier(id), columnOf(id), identifierOf(want))
		}
	}
	for _, id := range []string{"", "a b", "a:", ":a", "a:b:c", "ü", "a-b", "a\x00", string(bytes.Repeat([]byte("x"), 300))} {
		if validIdentifier(id) {
			t.Errorf("%q is valid", id)
		}
	}
	for _, column := range []string{"", "x", "m_", "m_0", "m_99_a_b", "m_xx_a_b", "m_00__b"} {
		if id := identifierOf(column); id != "" {
			t.Errorf("column %q is property %q", column, id)
		}
	}
}

func FuzzColumns(f *testing.F) {
	for _, id := range []string{"a", "climate:humidity", "a:b:c", "m_02_x_y", ":", "ü"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if other := identifierOf(id); len(other) > len(id) { // any column that somebody else wrote
			t.Fatalf("column %q gives the longer identifier %q", id, other)
		}
		if !validIdentifier(id) {
			return
		}
		column := columnOf(id)
		if len(column) > maxColumn || identifierOf(column) != id {
			t.Errorf("%q is column %q, which is %q", id, column, identifierOf(column))
		}
	})
}

func TestUnstorableIdentifier(t *testing.T) {
	t.Parallel()
	w := postings.New().(*posting)
	errs := make([]error, 2)
	w.encode([]Post{{Values: []Value{{Identifier: "a b"}}}, {Values: []Value{{Identifier: "a", JSON: []byte("1")}}}}, errs)
	if !iot.Is(errs[0], iot.InvalidParams) || errs[1] != nil || len(w.changes) != 2 {
		t.Errorf("%v, %d rows", errs, len(w.changes))
	}
}

func TestSeal(t *testing.T) {
	t.Parallel()
	first, err := newSealer(config.Key{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := newSealer(config.Key{2}, []config.Key{{1}})
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := newSealer(config.Key{3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed := first.seal("topsecret", "device/a/b")
	if bytes.Contains(sealed, []byte("topsecret")) || bytes.Equal(sealed, first.seal("topsecret", "device/a/b")) {
		t.Error("sealed shows the secret, or is the same twice")
	}
	for name, s := range map[string]*sealer{"same": first, "rotated": rotated} {
		if got, err := s.open(sealed, "device/a/b"); got != "topsecret" || err != nil {
			t.Errorf("%s: %q, %v", name, got.Reveal(), err)
		}
	}
	if _, err := stranger.open(sealed, "device/a/b"); err == nil {
		t.Error("another key opens it")
	}
	if _, err := first.open(sealed, "device/a/c"); err == nil {
		t.Error("it opens in another row")
	}
	for i := range sealed {
		if i > 0 {
			if got, err := first.open(sealed[:i], "device/a/b"); err == nil {
				t.Errorf("cut to %d bytes it opens: %q", i, got.Reveal())
			}
		}
		broken := bytes.Clone(sealed)
		broken[i] ^= 1
		if _, err := first.open(broken, "device/a/b"); err == nil {
			t.Errorf("with byte %d changed it opens", i)
		}
	}
	if got, err := first.open(nil, "x"); got != "" || err != nil || first.seal("", "x") != nil {
		t.Errorf("nothing: %q, %v", got.Reveal(), err)
	}
}

// counted is a table of products that counts and fails on demand.
type counted struct {
	Products
	gets  atomic.Int32
	err   error
	rev   int64
	delay time.Duration
}

func (c *counted) Get(_ context.Context, key iot.ProductKey) (*Product, error) {
	c.gets.Add(1)
	time.Sleep(c.delay)
	if c.err != nil {
		return nil, c.err
	}
	return &Product{Key: key, Revision: c.rev, Models: []Model{{TSL: []byte(`{"properties":[]}`)}}}, nil
}

func TestCachedProducts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		table := &counted{rev: 1, delay: 100 * time.Millisecond}
		c := NewCachedProducts(table, nil)
		get := func() (*CachedProduct, error) { return c.Get(t.Context(), "a1") }
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if p, err := get(); err != nil || p.Key != "a1" {
					t.Errorf("%+v, %v", p, err)
				}
			})
		}
		wg.Wait()
		if n := table.gets.Load(); n != 1 {
			t.Errorf("20 callers at once made %d reads", n)
		}
		first, _ := get()
		time.Sleep(cacheFor)
		second, _ := get()
		if n := table.gets.Load(); n != 2 || first == second || first.Thing == nil || first.Thing != second.Thing {
			t.Errorf("after its time: %d reads, model kept %v", n, first.Thing == second.Thing)
		}
		table.rev = 2
		time.Sleep(cacheFor)
		if third, _ := get(); third.Revision != 2 || third.Thing == second.Thing {
			t.Errorf("a new revision: %d, model kept %v", third.Revision, third.Thing == second.Thing)
		}
		// The database does not answer: what was known holds for a while.
		table.err = iot.Errorf(iot.Unavailable, "down")
		time.Sleep(cacheFor)
		if p, err := get(); err != nil || p.Revision != 2 {
			t.Errorf("while the database is down: %+v, %v", p, err)
		}
		time.Sleep(staleFor)
		if _, err := get(); !iot.Is(err, iot.Unavailable) {
			t.Errorf("long after: %v", err)
		}
		table.err = iot.Errorf(iot.ProductNotFound, "gone")
		time.Sleep(staleStep)
		for range 3 {
			if _, err := get(); !iot.Is(err, iot.ProductNotFound) {
				t.Errorf("deleted: %v", err)
			}
		}
		before := table.gets.Load()
		for i := range 3 * maxCached {
			if _, err := c.Get(t.Context(), iot.ProductKey(fmt.Sprint("claimed", i%(2*maxCached)))); err == nil {
				t.Fatal("found")
			}
			table.delay = 0
		}
		if n := len(c.cache.entries); n > maxCached {
			t.Errorf("%d entries are kept", n)
		}
		if table.gets.Load() == before {
			t.Error("nothing was read")
		}
	})
}

func TestStatusOf(t *testing.T) {
	t.Parallel()
	live, dead := &Node{ID: "n", Until: 101}, &Node{ID: "n", Until: 100}
	held, ended := &Session{Node: "n", OnlineAt: 50}, &Session{OnlineAt: 50, OfflineAt: 70}
	for _, c := range []struct {
		disabled bool
		session  *Session
		node     *Node
		want     string
	}{
		{false, nil, nil, "UNACTIVE 0"}, {true, nil, nil, "DISABLE 0"}, {false, held, live, "ONLINE 50"}, {true, held, live, "DISABLE 50"},
		{false, held, dead, "OFFLINE 100"}, {false, held, nil, "OFFLINE 50"}, {false, ended, live, "OFFLINE 70"},
	} {
		status, since := StatusOf(c.disabled, c.session, c.node, 100)
		if got := fmt.Sprint(status, " ", since); got != c.want {
			t.Errorf("%+v: %s, want %s", c, got, c.want)
		}
	}
}
