package main

import (
	"context"

	"relink/shared/property"
	"relink/shared/record"
)

// handler takes batches of property posts.
type handler struct{ properties *property.Service }

// Invoke answers every record. An error means that the batch could not be read.
func (h *handler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	batch, err := record.DecodeBatch(event)
	if err != nil {
		return nil, err
	}
	results := h.properties.Post(ctx, batch.Records)
	return record.AppendResults(make([]byte, 0, 64+240*len(results)), results), nil
}
