package job

import (
	"context"

	"relink/shared/iot"
	"relink/shared/store"
)

// page is how many tasks are looked at together.
const page = 100

// ErrNoJob and ErrNoTask are what an application is told that asks for something else than there is.
var (
	ErrNoJob  = iot.Errorf(iot.InvalidParams, "there is no such job")
	ErrNoTask = iot.Errorf(iot.InvalidParams, "there is no such task")
)

// Get gives a job, with the state that its tasks make of it.
func (s *Service) Get(ctx context.Context, id string) (*store.Job, error) {
	j, err := s.rows.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if j == nil {
		return nil, ErrNoJob
	}
	if j.Status != InProgress {
		return j, nil
	}
	counts, err := s.count(ctx, j)
	if err != nil {
		return nil, err
	}
	if counts[Queued]+counts[Sent]+counts[InProgress] == 0 {
		j.Status = Completed
	}
	return j, nil
}

// Statistics counts a job's tasks by state.
func (s *Service) Statistics(ctx context.Context, id string) (map[string]int, error) {
	j, err := s.rows.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if j == nil {
		return nil, ErrNoJob
	}
	return s.count(ctx, j)
}

func (s *Service) count(ctx context.Context, j *store.Job) (map[string]int, error) {
	counts := make(map[string]int)
	return counts, s.tasks(ctx, j, func(tasks []*store.Task) error {
		for _, t := range tasks {
			counts[t.Status]++
		}
		return nil
	})
}

// tasks walks through all tasks of a job, with those ended that took too long.
func (s *Service) tasks(ctx context.Context, j *store.Job, f func(tasks []*store.Task) error) error {
	for after := ""; ; {
		tasks, err := s.rows.TasksOfJob(ctx, j.ID, after, page)
		if err != nil || len(tasks) == 0 {
			return err
		}
		after = tasks[len(tasks)-1].ID
		for _, t := range tasks {
			if err := s.expire(ctx, j, t); err != nil {
				return err
			}
		}
		if err := f(tasks); err != nil {
			return err
		}
	}
}

// ErrNotRunning is what an application is told that cancels a job which has ended, or is not made yet.
var ErrNotRunning = iot.Errorf(iot.InvalidParams, "the job is neither in progress nor being cancelled")

// List gives all jobs, newest first, with the states that were stored.
func (s *Service) List(ctx context.Context) ([]*store.Job, error) { return s.rows.List(ctx) }

// Update changes what may be changed of a job.
func (s *Service) Update(ctx context.Context, id string, f func(j *store.Job)) error {
	return s.changeJob(ctx, id, func(j *store.Job) error {
		f(j)
		return nil
	})
}

// changeJob changes a job unless f has an error.
func (s *Service) changeJob(ctx context.Context, id string, f func(j *store.Job) error) error {
	for n := 1; ; n++ {
		j, err := s.rows.Get(ctx, id)
		if err != nil {
			return err
		}
		if j == nil {
			return ErrNoJob
		}
		if err := f(j); err != nil {
			return err
		}
		j.UpdatedAt = s.now().UnixMilli()
		if err = s.rows.Put(ctx, j); !iot.Is(err, iot.Conflict) || n == tries {
			return err
		}
	}
}

// Cancel ends the tasks of a job that have not ended, and tells their devices. A cancel that broke off is finished by the next one. The
// error is ErrNotRunning if all tasks had ended before, or the job was cancelled.
func (s *Service) Cancel(ctx context.Context, id string) error {
	j, err := s.Get(ctx, id) // with the state that its tasks make of it
	if err != nil {
		return err
	}
	if !running(j) {
		return ErrNotRunning
	}
	err = s.changeJob(ctx, id, func(j *store.Job) error {
		if !running(j) { // somebody else was faster
			return ErrNotRunning
		}
		j.Status = Cancelling
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.end(ctx, id, Cancelled, nil); err != nil {
		return err
	}
	return s.Update(ctx, id, func(j *store.Job) { j.Status = Cancelled })
}

func running(j *store.Job) bool { return j.Status == InProgress || j.Status == Cancelling }

// Delete removes a job with its tasks, and tells the devices whose tasks have not ended.
func (s *Service) Delete(ctx context.Context, id string) error {
	err := s.end(ctx, id, Removed, func(t *store.Task) error { return s.rows.DeleteTask(ctx, t) })
	if err != nil {
		return err
	}
	return s.rows.Delete(ctx, id)
}

// end gives all unfinished tasks a last state, tells their devices, and does more with every task.
func (s *Service) end(ctx context.Context, id, status string, more func(t *store.Task) error) error {
	j, err := s.rows.Get(ctx, id)
	if err != nil {
		return err
	}
	if j == nil {
		return ErrNoJob
	}
	return s.tasks(ctx, j, func(tasks []*store.Task) error {
		return each(tasks, func(t *store.Task) error {
			told := false
			err := s.change(ctx, t, func(t *store.Task) bool {
				told = !Ended(t.Status)
				if told {
					t.Status = status
				}
				return told
			})
			if err == nil && told {
				task, _ := s.show(j, t) // makes no URL of an ended task
				s.tell(ctx, t.Ref, task)
			}
			if err == nil && more != nil {
				err = more(t)
			}
			return err
		})
	})
}

// Task finds a task by its id.
func (s *Service) Task(ctx context.Context, id string) (*store.Task, *store.Job, error) {
	if JobOf(id) == "" {
		return nil, nil, ErrNoTask
	}
	j, err := s.rows.Get(ctx, JobOf(id))
	if err != nil {
		return nil, nil, err
	}
	if j == nil {
		return nil, nil, ErrNoTask
	}
	t, err := s.rows.FindTask(ctx, j.ID, id)
	if err != nil {
		return nil, nil, err
	}
	if t == nil {
		return nil, nil, ErrNoTask
	}
	return t, j, s.expire(ctx, j, t)
}

// TasksOfJob gives at most limit tasks of a job behind one, of a state unless it is empty.
func (s *Service) TasksOfJob(ctx context.Context, id, after, status string, limit int) ([]*store.Task, error) {
	j, err := s.rows.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if j == nil {
		return nil, ErrNoJob
	}
	var found []*store.Task
	for len(found) < limit {
		tasks, err := s.rows.TasksOfJob(ctx, id, after, page)
		if err != nil || len(tasks) == 0 {
			return found, err
		}
		for _, t := range tasks {
			after = t.ID
			if err := s.expire(ctx, j, t); err != nil {
				return nil, err
			}
			if status == "" || t.Status == status {
				if found = append(found, t); len(found) == limit {
					break
				}
			}
		}
	}
	return found, nil
}

// TasksOf gives at most limit tasks of a device behind one, of a state unless it is empty, oldest first.
func (s *Service) TasksOf(ctx context.Context, ref iot.DeviceRef, after, status string, limit int) ([]*store.Task, error) {
	tasks, err := s.rows.TasksOf(ctx, ref)
	if err != nil {
		return nil, err
	}
	found := tasks[:0]
	for _, t := range tasks {
		if t.ID > after && (status == "" || t.Status == status) && len(found) < limit {
			found = append(found, t)
		}
	}
	return found, nil
}
