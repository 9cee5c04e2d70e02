// Package job is device jobs: something that several devices are to do, each in a task of its own ("Device jobs" of the device protocol,
// "Jobs (device tasks)" of the OpenAPI). Devices hear of a task when it is made, or after their next start, or ask for it, and report how
// far they are. Tasks are rows; nothing waits in memory.
package job

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"relink/shared/alink"
	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/store"
	"relink/shared/topic"
)

// States of a task. Those from Succeeded on never change.
const (
	Queued     = "QUEUED"
	Sent       = "SENT" // the device was told
	InProgress = "IN_PROGRESS"
	Succeeded  = "SUCCEEDED"
	Failed     = "FAILED"
	Rejected   = "REJECTED"
	Cancelled  = "CANCELLED"
	Removed    = "REMOVED" // only said to devices: the job was deleted
	TimedOut   = "TIMED_OUT"
)

// States of a job, besides IN_PROGRESS and CANCELLED.
const (
	Initializing = "INITIALIZING" // its tasks are being made
	Completed    = "COMPLETED"    // all of its tasks have ended
	Cancelling   = "CANCELLING"
)

// Custom is the type of jobs whose document means something to the device alone. The other types of the OpenAPI are carried out by the
// platform, and are not served.
const Custom = "CUSTOM_JOB"

// Limits.
const (
	MaxDevices  = 200 // named in one call
	MaxDocument = 64 << 10
	maxDetails  = 1 << 10
	maxListed   = 10 // of $list; Link SDK C has room for no more
	fileFor     = time.Hour
	parallel    = 16
	tries       = 5
	jobIDLength = 12
	maxID       = 64
)

// Ended reports whether a task of this state never changes any more.
func Ended(status string) bool { return status != Queued && status != Sent && status != InProgress }

// A URLs makes the URLs at which devices fetch objects; *download.Signer is one.
type URLs interface {
	URL(key string, valid time.Duration) (string, error)
}

// A Commander brings messages down; command.Remote is one.
type Commander interface {
	Command(ctx context.Context, c downlink.Command) (downlink.Outcome, error)
}

// A Service is all that can be done with jobs. Make it with New; it is safe for concurrent use.
type Service struct {
	rows      store.Jobs
	urls      URLs
	commander Commander
	now       func() time.Time
}

// New makes a service. now is the clock.
func New(rows store.Jobs, urls URLs, commander Commander, now func() time.Time) *Service {
	return &Service{rows: rows, urls: urls, commander: commander, now: now}
}

// newID makes the id of a job: the time in base 36, so that ids are in the order of creation, and chance.
func (s *Service) newID() string {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyz"
	var b [4]byte
	rand.Read(b[:]) // never fails
	id := fmt.Sprintf("%08s", strconv.FormatInt(s.now().UnixMilli(), 36))
	for _, c := range b {
		id += string(letters[c%36])
	}
	return id
}

// taskID is the id of a job's task: the job's, and which one it is.
func taskID(jobID string, n int) string {
	return fmt.Sprintf("%s%04s", jobID, strconv.FormatInt(int64(n), 36))
}

// JobOf is the id of the job that a task belongs to; "" if the id is none.
func JobOf(taskID string) string {
	if len(taskID) <= jobIDLength || len(taskID) > maxID {
		return ""
	}
	return taskID[:jobIDLength]
}

// A Spec is a job to be made.
type Spec struct {
	Name, Description string
	Document          json.RawMessage // an object
	File              *store.JobFile
	Devices           []iot.DeviceRef // at least one; repeated ones count once
	Target            json.RawMessage // as the caller gave it
	Timeout           int             // minutes; 0: none
}

// Create makes a job with a task for every device, and tells those that are online. The others hear of it after their next start.
func (s *Service) Create(ctx context.Context, spec *Spec) (*store.Job, error) {
	now := s.now().UnixMilli()
	j := &store.Job{
		ID: s.newID(), Name: spec.Name, Description: spec.Description, Type: Custom, Document: spec.Document, File: spec.File, Target: spec.Target,
		Timeout: spec.Timeout, Status: Initializing, CreatedAt: now, UpdatedAt: now,
	}
	var tasks []*store.Task
	seen := make(map[iot.DeviceRef]bool)
	for _, ref := range spec.Devices {
		if !seen[ref] {
			seen[ref] = true
			tasks = append(tasks, &store.Task{Ref: ref, ID: taskID(j.ID, len(tasks)), JobID: j.ID, Status: Queued, QueuedAt: now, UpdatedAt: now})
		}
	}
	j.Tasks = len(tasks)
	if err := s.rows.Put(ctx, j); err != nil {
		return nil, err
	}
	if err := s.rows.CreateTasks(ctx, tasks); err != nil {
		return nil, err
	}
	j.Status = InProgress
	if err := s.rows.Put(ctx, j); err != nil {
		return nil, err
	}
	return j, s.notify(ctx, j, tasks)
}

