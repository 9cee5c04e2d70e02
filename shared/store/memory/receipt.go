package memory

import (
	"context"

	"relink/shared/iot"
	"relink/shared/store"
)

// Receipts is the part of `property_latest` that tells which messages came.
func (s *Store) Receipts() store.Receipts { return receipts{s} }

type receipts struct{ s *Store }

// receiptSlots is how many receipts a device has: by the packet id.
const receiptSlots = 20

// note keeps one receipt; the lock is held.
func (s *Store) note(r store.Received) {
	if s.receipts == nil {
		s.receipts = make(map[iot.DeviceRef]*[receiptSlots]store.Received)
	}
	slots := s.receipts[r.Ref]
	if slots == nil {
		slots = new([receiptSlots]store.Received)
		s.receipts[r.Ref] = slots
	}
	if slot := &slots[int(r.PacketID)%receiptSlots]; r.ReceivedAt >= slot.ReceivedAt {
		*slot = r
	}
}

func (x receipts) Note(ctx context.Context, list []store.Received) []error {
	errs := make([]error, len(list))
	for i := range list {
		end, err := x.s.begin(ctx, "receipts.note", list[i].Ref)
		if err != nil {
			errs[i] = err
			continue
		}
		x.s.note(list[i])
		end()
	}
	return errs
}

func (x receipts) Find(ctx context.Context, list []store.Received) ([]store.Received, error) {
	end, err := x.s.begin(ctx, "receipts.find", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	found := make([]store.Received, len(list))
	for i := range list {
		if slots := x.s.receipts[list[i].Ref]; slots != nil {
			if slot := slots[int(list[i].PacketID)%receiptSlots]; slot.Receipt == list[i].Receipt && slot.MessageID != "" {
				found[i] = slot
			}
		}
	}
	return found, nil
}
