package job

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/topic"
)

// Families are the conversations of devices about their tasks.
func (s *Service) Families() map[topic.Family]exchange.Family {
	return map[topic.Family]exchange.Family{
		topic.JobGet:         {Serve: s.get},
		topic.JobUpdate:      {Serve: s.update},
		topic.JobNotifyReply: {Serve: noticed},
	}
}

// noticed takes what a device answers to a notice: Link SDK C says 200 at once, before the application has seen the task.
func noticed(context.Context, *exchange.Request) exchange.Answer {
	return exchange.Answer{Silent: true}
}

func refused(cause refusal.Cause, message string) *alink.Error {
	return &alink.Error{Code: alink.CodeParams, Cause: cause, Message: message, Kind: iot.InvalidParams}
}

var (
	errUnknown  = refused(refusal.JobTaskUnknown, "task not found")
	errFinished = refused(refusal.JobTaskFinished, "task has ended")
	errStatus   = refused(refusal.JobStatusInvalid, alink.MessageParams)
)

// jobs reads each job of several tasks once.
type jobs struct {
	s    *Service
	seen map[string]*store.Job
}

func (j jobs) of(ctx context.Context, t *store.Task) (*store.Job, error) {
	if job, ok := j.seen[t.JobID]; ok {
		return job, nil
	}
	job, err := j.s.rows.Get(ctx, t.JobID)
	if err == nil {
		j.seen[t.JobID] = job
	}
	return job, err
}

// open lists a device's unfinished tasks, oldest first. Those that took too long are ended here: nothing else looks at them.
func (s *Service) open(ctx context.Context, ref iot.DeviceRef, limit int) ([]*store.Task, jobs, error) {
	all := jobs{s, make(map[string]*store.Job)}
	tasks, err := s.rows.TasksOf(ctx, ref)
	if err != nil {
		return nil, all, err
	}
	open := tasks[:0]
	for _, t := range tasks {
		if len(open) == limit {
			break
		}
		if Ended(t.Status) {
			continue
		}
		job, err := all.of(ctx, t)
		if err != nil {
			return nil, all, err
		}
		if job == nil || job.Status == Initializing { // deleted, or not made to the end
			continue
		}
		if err := s.expire(ctx, job, t); err != nil {
			return nil, all, err
		}
		if !Ended(t.Status) {
			open = append(open, t)
		}
	}
	return open, all, nil
}

// expire ends a task that is in progress for longer than its job allows.
func (s *Service) expire(ctx context.Context, job *store.Job, t *store.Task) error {
	return s.change(ctx, t, func(t *store.Task) bool {
		if job.Timeout <= 0 || t.Status != InProgress || s.now().UnixMilli() < t.BeganAt+int64(job.Timeout)*60_000 {
			return false
		}
		t.Status = TimedOut
		return true
	})
}

// get answers thing/job/get: a task by its id, $next for the oldest unfinished one, $list for all of these.
func (s *Service) get(ctx context.Context, r *exchange.Request) exchange.Answer {
	id := ""
	for name, value := range alink.Members(r.Alink.Params) {
		if string(name) == "taskId" {
			id = string(alink.Unquote(value))
		}
	}
	nothing := append(alink.AppendString([]byte(`{"taskId":`), id), '}')
	switch id {
	case "":
		return exchange.Answer{Err: alink.ErrParamsMalformed}
	case "$list":
		tasks, _, err := s.open(ctx, r.Ref(), maxListed)
		if err != nil {
			return exchange.Answer{Data: nothing, Err: err}
		}
		data := append(nothing[:len(nothing)-1], `,"tasks":[`...)
		for i, t := range tasks {
			if i > 0 {
				data = append(data, ',')
			}
			data = fmt.Appendf(data, `{"taskId":%q,"status":%q}`, t.ID, t.Status)
		}
		return exchange.Answer{Data: append(data, "]}"...)}
	}
	t, job, err := s.one(ctx, r.Ref(), id)
	if err != nil || t == nil {
		return exchange.Answer{Data: nothing, Err: err}
	}
	if err := s.sent(ctx, t); err != nil {
		return exchange.Answer{Data: nothing, Err: retried(err)}
	}
	task, err := s.show(job, t)
	if err != nil {
		return exchange.Answer{Data: nothing, Err: err}
	}
	return exchange.Answer{Data: append(append([]byte(`{"task":`), task...), '}')}
}

