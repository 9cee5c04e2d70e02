package memory

import (
	"context"
	"slices"

	"relink/shared/iot"
	"relink/shared/store"
)

// Jobs is the tables of jobs.
func (s *Store) Jobs() store.Jobs { return jobs{s} }

type jobs struct{ s *Store }

const (
	tableJob       = "job"
	tableTask      = "job_task"
	tableTaskByJob = "task_by_job"
)

func (j jobs) Get(ctx context.Context, id string) (*store.Job, error) {
	end, err := j.s.begin(ctx, "jobs.get", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	job := &store.Job{ID: id}
	if job.Revision, err = j.s.documents.get(documentKey{tableJob, id, ""}, job); err != nil || job.Revision == 0 {
		return nil, err
	}
	return job, nil
}

func (j jobs) Put(ctx context.Context, job *store.Job) error {
	end, err := j.s.begin(ctx, "jobs.put", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	return j.s.documents.put(documentKey{tableJob, job.ID, ""}, job, &job.Revision)
}

func (j jobs) Delete(ctx context.Context, id string) error {
	end, err := j.s.begin(ctx, "jobs.delete", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	delete(j.s.documents.rows, documentKey{tableJob, id, ""})
	return nil
}

func (j jobs) List(ctx context.Context) ([]*store.Job, error) {
	end, err := j.s.begin(ctx, "jobs.list", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	var list []*store.Job
	for _, k := range j.s.documents.keys(tableJob, "") {
		job := &store.Job{ID: k.first}
		if job.Revision, err = j.s.documents.get(k, job); err != nil {
			return nil, err
		}
		list = append(list, job)
	}
	slices.Reverse(list)
	return list, nil
}

func (j jobs) CreateTasks(ctx context.Context, tasks []*store.Task) error {
	end, err := j.s.begin(ctx, "jobs.create_tasks", iot.DeviceRef{})
	if err != nil {
		return err
	}
	defer end()
	for _, t := range tasks {
		index := documentKey{tableTaskByJob, t.JobID, t.ID}
		revision := j.s.documents.rows[index].revision
		if err := j.s.documents.put(index, t.Ref, &revision); err != nil {
			return err
		}
		t.Revision = 0
		if j.s.documents.rows[ofDevice(tableTask, t.Ref, t.ID)].revision != 0 {
			t.Revision = 1
			continue
		}
		if err := j.s.documents.put(ofDevice(tableTask, t.Ref, t.ID), t, &t.Revision); err != nil {
			return err
		}
	}
	return nil
}

func (j jobs) PutTask(ctx context.Context, t *store.Task) error {
	end, err := j.s.begin(ctx, "jobs.put_task", t.Ref)
	if err != nil {
		return err
	}
	defer end()
	return j.s.documents.put(ofDevice(tableTask, t.Ref, t.ID), t, &t.Revision)
}

func (j jobs) get(ref iot.DeviceRef, id string) (*store.Task, error) {
	t := &store.Task{Ref: ref, ID: id}
	var err error
	if t.Revision, err = j.s.documents.get(ofDevice(tableTask, ref, id), t); err != nil || t.Revision == 0 {
		return nil, err
	}
	return t, nil
}

func (j jobs) GetTask(ctx context.Context, ref iot.DeviceRef, id string) (*store.Task, error) {
	end, err := j.s.begin(ctx, "jobs.get_task", ref)
	if err != nil {
		return nil, err
	}
	defer end()
	return j.get(ref, id)
}

func (j jobs) FindTask(ctx context.Context, jobID, id string) (*store.Task, error) {
	end, err := j.s.begin(ctx, "jobs.find_task", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	var ref iot.DeviceRef
	if revision, err := j.s.documents.get(documentKey{tableTaskByJob, jobID, id}, &ref); err != nil || revision == 0 {
		return nil, err
	}
	return j.get(ref, id)
}

func (j jobs) TasksOf(ctx context.Context, ref iot.DeviceRef) ([]*store.Task, error) {
	end, err := j.s.begin(ctx, "jobs.tasks_of", ref)
	if err != nil {
		return nil, err
	}
	defer end()
	var list []*store.Task
	for _, k := range j.s.documents.keys(tableTask, ref.String()) {
		t, err := j.get(ref, k.second)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

func (j jobs) TasksOfJob(ctx context.Context, jobID, after string, limit int) ([]*store.Task, error) {
	end, err := j.s.begin(ctx, "jobs.tasks_of_job", iot.DeviceRef{})
	if err != nil {
		return nil, err
	}
	defer end()
	var list []*store.Task
	for _, k := range j.s.documents.keys(tableTaskByJob, jobID) {
		if k.second <= after || len(list) == limit {
			continue
		}
		var ref iot.DeviceRef
		if _, err := j.s.documents.get(k, &ref); err != nil {
			return nil, err
		}
		t, err := j.get(ref, k.second)
		if err != nil {
			return nil, err
		}
		if t != nil {
			list = append(list, t)
		}
	}
	return list, nil
}

func (j jobs) DeleteTask(ctx context.Context, t *store.Task) error {
	end, err := j.s.begin(ctx, "jobs.delete_task", t.Ref)
	if err != nil {
		return err
	}
	defer end()
	delete(j.s.documents.rows, ofDevice(tableTask, t.Ref, t.ID))
	delete(j.s.documents.rows, documentKey{tableTaskByJob, t.JobID, t.ID})
	return nil
}
