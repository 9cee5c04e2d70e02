package store

import (
	"context"
	"encoding/json"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// A Job is something that several devices are to do: a row of the table `job`.
type Job struct {
	ID          string          `json:"-"` // begins with its time, so that ids are in the order of creation
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Type        string          `json:"type"`
	Document    json.RawMessage `json:"document"`
	File        *JobFile        `json:"file,omitempty"`
	Target      json.RawMessage `json:"target"`            // as the caller gave it
	Timeout     int             `json:"timeout,omitempty"` // minutes from the first progress; 0: none
	Status      string          `json:"status"`
	Tasks       int             `json:"tasks"`
	CreatedAt   int64           `json:"createdAt"`
	UpdatedAt   int64           `json:"updatedAt"`
	Revision    int64           `json:"-"`
}

// A JobFile is a file that goes with a job.
type JobFile struct {
	Object     string `json:"object"`
	Sign       string `json:"sign"`       // lower-case hex
	SignMethod string `json:"signMethod"` // Md5, Sha256
}

// A Task is one device's part of a job: a row of the table `job_task`.
type Task struct {
	Ref       iot.DeviceRef   `json:"-"`
	ID        string          `json:"-"` // begins with the job's, and so is in the order of creation
	JobID     string          `json:"jobId"`
	Status    string          `json:"status"`
	Progress  int             `json:"progress,omitempty"`
	Details   json.RawMessage `json:"details,omitempty"` // as the device reported them
	QueuedAt  int64           `json:"queuedAt"`
	BeganAt   int64           `json:"beganAt,omitempty"` // first report of progress
	UpdatedAt int64           `json:"updatedAt"`
	Revision  int64           `json:"-"`
}

// Jobs is the tables `job`, `job_task` and `task_by_job`. Puts write over the revision that was read, 0 for none, and advance it;
// Conflict if somebody else did.
type Jobs interface {
	Get(ctx context.Context, id string) (*Job, error) // nil without an error if there is none
	Put(ctx context.Context, j *Job) error
	Delete(ctx context.Context, id string) error // of the job alone; its tasks go with DeleteTask
	List(ctx context.Context) ([]*Job, error)    // newest first

	CreateTasks(ctx context.Context, tasks []*Task) error // again, as often as it takes
	PutTask(ctx context.Context, t *Task) error
	GetTask(ctx context.Context, ref iot.DeviceRef, id string) (*Task, error) // nil without an error if there is none
	FindTask(ctx context.Context, jobID, id string) (*Task, error)            // without knowing the device; nil without an error if there is none
	TasksOf(ctx context.Context, ref iot.DeviceRef) ([]*Task, error)          // oldest first
	// TasksOfJob gives at most limit tasks behind one, "" for the first ones, in the order of ids.
	TasksOfJob(ctx context.Context, jobID, after string, limit int) ([]*Task, error)
	DeleteTask(ctx context.Context, t *Task) error
}

const (
	tableJob       = "job"         // key: job
	tableTask      = "job_task"    // keys: device, task
	tableTaskByJob = "task_by_job" // keys: job, task
)

type jobs struct{ client *client }

// Jobs is the tables of jobs.
func (s *Store) Jobs() Jobs { return jobs{s.client} }

func (j jobs) Get(ctx context.Context, id string) (*Job, error) {
	job := &Job{ID: id}
	var err error
	job.Revision, err = getDocument(ctx, j.client, tableJob, stringKey("job", id), job)
	if err != nil || job.Revision == 0 {
		return nil, err
	}
	return job, nil
}

func (j jobs) Put(ctx context.Context, job *Job) error {
	return putDocument(ctx, j.client, tableJob, stringKey("job", job.ID), job, &job.Revision)
}

func (j jobs) Delete(ctx context.Context, id string) error {
	return deleteRow(ctx, j.client, tableJob, stringKey("job", id))
}

func (j jobs) List(ctx context.Context) ([]*Job, error) {
	newest, oldest := new(tablestore.PrimaryKey), new(tablestore.PrimaryKey)
	newest.AddPrimaryKeyColumnWithMaxValue("job")
	oldest.AddPrimaryKeyColumnWithMinValue("job")
	var list []*Job
	q := tablestore.RangeRowQueryCriteria{TableName: tableJob, StartPrimaryKey: newest, EndPrimaryKey: oldest, Direction: tablestore.BACKWARD}
	err := eachDocument(ctx, j.client, q, func(id string, job Job, revision int64) bool {
		job.ID, job.Revision = id, revision
		list = append(list, &job)
		return true
	})
	return list, err
}

func byJobKey(jobID, taskID string) *tablestore.PrimaryKey {
	k := stringKey("job", jobID)
	k.AddPrimaryKeyColumn("task", taskID)
	return k
}

// CreateTasks writes the index first: a task that devices know is always found by its job.
func (j jobs) CreateTasks(ctx context.Context, tasks []*Task) error {
	index, rows := make([]tablestore.RowChange, len(tasks)), make([]tablestore.RowChange, len(tasks))
	for i, t := range tasks {
		var c columns
		c.add("product_key", string(t.Ref.ProductKey))
		c.add("device_name", string(t.Ref.DeviceName))
		index[i] = &tablestore.PutRowChange{TableName: tableTaskByJob, PrimaryKey: byJobKey(t.JobID, t.ID), Columns: c, Condition: always}
		change, err := documentChange(tableTask, underDevice(t.Ref, "task", t.ID), t, 0, claim())
		if err != nil {
			return err
		}
		rows[i] = change
	}
	if err := firstError(j.client.write(ctx, index)); err != nil {
		return err
	}
	for i, err := range j.client.write(ctx, rows) {
		if err != nil && !conflict(err) { // it is there from the first time
			return err
		}
		tasks[i].Revision = 1
	}
	return nil
}

func (j jobs) PutTask(ctx context.Context, t *Task) error {
	return putDocument(ctx, j.client, tableTask, underDevice(t.Ref, "task", t.ID), t, &t.Revision)
}

func (j jobs) GetTask(ctx context.Context, ref iot.DeviceRef, id string) (*Task, error) {
	t := &Task{Ref: ref, ID: id}
	var err error
	t.Revision, err = getDocument(ctx, j.client, tableTask, underDevice(ref, "task", id), t)
	if err != nil || t.Revision == 0 {
		return nil, err
	}
	return t, nil
}

func (j jobs) FindTask(ctx context.Context, jobID, id string) (*Task, error) {
	row, err := j.client.get(ctx, tableTaskByJob, byJobKey(jobID, id))
	if row == nil || err != nil {
		return nil, err
	}
	return j.GetTask(ctx, indexedDevice(row), id)
}

func indexedDevice(row cells) iot.DeviceRef {
	return iot.DeviceRef{ProductKey: iot.ProductKey(row.str("product_key")), DeviceName: iot.DeviceName(row.str("device_name"))}
}

func (j jobs) TasksOf(ctx context.Context, ref iot.DeviceRef) ([]*Task, error) {
	var list []*Task
	err := eachDocument(ctx, j.client, ofFirst(tableTask, "device", deviceKey(ref), "task"), func(id string, t Task, revision int64) bool {
		t.Ref, t.ID, t.Revision = ref, id, revision
		list = append(list, &t)
		return true
	})
	return list, err
}

func (j jobs) TasksOfJob(ctx context.Context, jobID, after string, limit int) ([]*Task, error) {
	q := ofFirst(tableTaskByJob, "job", jobID, "task")
	q.Limit = int32(min(limit+1, 5000))
	if after != "" {
		q.StartPrimaryKey = byJobKey(jobID, after)
	}
	var list []*Task
	var keys []*tablestore.PrimaryKey
	err := j.client.scan(ctx, q, func(row *tablestore.Row) bool {
		id, _ := row.PrimaryKey.PrimaryKeys[1].Value.(string)
		if id == after {
			return true
		}
		ref := indexedDevice(newCells(row.Columns))
		list = append(list, &Task{Ref: ref, ID: id})
		keys = append(keys, underDevice(ref, "task", id))
		return len(list) < limit
	})
	if err != nil {
		return nil, err
	}
	rows, err := j.client.getMany(ctx, tableTask, keys)
	if err != nil {
		return nil, err
	}
	found := list[:0]
	for i, t := range list {
		if rows[i] == nil {
			continue // its creation broke off, or its deletion is under way
		}
		if t.Revision, err = readDocument(tableTask, rows[i], t); err != nil {
			return nil, err
		}
		found = append(found, t)
	}
	return found, nil
}

func (j jobs) DeleteTask(ctx context.Context, t *Task) error {
	if err := deleteRow(ctx, j.client, tableTask, underDevice(t.Ref, "task", t.ID)); err != nil {
		return err
	}
	return deleteRow(ctx, j.client, tableTaskByJob, byJobKey(t.JobID, t.ID))
}
