package job_test

import (
	"context"
	"testing"
	"time"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/job"
	"relink/shared/store/memory"
)

type queue struct{ waiting []downlink.Publish }

func (q *queue) Command(_ context.Context, c downlink.Command) (downlink.Outcome, error) {
	q.waiting = append(q.waiting, *c.Publish)
	return downlink.Outcome{State: downlink.Queued}, nil
}

// A notice waits in the queue of a device no longer than its URL holds.
func TestNoticeExpires(t *testing.T) {
	t.Parallel()
	q, now := new(queue), time.UnixMilli(1_767_225_600_000)
	s := job.New(memory.New().Jobs(), urls{}, q, func() time.Time { return now })
	if _, err := s.Create(t.Context(), &job.Spec{Document: []byte(`{}`), Target: []byte(`{}`), Devices: []iot.DeviceRef{dev}}); err != nil {
		t.Fatal(err)
	}
	if len(q.waiting) != 1 || q.waiting[0].ExpiresAt != now.Add(time.Hour).UnixMilli() {
		t.Errorf("%+v", q.waiting)
	}
}
