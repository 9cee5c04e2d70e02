package forward

import (
	"encoding/json"
	"fmt"

	"relink/shared/iot"
)

// Function is the function that takes batches.
const Function = "forward"

// MaxBatch is how many bytes of items a batch has at most: an asynchronous invocation takes 128 KB (Function Compute, "Limits").
const MaxBatch = 100 << 10

// An Event is what the function `forward` takes: a batch of items, or the order to send dead letters again.
type Event struct {
	*Batch
	Replay *Replay `json:"replay,omitempty"`
}

// A Batch is items that did not arrive. ID and Time name its row in the ledger; Time is that of the batch of messages that they came from.
type Batch struct {
	ID    string            `json:"id"`
	Time  int64             `json:"time"`
	Items []json.RawMessage `json:"items"`
}

// A Replay has dead letters delivered again, oldest first.
type Replay struct {
	Owner     string `json:"owner,omitempty"`     // rule/1000, MNS/productKey; empty: of all
	MessageID string `json:"messageId,omitempty"` // only those of this message
	Limit     int    `json:"limit,omitempty"`     // at most so many; MaxReplay if 0
	Cursor    string `json:"cursor,omitempty"`    // of the answer before
}

// MaxReplay bounds what one call sends again.
const MaxReplay = 1000

// Replayed is the answer to a Replay. The letters are gone and their deliveries taken; those that fail again become letters again.
type Replayed struct {
	Count  int    `json:"count"`
	Cursor string `json:"cursor,omitempty"` // there may be more
}

// ReadEvent reads an event of the function `forward`; InvalidParams.
func ReadEvent(event []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(event, &e); err != nil {
		return e, iot.Wrap(iot.InvalidParams, err, "event is not understood")
	}
	if (e.Batch == nil || e.Batch.ID == "") == (e.Replay == nil) {
		return e, iot.Errorf(iot.InvalidParams, "an event is a batch of items or a replay")
	}
	return e, nil
}

// Decode reads the items of a batch.
func (b *Batch) Decode() ([]*Item, error) {
	list := make([]*Item, len(b.Items))
	for n, raw := range b.Items {
		list[n] = new(Item)
		if err := json.Unmarshal(raw, list[n]); err != nil {
			return nil, iot.Wrap(iot.InvalidParams, err, fmt.Sprintf("item %d is not understood", n))
		}
	}
	return list, nil
}

// A Chunk is a batch that is ready to be handed over.
type Chunk struct {
	Items []*Item
	Event []byte
}

// Pack puts items into batches named id-0, id-1, … in their order, those of one message of one rule together if they fit: their failures
// are told together. Items that no batch can take, because they are too large, come back as large.
func Pack(id string, at int64, items []*Item) (chunks []Chunk, large []*Item, err error) {
	var open Batch
	var inside []*Item
	size := 0
	flush := func() error {
		if len(inside) == 0 {
			return nil
		}
		open.ID, open.Time = fmt.Sprintf("%s-%d", id, len(chunks)), at
		event, err := json.Marshal(&open)
		if err != nil {
			return err
		}
		chunks = append(chunks, Chunk{Items: inside, Event: event})
		open, inside, size = Batch{}, nil, 0
		return nil
	}
	for start := 0; start < len(items); {
		end := start + 1
		for end < len(items) && items[end].Owner == items[start].Owner && items[end].Message.ID == items[start].Message.ID {
			end++
		}
		var raws []json.RawMessage
		var group []*Item
		total := 0
		for _, item := range items[start:end] {
			raw, err := json.Marshal(item)
			if err != nil {
				return nil, nil, err
			}
			if len(raw) > MaxBatch {
				large = append(large, item)
				continue
			}
			raws, group, total = append(raws, raw), append(group, item), total+len(raw)+1
		}
		if size+total > MaxBatch {
			if err := flush(); err != nil {
				return nil, nil, err
			}
		}
		for n, raw := range raws {
			if size+len(raw)+1 > MaxBatch+1 {
				if err := flush(); err != nil {
					return nil, nil, err
				}
			}
			open.Items, inside, size = append(open.Items, raw), append(inside, group[n]), size+len(raw)+1
		}
		start = end
	}
	return chunks, large, flush()
}
