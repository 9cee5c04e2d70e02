package main

import (
	"context"

	"relink/shared/exchange"
)

// A desk takes what devices answer to commands that nobody waits for; *exchange.Desk is one.
type desk interface {
	Invoke(ctx context.Context, event []byte) ([]byte, error)
}

var _ desk = (*exchange.Desk)(nil)

// isBatch tells a batch of records, which begins with a byte of its own (package record), from a command, which is JSON.
func isBatch(event []byte) bool { return len(event) > 0 && event[0] == 0x08 }
