package forward

import "relink/shared/store"

// Count counts in a row's sum and under an owner, as long as there is room for it.
func Count(row *store.LedgerRow, owner string, f func(*store.LedgerCounts)) {
	f(&row.LedgerCounts)
	c, ok := row.Of[owner]
	if !ok && len(row.Of) >= store.MaxLedgerOf {
		return
	}
	if row.Of == nil {
		row.Of = make(map[string]store.LedgerCounts)
	}
	f(&c)
	row.Of[owner] = c
}
