// Ota is the function that serves the device side of updates and jobs: version reports, progress, requests for packages, jobs.
package main

import (
	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/exchange"
	"relink/shared/topic"
)

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	return &exchange.Desk{Log: p.Log, Families: map[topic.Family]exchange.Family{}}, nil
}
