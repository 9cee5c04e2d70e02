// Property is the function that takes what devices post of their properties, one post at a time, in batches, packs and histories, and
// that gives them their desired values: it checks, stores and answers in batches.
package main

import (
	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/property"
)

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	return &handler{properties: property.New(p.Store, nil, p.Log, nil)}, nil
}
