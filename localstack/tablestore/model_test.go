package tablestore_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	ots "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/localstack/tablestore"
)

// TestRandomWrites compares rows after random writes, alone and in batches, with what they should have become. Writes see
// the row through what the server remembers, reads see it as stored.
func TestRandomWrites(t *testing.T) {
	t.Parallel()
	c := start(t, tablestore.Options{})
	create(t, c, tableSpec{name: "t", key: "a:i"})
	random := rand.New(rand.NewPCG(5, 6))
	const rows = 60
	counts := make(map[int]int64) // of rows that exist
	for round := range 120 {
		var changes []ots.RowChange
		want := ""
		for _, n := range random.Perm(rows)[:1+random.IntN(30)] {
			key := pk("a", n)
			_, there := counts[n]
			outcome := "+"
			switch random.IntN(6) {
			case 0:
				changes = append(changes, putChange("t", key, ignore, "n", int64(round)))
				counts[n] = int64(round)
			case 1:
				changes = append(changes, putChange("t", key, notExist, "n", int64(-round)))
				if there {
					outcome = "OTSConditionCheckFail"
				} else {
					counts[n] = int64(-round)
				}
			case 2:
				rm := &ots.DeleteRowChange{TableName: "t", PrimaryKey: key}
				rm.SetCondition(ignore)
				changes = append(changes, rm)
				delete(counts, n)
			case 3:
				ch := updateChange("t", key, ignore, "n", inc(100))
				ch.SetColumnCondition(condition("n", ots.CT_GREATER_THAN, int64(50), true))
				changes = append(changes, ch)
				if there && counts[n] > 50 {
					counts[n] += 100
				} else {
					outcome = "OTSConditionCheckFail"
				}
			case 4:
				changes = append(changes, updateChange("t", key, exist, "n", inc(1), "pad", make([]byte, random.IntN(900))))
				if there {
					counts[n]++
				} else {
					outcome = "OTSConditionCheckFail"
				}
			default:
				changes = append(changes, updateChange("t", key, ignore, "n", inc(3)))
				counts[n] += 3
			}
			if want != "" {
				want += " "
			}
			want += outcome
		}
		wantBatch(t, c, changes, want)
	}
	for n := range rows {
		q := &ots.SingleRowQueryCriteria{TableName: "t", PrimaryKey: pk("a", n), ColumnsToGet: []string{"n"}}
		want := ""
		if v, there := counts[n]; there {
			want = fmt.Sprintf("n=%d", v)
		}
		if got := row(get(t, c, q).Columns); got != want {
			t.Errorf("row %d = %q, want %q", n, got, want)
		}
	}
}
