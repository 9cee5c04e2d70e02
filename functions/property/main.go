// Property is the function that takes what devices post of their properties: it checks, stores and answers them in batches.
package main

import (
	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/property"
)

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	return &handler{properties: property.New(p.Store, p.Log, nil)}, nil
}
