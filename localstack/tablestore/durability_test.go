package tablestore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ots "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/cockroachdb/pebble/v2/vfs"

	"relink/localstack/tablestore"
	"relink/localstack/tablestore/tablestoretest"
)

func startServer(t testing.TB, o tablestore.Options) (*tablestore.Server, string) {
	t.Helper()
	return tablestoretest.StartServer(t, o)
}

func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	t.Run("before", func(t *testing.T) {
		c := start(t, tablestore.Options{Dir: dir})
		create(t, c, tableSpec{name: "t", key: "a:s seq:a", versions: 2})
		create(t, c, tableSpec{name: "gone", key: "a:s"})
		put(t, c, putChange("t", pk("a", "k", "seq", 1), ignore, "v", "x"))
		if _, err := c.DeleteTable(&ots.DeleteTableRequest{TableName: "gone"}); err != nil {
			t.Fatal(err)
		}
		_, err := tablestore.Open(tablestore.Options{Dir: dir})
		if err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("second open of the directory: %v", err)
		}
		t.Log(err)
	})
	c := start(t, tablestore.Options{Dir: dir})
	wantRow(t, c, "t", pk("a", "k", "seq", 1), "v=x")
	list, err := c.ListTable()
	if err != nil || fmt.Sprint(list.TableNames) != "[t]" {
		t.Errorf("tables = %v, %v", list.TableNames, err)
	}
	create(t, c, tableSpec{name: "gone", key: "a:s"})
	wantRow(t, c, "gone", pk("a", "k"), "")
}

// TestCrash loses all that is not synced at a random moment: whatever was acknowledged must be there.
func TestCrash(t *testing.T) {
	t.Parallel()
	disk := vfs.NewCrashableMem()
	c := start(t, tablestore.WithFS(tablestore.Options{}, disk))
	create(t, c, tableSpec{name: "t", key: "a:s b:i"})
	const writers = 8
	var mu sync.Mutex
	acknowledged := make([]int, writers)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	defer wg.Wait()
	defer close(stop)
	for w := range writers {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				batch := batchRequest([]ots.RowChange{
					putChange("t", pk("a", fmt.Sprint(w), "b", i), notExist, "v", int64(i)),
					updateChange("t", pk("a", "counter", "b", w), ignore, "n", inc(1)),
				})
				if _, err := c.BatchWriteRow(batch); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged[w] = i + 1
				mu.Unlock()
			}
		})
	}
	for round := range 5 {
		deadline := time.Now().Add(10 * time.Second)
		var before []int
		for {
			mu.Lock()
			before = append(before[:0], acknowledged...)
			mu.Unlock()
			if slices.Min(before) > (round+1)*10 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("round %d: writers are stuck, acknowledged %v", round, before)
			}
			time.Sleep(time.Millisecond)
		}
		crashed := disk.CrashClone(vfs.CrashCloneCfg{})
		after := start(t, tablestore.WithFS(tablestore.Options{}, crashed))
		for w, n := range before {
			wantRow(t, after, "t", pk("a", fmt.Sprint(w), "b", n-1), fmt.Sprintf("v=%d", n-1))
			r := get(t, after, &ots.SingleRowQueryCriteria{TableName: "t", PrimaryKey: pk("a", "counter", "b", w)})
			if got := r.Columns[0].Value.(int64); got < int64(n) || got > int64(n)+1000 {
				t.Errorf("round %d: counter %d = %d, acknowledged %d", round, w, got, n)
			}
		}
	}
}

// TestKill copies the directory of a running server, as a kill would leave it, and opens the copy.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := start(t, tablestore.Options{Dir: dir})
	create(t, c, tableSpec{name: "t", key: "a:i"})
	for i := range 50 {
		put(t, c, putChange("t", pk("a", i), notExist, "v", int64(i)))
	}
	left := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	after := start(t, tablestore.Options{Dir: left})
	for i := range 50 {
		wantRow(t, after, "t", pk("a", i), fmt.Sprintf("v=%d", i))
	}
}

func TestConcurrentIncrements(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:i"})
	const writers, rounds, rows = 8, 25, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range rounds {
				var changes []ots.RowChange
				for i := range rows {
					// Every writer has its own order, which would deadlock on locks taken in order of the request.
					changes = append(changes, updateChange("t", pk("a", (i*(2*w+1))%rows), ignore, "n", inc(1)))
				}
				if w%2 == 0 {
					changes = append(changes, updateChange("t", pk("a", w), ignore, "n", inc(1)))
				}
				if _, err := c.BatchWriteRow(batchRequest(changes)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	total := int64(0)
	for i := range rows {
		total += get(t, c, &ots.SingleRowQueryCriteria{TableName: "t", PrimaryKey: pk("a", i)}).Columns[0].Value.(int64)
	}
	if want := int64(writers*rounds*rows + writers/2*rounds); total != want {
		t.Errorf("sum = %d, want %d", total, want)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s, endpoint := startServer(t, tablestore.Options{Clock: clk.Now, SweepInterval: -1})
	c := client(endpoint)
	create(t, c, tableSpec{name: "ttl", key: "a:i", ttl: 86400})
	create(t, c, tableSpec{name: "forever", key: "a:i"})
	for _, table := range []string{"ttl", "forever"} {
		for i := range 30 {
			put(t, c, putChange(table, pk("a", i), ignore, "v", int64(i)))
		}
	}
	clk.add(10 * time.Minute)
	put(t, c, putChange("ttl", pk("a", 3), ignore, "v", "kept"))
	clk.add(24*time.Hour - 5*time.Minute)
	if n, err := s.Sweep(); n != 29 || err != nil {
		t.Errorf("swept %d rows, %v, want 29", n, err)
	}
	if n, err := s.Sweep(); n != 0 || err != nil {
		t.Errorf("swept %d rows again, %v", n, err)
	}
	clk.add(-24 * time.Hour) // the SDK signs with the real time
	wantRow(t, c, "ttl", pk("a", 3), "v=kept")
	wantRow(t, c, "ttl", pk("a", 4), "")
	wantRow(t, c, "forever", pk("a", 4), "v=4")
}