// notify tells devices of their tasks, each on its own: one that is not reached stays QUEUED. The error is of what is stored.
func (s *Service) notify(ctx context.Context, j *store.Job, tasks []*store.Task) error {
	return each(tasks, func(t *store.Task) error {
		shown := *t
		shown.Status = Sent
		task, err := s.show(j, &shown)
		if err != nil {
			return err
		}
		if !s.tell(ctx, t.Ref, task) {
			return nil
		}
		return s.sent(ctx, t)
	})
}

// sent notes that a device was told, unless it is further already.
func (s *Service) sent(ctx context.Context, t *store.Task) error {
	return s.change(ctx, t, func(t *store.Task) bool {
		if t.Status != Queued {
			return false
		}
		t.Status = Sent
		return true
	})
}

// change changes a task until nobody else was faster; f reports whether there is anything to write.
func (s *Service) change(ctx context.Context, t *store.Task, f func(t *store.Task) bool) error {
	for n := 1; ; n++ {
		if !f(t) {
			return nil
		}
		t.UpdatedAt = s.now().UnixMilli()
		err := s.rows.PutTask(ctx, t)
		if !iot.Is(err, iot.Conflict) || n == tries {
			return err
		}
		now, err := s.rows.GetTask(ctx, t.Ref, t.ID)
		if err != nil || now == nil {
			return err
		}
		*t = *now
	}
}

// tell sends a notice and reports whether it was written to the device's connection.
func (s *Service) tell(ctx context.Context, ref iot.DeviceRef, task []byte) bool {
	payload, id := Notice(task)
	o, err := s.commander.Command(ctx, downlink.Command{Publish: &downlink.Publish{
		ProductKey: ref.ProductKey, DeviceName: ref.DeviceName, MessageID: id, Topic: topic.JobNotifyTopic(ref), QoS: 1, Payload: payload,
		ExpiresAt: s.now().Add(fileFor).UnixMilli(), // the URL in it holds no longer
	}})
	return err == nil && o.State == downlink.Sent
}

// Notice makes the message of thing/job/notify about a task.
func Notice(task []byte) (payload []byte, id string) {
	var b [4]byte
	rand.Read(b[:]) // never fails
	id = strconv.Itoa(1 + (int(b[0])<<24|int(b[1])<<16|int(b[2])<<8|int(b[3]))&0x3fffffff)
	params := append(append([]byte(`{"task":`), task...), '}')
	return alink.AppendRequest(nil, topic.DownJobNotify.Method(), id, params, alink.Version), id
}

// show is a task as devices see it. taskId and status come before the document: Link SDK C takes the first it finds.
func (s *Service) show(j *store.Job, t *store.Task) ([]byte, error) {
	b := fmt.Appendf(nil, `{"taskId":%q,"status":%q`, t.ID, t.Status)
	if !Ended(t.Status) {
		b = append(append(b, `,"jobDocument":`...), j.Document...)
		if j.File != nil {
			url, err := s.urls.URL(j.File.Object, fileFor)
			if err != nil {
				return nil, err
			}
			b = fmt.Appendf(b, `,"jobFile":{"signMethod":%q,"sign":%q,"fileUrl":`, j.File.SignMethod, j.File.Sign)
			b = append(alink.AppendString(b, url), '}')
		}
	}
	if t.BeganAt != 0 {
		b = fmt.Appendf(b, `,"progress":%d`, t.Progress)
		if len(t.Details) > 0 {
			b = append(append(b, `,"statusDetails":`...), t.Details...)
		}
	}
	return append(b, '}'), nil
}

// each calls f for tasks, some at a time, and gives the first error in order.
func each(tasks []*store.Task, f func(t *store.Task) error) error {
	errs := make([]error, len(tasks))
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i, t := range tasks {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = f(t)
		})
	}
	wg.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}
