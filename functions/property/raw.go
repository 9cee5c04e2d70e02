package main

import (
	"context"
	"strings"

	"relink/shared/exchange"
	"relink/shared/property"
	"relink/shared/record"
)

// posts serves what devices post as Alink JSON, and what their raw data became, which may be an event.
type posts struct {
	properties *property.Service
	events     *exchange.Desk
}

func (p *posts) serve(ctx context.Context, node string, records []record.Record) []record.Result {
	events := 0
	for i := range records {
		if isEvent(records[i].Topic) {
			events++
		}
	}
	switch events {
	case 0:
		return p.properties.Post(ctx, records)
	case len(records):
		return p.events.Serve(ctx, node, records)
	}
	var split [2][]record.Record
	var index [2][]int
	for i := range records {
		to := 0
		if isEvent(records[i].Topic) {
			to = 1
		}
		split[to], index[to] = append(split[to], records[i]), append(index[to], i)
	}
	results := make([]record.Result, len(records))
	for to, serve := range [2]func() []record.Result{
		func() []record.Result { return p.properties.Post(ctx, split[0]) },
		func() []record.Result { return p.events.Serve(ctx, node, split[1]) },
	} {
		for n, r := range serve() {
			results[index[to][n]] = r
		}
	}
	return results
}

// isEvent tells an event post from what the properties take. Only raw data becomes one here.
func isEvent(name string) bool {
	return strings.Contains(name, "/thing/event/") && !strings.Contains(name, "/thing/event/property/")
}
