package session

import (
	"context"
	"fmt"
	"time"

	"relink/shared/record"
)

// Ask brings one record to a function and waits for its result, at most so long.
func Ask(ctx context.Context, d Dispatcher, function string, within time.Duration, r record.Record) (record.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	type outcome struct {
		result record.Result
		err    error
	}
	answer := make(chan outcome, 1) // so that a late one finds room
	if err := d.Submit(ctx, function, r, func(r record.Result, err error) { answer <- outcome{r, err} }); err != nil {
		return record.Result{}, err
	}
	select {
	case o := <-answer:
		return o.result, o.err
	case <-ctx.Done():
		return record.Result{}, fmt.Errorf("function %s did not answer in time", function)
	}
}