// one finds a task of a device; nil if there is none.
func (s *Service) one(ctx context.Context, ref iot.DeviceRef, id string) (*store.Task, *store.Job, error) {
	if id == "$next" {
		tasks, all, err := s.open(ctx, ref, 1)
		if err != nil || len(tasks) == 0 {
			return nil, nil, err
		}
		job, err := all.of(ctx, tasks[0])
		return tasks[0], job, err
	}
	if len(id) > maxID {
		return nil, nil, nil
	}
	t, err := s.rows.GetTask(ctx, ref, id)
	if t == nil || err != nil {
		return nil, nil, err
	}
	job, err := s.rows.Get(ctx, t.JobID)
	if job == nil || err != nil {
		return nil, nil, err
	}
	return t, job, s.expire(ctx, job, t)
}

// A report is the params of an update.
type report struct {
	id, status string
	progress   int
	details    json.RawMessage
}

func readReport(params []byte) (report, error) {
	p := report{progress: -1}
	for name, value := range alink.Members(params) {
		text := string(value)
		if text[0] == '"' {
			text = string(alink.Unquote(value))
		}
		switch string(name) {
		case "taskId":
			p.id = text
		case "status":
			p.status = text
		case "progress":
			n, err := strconv.ParseUint(text, 10, 31)
			if err != nil || n > 100 {
				return p, errStatus
			}
			p.progress = int(n)
		case "statusDetails":
			if text == "null" {
				continue
			}
			if value[0] != '{' || len(value) > maxDetails {
				return p, errStatus
			}
			p.details = append(json.RawMessage(nil), value...)
		}
	}
	switch p.status {
	case InProgress, Succeeded, Failed, Rejected:
		return p, nil
	}
	return p, errStatus
}

// update answers thing/job/update.
func (s *Service) update(ctx context.Context, r *exchange.Request) exchange.Answer {
	p, err := readReport(r.Alink.Params)
	answer := exchange.Answer{Err: err, Data: append(alink.AppendString([]byte(`{"taskId":`), p.id), '}')}
	if err != nil {
		return answer
	}
	t, _, err := s.one(ctx, r.Ref(), p.id)
	switch {
	case err != nil:
		answer.Err = err
	case t == nil || p.id == "$next":
		answer.Err = errUnknown
	default:
		answer.Err = s.report(ctx, t, &p)
	}
	return answer
}

// report notes what a device says of a task. The very same report again, of a task that it has ended, is no late one.
func (s *Service) report(ctx context.Context, t *store.Task, p *report) error {
	if Ended(t.Status) {
		if t.Status == p.status && (p.progress < 0 || t.Progress == p.progress) && string(t.Details) == string(p.details) {
			return nil
		}
		return errFinished
	}
	t.Status, t.UpdatedAt = p.status, s.now().UnixMilli()
	if t.BeganAt == 0 {
		t.BeganAt = t.UpdatedAt
	}
	if p.progress >= 0 {
		t.Progress = p.progress
	}
	if p.details != nil {
		t.Details = p.details
	}
	return retried(s.rows.PutTask(ctx, t))
}

// retried makes a lost race one that is tried again: the row is read anew then.
func retried(err error) error {
	if iot.Is(err, iot.Conflict) {
		return iot.Wrap(iot.Unavailable, err, "changed meanwhile")
	}
	return err
}

// Pending makes the notices of the tasks that a device was not told of yet. It is for the moment when the device has just started.
func (s *Service) Pending(ctx context.Context, ref iot.DeviceRef) ([]record.Reply, error) {
	tasks, all, err := s.open(ctx, ref, maxListed)
	if err != nil {
		return nil, err
	}
	var notices []record.Reply
	for _, t := range tasks {
		if t.Status != Queued {
			continue
		}
		job, err := all.of(ctx, t)
		if err != nil {
			return nil, err
		}
		if err := s.sent(ctx, t); err != nil {
			return nil, retried(err)
		}
		task, err := s.show(job, t)
		if err != nil {
			return nil, err
		}
		payload, _ := Notice(task)
		notices = append(notices, record.Reply{Topic: topic.JobNotifyTopic(ref), Payload: payload, QoS: 1})
	}
	return notices, nil
}
