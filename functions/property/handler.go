package main

import (
	"context"

	"relink/shared/record"
	"relink/shared/script"
)

// handler takes batches of posts, some of which may be raw data.
type handler struct {
	scripts *script.Service
	posts   posts
}

// Invoke answers every record. An error means that the batch could not be read.
func (h *handler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	batch, err := record.DecodeBatch(event)
	if err != nil {
		return nil, err
	}
	results := h.scripts.Serve(ctx, batch.Node, batch.Records, h.posts.serve)
	return record.AppendResults(make([]byte, 0, 64+240*len(results)), results), nil
}
