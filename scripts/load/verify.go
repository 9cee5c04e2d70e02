package load

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"relink/shared/iot"
	"relink/shared/store"
)

// A Verification is what the store holds of what was acknowledged.
type Verification struct {
	Acked   int64 `json:"acknowledged"`
	Found   int64 `json:"found"`
	Missing int64 `json:"missing"`
	Extra   int64 `json:"storedThoughNotAcknowledged"` // allowed: the acknowledgement may have been lost
}

// Verify reads each device's history of `seq` from Tablestore, past the platform's own functions, and looks for every number
// that was acknowledged since then. numbers are those of Report, one slice per device.
func Verify(ctx context.Context, properties store.Properties, devices []Device, numbers [][]uint32, since time.Time) (*Verification, error) {
	var acked, found, missing, extra atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, d := range devices {
		group.Go(func() error {
			want := make(map[uint32]bool, len(numbers[i])) // true once found
			for _, n := range numbers[i] {
				want[n] = false
			}
			acked.Add(int64(len(numbers[i])))
			ref := iot.DeviceRef{ProductKey: iot.ProductKey(d.ProductKey), DeviceName: iot.DeviceName(d.DeviceName)}
			from := since.UnixMilli() - 1000
			for {
				values, next, err := properties.History(ctx, ref, "seq", from, time.Now().UnixMilli()+60_000, true, 1000)
				if err != nil {
					return fmt.Errorf("history of %s: %w", ref, err)
				}
				for _, v := range values {
					n, err := strconv.ParseUint(string(v.JSON), 10, 32)
					if err != nil {
						return fmt.Errorf("history of %s: %q is not a number", ref, v.JSON)
					}
					switch seen, ok := want[uint32(n)]; {
					case !ok:
						extra.Add(1)
					case !seen:
						want[uint32(n)] = true
						found.Add(1)
					}
				}
				if next == 0 {
					break
				}
				from = next
			}
			for _, seen := range want {
				if !seen {
					missing.Add(1)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return &Verification{Acked: acked.Load(), Found: found.Load(), Missing: missing.Load(), Extra: extra.Load()}, nil
}
