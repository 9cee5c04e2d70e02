// Deviceinfo is the function that serves what devices tell of themselves and ask about themselves: tags, thing model, configuration, logs, files, requests at boot.
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
