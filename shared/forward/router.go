package forward

import (
	"context"
	"sync"
	"time"
)

// A Destination delivers items of one type, all to the same place, in as few calls as it can. The errors have the length of items; one
// that is not an *Error may pass.
type Destination interface {
	Deliver(ctx context.Context, items []*Item) []error
}

// A Router brings items to their destinations. It is safe for concurrent use.
type Router struct {
	Destinations map[string]Destination // by type
	Patience     time.Duration          // for all of one place together
	Breakers     *Breakers              // nil: every place is tried
}

// maxTogether bounds the places that one call tries at once.
const maxTogether = 64

// Try tries each item that is not Final once: places in parallel, none of them longer than Patience. Afterwards the items that arrived
// are in delivered, and the others, each with its Reason, in failed; both in the order of items.
func (r *Router) Try(ctx context.Context, items []*Item) (delivered, failed []*Item) {
	errs := make([]error, len(items))
	places := make(map[string][]int)
	for n, item := range items {
		if item.Final {
			errs[n] = errFinal
			continue
		}
		place := item.Target.place()
		places[place] = append(places[place], n)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxTogether)
	for place, list := range places {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r.place(ctx, place, list, items, errs)
		})
	}
	wg.Wait()
	for n, item := range items {
		switch {
		case errs[n] == nil:
			delivered = append(delivered, item)
		case errs[n] == errFinal:
			failed = append(failed, item)
		case errs[n] == errOpen:
			item.Reason = errOpen.Reason // no attempt
			failed = append(failed, item)
		default:
			item.Failed(errs[n])
			failed = append(failed, item)
		}
	}
	return delivered, failed
}

var (
	errFinal = &Error{Reason: "given up", Final: true}
	errOpen  = &Error{Reason: "not tried: the destination has failed just now"}
)

func (r *Router) place(ctx context.Context, place string, list []int, items []*Item, errs []error) {
	d := r.Destinations[items[list[0]].Target.Type]
	if d == nil {
		for _, n := range list {
			errs[n] = refused("not supported: actions of type %s", items[n].Target.Type)
		}
		return
	}
	if r.Breakers != nil && !r.Breakers.Allow(place) {
		for _, n := range list {
			errs[n] = errOpen
		}
		return
	}
	some := make([]*Item, len(list))
	for k, n := range list {
		some[k] = items[n]
	}
	var began time.Time
	if r.Breakers != nil {
		began = r.Breakers.now()
	}
	ctx, cancel := context.WithTimeout(ctx, r.Patience)
	defer cancel()
	ok := true
	for k, err := range safely(ctx, d, some) {
		var e *Error
		if err = failed(err); err != nil {
			e = err.(*Error)
			ok = ok && e.Final // a refusal is an answer
			errs[list[k]] = e
		}
	}
	if r.Breakers != nil {
		r.Breakers.Done(place, began, ok)
	}
}

// safely is Deliver in a goroutine of its own, so that a destination whose SDK knows no context is not waited for any longer than ctx
// lasts, and a panic of it is a failure. The SDKs' own limits of time end the goroutine.
func safely(ctx context.Context, d Destination, items []*Item) []error {
	done := make(chan []error, 1)
	copies := make([]*Item, len(items)) // the caller changes items after it has stopped waiting
	for n, i := range items {
		c := *i
		copies[n] = &c
	}
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- all(len(items), &Error{Reason: "the destination's client gave up"})
			}
		}()
		done <- d.Deliver(ctx, copies)
	}()
	select {
	case errs := <-done:
		return errs
	case <-ctx.Done():
		return all(len(items), &Error{Reason: "no answer in time"})
	}
}

func all(n int, err error) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// each calls f for 0 … n-1, so many at a time, and returns when all are done. Once ctx has ended no more are begun; theirs is the
// context's error.
func each(ctx context.Context, n, together int, errs []error, f func(i int) error) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, together)
	for i := range n {
		slots <- struct{}{}
		if ctx.Err() != nil {
			<-slots
			errs[i] = &Error{Reason: "no answer in time"}
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			defer func() {
				if p := recover(); p != nil {
					errs[i] = &Error{Reason: "the destination's client gave up"}
				}
			}()
			errs[i] = f(i)
		})
	}
	wg.Wait()
}
