package topology

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/refusal"
	"relink/shared/store"
)

// drops bounds the commands that one request has under way together.
const drops = 16

// drop ends sessions of sub-devices wherever they are, because their relation was removed. The store has them ended even if their
// connector cannot be told, and the error says that the request is to be repeated.
func (s *Service) drop(ctx context.Context, sessions []*store.Session) error {
	if len(sessions) == 0 {
		return nil
	}
	errs := make([]error, len(sessions))
	var wg sync.WaitGroup
	slots := make(chan struct{}, drops)
	for i, x := range sessions {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = s.dropOne(ctx, x)
		})
	}
	wg.Wait()
	return firstError(errs)
}

func (s *Service) dropOne(ctx context.Context, x *store.Session) error {
	o, err := s.commander.Command(ctx, downlink.Command{Drop: &downlink.Drop{
		ProductKey: x.Ref.ProductKey, DeviceName: x.Ref.DeviceName, Epoch: x.Epoch, Reason: string(refusal.TopologyRemoved),
	}})
	switch {
	case err != nil:
		return err
	case o.State != downlink.Dropped && o.State != downlink.Offline:
		return iot.Wrap(iot.Unavailable, fmt.Errorf("the command's state is %q", o.State), "the session of the sub-device could not be ended")
	}
	// Its connector writes the end too; where there is none any more nobody else does.
	return firstError(s.sessions.End(ctx, []iot.DeviceRef{x.Ref}, []int64{x.Epoch}, []int64{s.now().UnixMilli()}))
}

func (s *Service) logNotEnded(ctx context.Context, gateway iot.DeviceRef, err error) {
	s.log.LogAttrs(ctx, slog.LevelWarn, "sessions of a login that failed not ended", logs.Device(gateway), logs.Err(err))
}
