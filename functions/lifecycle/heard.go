package main

import (
	"context"
	"encoding/json"
	"errors"

	"relink/shared/device"
	"relink/shared/record"
	"relink/shared/store"
)

// sounds are the devices without a connection that a batch says were heard of.
type sounds struct {
	records []int
	heard   []store.Hearing
}

func (s *sounds) add(i int, rec *record.Record) error {
	var h device.Heard
	if err := json.Unmarshal(rec.Payload, &h); err != nil {
		return err
	}
	if rec.Device.IsZero() {
		return errors.New("who was heard of is not said")
	}
	if h.At == 0 {
		h.At = rec.ReceivedAt
	}
	s.records = append(s.records, i)
	s.heard = append(s.heard, store.Hearing{Ref: rec.Device, At: h.At, Until: h.At + device.OnlineFor(h.Protocol), Over: h.Protocol, From: h.RemoteAddr})
	return nil
}

// hear notes when devices were heard of. One that was deleted meanwhile has no row, and gets none.
func (h *handler) hear(ctx context.Context, batch *record.Batch, s *sounds, results []record.Result) {
	if len(s.heard) == 0 {
		return
	}
	for j, err := range h.sessions.Hear(ctx, s.heard) {
		if i := s.records[j]; err != nil {
			results[i] = h.failed(ctx, &batch.Records[i], err)
		}
	}
}
