// Topology is the function that serves gateways: which sub-devices they have, and which of these are logged in.
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
