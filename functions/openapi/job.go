package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	"relink/shared/iot"
	"relink/shared/job"
	"relink/shared/openapi"
	"relink/shared/store"
)

// maxJobFile bounds a file that comes with a call.
const maxJobFile = 4 << 20

// maxJobDescription is the bytes of a job's description.
const maxJobDescription = 1024

// relinkUploadJobFile keeps a file for jobs and gives the key that JobFile of CreateJob names. The vendor's GenerateFileUploadURL is for
// browsers.
func (a *api) relinkUploadJobFile(ctx context.Context, c *openapi.Call) (any, error) {
	data, err := base64.StdEncoding.DecodeString(c.Params.String("Content"))
	if err != nil || len(data) == 0 || len(data) > maxJobFile {
		return nil, openapi.Invalid("Content")
	}
	sum, weak := sha256.Sum256(data), md5.Sum(data)
	type uploaded struct {
		FileKey, Sign, SignMethod, Md5 string
		Size                           int
	}
	u := uploaded{"job/" + hex.EncodeToString(sum[:16]), hex.EncodeToString(sum[:]), "Sha256", hex.EncodeToString(weak[:]), len(data)}
	return dataAnswer[uploaded]{u}, a.delivery.files.Put(ctx, u.FileKey, data, "application/octet-stream")
}

// createJob makes a job for named devices.
func (a *api) createJob(ctx context.Context, c *openapi.Call) (any, error) {
	spec := &job.Spec{Name: c.Params.String("JobName"), Description: c.Params.String("Description")}
	switch {
	case len(spec.Name) > 128:
		return nil, openapi.Invalid("JobName")
	case len(spec.Description) > maxJobDescription:
		return nil, openapi.Invalid("Description")
	case c.Params.String("Type") != job.Custom:
		return nil, openapi.Refusef(openapi.CodeNotSupported, "jobs of type %s are served, which devices carry out themselves", job.Custom)
	case c.Params.String("ScheduledTime") != "":
		return nil, openapi.Refusef(openapi.CodeNotSupported, "jobs begin at once; ScheduledTime is not served")
	}
	var document bytes.Buffer
	text := c.Params.String("JobDocument")
	if len(text) > job.MaxDocument || json.Compact(&document, []byte(text)) != nil || document.Len() == 0 || document.Bytes()[0] != '{' {
		return nil, openapi.Invalid("JobDocument")
	}
	spec.Document = document.Bytes()
	var err error
	if spec.Devices, spec.Target, err = a.jobTarget(ctx, c); err != nil {
		return nil, err
	}
	if err := noRollout(c); err != nil {
		return nil, err
	}
	if spec.Timeout, err = jobTimeout(c); err != nil {
		return nil, err
	}
	if spec.File, err = a.jobFile(ctx, c); err != nil {
		return nil, err
	}
	j, err := a.jobs().Create(ctx, spec)
	if err != nil {
		return nil, err
	}
	return struct{ JobId string }{j.ID}, nil //nolint:revive // the API's spelling
}

func (a *api) jobs() *job.Service {
	return job.New(a.delivery.stores.Jobs(), a.delivery.urls, a.commander, a.now)
}

// object reads a parameter that is a JSON object in a string; nil if it is not given.
func object(c *openapi.Call, name string, into any) (json.RawMessage, error) {
	text := c.Params.String(name)
	if text == "" {
		return nil, nil
	}
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil || json.Unmarshal(b.Bytes(), into) != nil {
		return nil, openapi.Invalid(name)
	}
	return b.Bytes(), nil
}

// jobTarget reads TargetConfig: the devices, which have to be there.
func (a *api) jobTarget(ctx context.Context, c *openapi.Call) ([]iot.DeviceRef, json.RawMessage, error) {
	var target struct {
		TargetType    string `json:"targetType"`
		TargetDevices []struct {
			ProductKey iot.ProductKey `json:"productKey"`
			DeviceName iot.DeviceName `json:"deviceName"`
		} `json:"targetDevices"`
	}
	raw, err := object(c, "TargetConfig", &target)
	if err != nil {
		return nil, nil, err
	}
	if target.TargetType != "DEVICE_LIST" {
		return nil, nil, openapi.Refusef(openapi.CodeNotSupported, "jobs are for named devices: targetType DEVICE_LIST")
	}
	n := len(target.TargetDevices)
	if n == 0 || n > job.MaxDevices {
		return nil, nil, openapi.Refusef(openapi.CodeTooManyDevices, "a job has 1 to %d devices", job.MaxDevices)
	}
	refs := make([]iot.DeviceRef, n)
	for i, d := range target.TargetDevices {
		if !iot.ValidProductKey(string(d.ProductKey)) || !iot.ValidDeviceName(string(d.DeviceName)) {
			return nil, nil, openapi.Refusef(openapi.CodeBadDeviceName, "device %d of the target is malformed", i+1)
		}
		refs[i] = iot.DeviceRef{ProductKey: d.ProductKey, DeviceName: d.DeviceName}
	}
	devices, err := a.rows.GetMany(ctx, refs)
	if err != nil {
		return nil, nil, err
	}
	for i, d := range devices {
		if d == nil {
			return nil, nil, openapi.Refusef(openapi.CodeNoDevice, "there is no device %s", refs[i])
		}
	}
	return refs, raw, nil
}

// noRollout refuses RolloutConfig: all devices are told at once, and a job that says otherwise would not do what it says.
func noRollout(c *openapi.Call) error {
	if c.Params.String("RolloutConfig") != "" {
		return openapi.Refusef(openapi.CodeNotSupported, "jobs tell all of their devices at once; RolloutConfig is not served")
	}
	return nil
}

func jobTimeout(c *openapi.Call) (int, error) {
	var timeout struct {
		Minutes int `json:"inProgressTimeoutInMinutes"`
	}
	raw, err := object(c, "TimeoutConfig", &timeout)
	if err == nil && raw != nil && (timeout.Minutes < 1 || timeout.Minutes > 10_080) {
		err = openapi.Invalid("TimeoutConfig")
	}
	return timeout.Minutes, err
}

// jobFile reads JobFile: a key that relinkUploadJobFile gave, and the check value that devices compare.
func (a *api) jobFile(ctx context.Context, c *openapi.Call) (*store.JobFile, error) {
	var file struct {
		FileKey    string `json:"fileKey"`
		Sign       string `json:"sign"`
		SignMethod string `json:"signMethod"`
	}
	raw, err := object(c, "JobFile", &file)
	if raw == nil || err != nil {
		return nil, err
	}
	method, length := "", 0
	switch strings.ToLower(file.SignMethod) { // devices compare with exactly these ("Interoperability rules", 16)
	case "md5":
		method, length = "Md5", md5.Size
	case "sha256":
		method, length = "Sha256", sha256.Size
	}
	sign := strings.ToLower(file.Sign)
	if b, err := hex.DecodeString(sign); err != nil || method == "" || len(b) != length || !strings.HasPrefix(file.FileKey, "job/") {
		return nil, openapi.Invalid("JobFile")
	}
	if _, err := a.delivery.files.Stat(ctx, file.FileKey); err != nil {
		return nil, openapi.Refusef(openapi.CodeFormat, "there is no file %s", file.FileKey)
	}
	return &store.JobFile{Object: file.FileKey, Sign: sign, SignMethod: method}, nil
}

// jobID reads the parameter JobId.
func jobID(c *openapi.Call) (string, error) {
	id := c.Params.String("JobId")
	if len(id) > 64 {
		return "", job.ErrNoJob
	}
	return id, nil
}

func (a *api) updateJob(ctx context.Context, c *openapi.Call) (any, error) {
	id, err := jobID(c)
	if err != nil {
		return nil, err
	}
	if len(c.Params.String("Description")) > maxJobDescription {
		return nil, openapi.Invalid("Description")
	}
	if err := noRollout(c); err != nil {
		return nil, err
	}
	timeout, err := jobTimeout(c)
	if err != nil {
		return nil, err
	}
	return nil, a.jobs().Update(ctx, id, func(j *store.Job) {
		if c.Params.Has("Description") {
			j.Description = c.Params.String("Description")
		}
		if timeout != 0 {
			j.Timeout = timeout
		}
	})
}

type jobSummary struct {
	Description string `json:",omitempty"`
	JobId       string //nolint:revive // the API's spelling
	JobName     string
	Status      string
	Type        string
	UtcCreate   string
	UtcModified string
}

func summarizeJob(j *store.Job) jobSummary {
	return jobSummary{j.Description, j.ID, j.Name, j.Status, j.Type, utc(j.CreatedAt), utc(j.UpdatedAt)}
}

func (a *api) queryJob(ctx context.Context, c *openapi.Call) (any, error) {
	id, err := jobID(c)
	if err != nil {
		return nil, err
	}
	j, err := a.jobs().Get(ctx, id)
	if err != nil {
		return nil, err
	}
	type target struct {
		TargetType    string `json:"TargetType"`
		TargetDevices struct {
			TargetDevices []struct{ DeviceName, ProductKey string } `json:"targetDevices"`
		}
	}
	type file struct{ FileUrl, Sign, SignMethod string } //nolint:revive // the API's spelling
	data := struct {
		jobSummary
		JobDocument   string
		JobFile       *file                                     `json:",omitempty"`
		TimeoutConfig *struct{ InProgressTimeoutInMinutes int } `json:",omitempty"`
		TargetConfig  target
	}{jobSummary: summarizeJob(j), JobDocument: string(j.Document)}
	var given struct {
		TargetType    string                                    `json:"targetType"`
		TargetDevices []struct{ DeviceName, ProductKey string } `json:"targetDevices"`
	}
	if err := json.Unmarshal(j.Target, &given); err != nil {
		return nil, err
	}
	data.TargetConfig.TargetType = given.TargetType
	data.TargetConfig.TargetDevices.TargetDevices = given.TargetDevices
	if j.File != nil {
		url, err := a.delivery.urls.URL(j.File.Object, downloadFor)
		if err != nil {
			return nil, err
		}
		data.JobFile = &file{url, j.File.Sign, j.File.SignMethod}
	}
	if j.Timeout > 0 {
		data.TimeoutConfig = &struct{ InProgressTimeoutInMinutes int }{j.Timeout}
	}
	return struct{ Data any }{data}, nil
}

func (a *api) listJob(ctx context.Context, c *openapi.Call) (any, error) {
	number, size, err := page(c, 0, 50)
	if err != nil {
		return nil, err
	}
	all, err := a.jobs().List(ctx)
	if err != nil {
		return nil, err
	}
	status := c.Params.String("Status")
	var found []*store.Job
	for _, j := range all {
		if status == "" || j.Status == status {
			found = append(found, j)
		}
	}
	from := min((number-1)*size, len(found))
	shown := found[from:min(from+size, len(found))]
	answer := struct {
		Data struct {
			Data []jobSummary `json:"data"`
		}
		Page, PageSize, Total int
	}{Page: number, PageSize: size, Total: len(found)}
	answer.Data.Data = list(len(shown), func(i int) jobSummary { return summarizeJob(shown[i]) })
	return answer, nil
}

func (a *api) cancelJob(ctx context.Context, c *openapi.Call) (any, error) {
	id, err := jobID(c)
	if err != nil {
		return nil, err
	}
	return nil, a.jobs().Cancel(ctx, id)
}

func (a *api) deleteJob(ctx context.Context, c *openapi.Call) (any, error) {
	id, err := jobID(c)
	if err != nil {
		return nil, err
	}
	return nil, a.jobs().Delete(ctx, id)
}

func (a *api) queryJobStatistics(ctx context.Context, c *openapi.Call) (any, error) {
	id, err := jobID(c)
	if err != nil {
		return nil, err
	}
	n, err := a.jobs().Statistics(ctx, id)
	if err != nil {
		return nil, err
	}
	type statistics struct{ Cancelled, Failed, InProgress, Queued, Rejected, Sent, Succeeded, TimeOut, Total int }
	s := statistics{n[job.Cancelled], n[job.Failed], n[job.InProgress], n[job.Queued], n[job.Rejected], n[job.Sent], n[job.Succeeded], n[job.TimedOut], 0}
	for _, count := range n {
		s.Total += count
	}
	return dataAnswer[statistics]{s}, nil
}

type taskSummary struct {
	DeviceName   iot.DeviceName
	IotId        iot.IotID `json:",omitempty"` //nolint:revive // the API's spelling
	JobId        string    //nolint:revive // the API's spelling
	JobName      string    `json:",omitempty"`
	ProductKey   iot.ProductKey
	Progress     string
	Status       string
	TaskId       string //nolint:revive // the API's spelling
	UtcModified  string
	UtcQueueTime string
}

func summarizeTask(t *store.Task, d *store.Device, jobName string) taskSummary {
	s := taskSummary{DeviceName: t.Ref.DeviceName, JobId: t.JobID, JobName: jobName, ProductKey: t.Ref.ProductKey, Progress: strconv.Itoa(t.Progress),
		Status: t.Status, TaskId: t.ID, UtcModified: utc(t.UpdatedAt), UtcQueueTime: utc(t.QueuedAt)}
	if d != nil {
		s.IotId = d.IotID
	}
	return s
}

// listTask lists the tasks of a job or of a device. NextToken is the id of the last one shown.
func (a *api) listTask(ctx context.Context, c *openapi.Call) (any, error) {
	limit, err := c.Params.Int("Limit", 10)
	if err != nil || limit < 1 || limit > 50 {
		return nil, openapi.Invalid("Limit")
	}
	id, err := jobID(c)
	if err != nil {
		return nil, err
	}
	var device struct {
		ProductKey iot.ProductKey `json:"productKey"`
		DeviceName iot.DeviceName `json:"deviceName"`
	}
	if _, err := object(c, "Device", &device); err != nil {
		return nil, err
	}
	after, status := c.Params.String("NextToken"), c.Params.String("Status")
	var tasks []*store.Task
	switch {
	case len(after) > 64:
		return nil, openapi.Invalid("NextToken")
	case id != "":
		tasks, err = a.jobs().TasksOfJob(ctx, id, after, status, limit)
	case device.ProductKey != "" && device.DeviceName != "":
		tasks, err = a.jobs().TasksOf(ctx, iot.DeviceRef{ProductKey: device.ProductKey, DeviceName: device.DeviceName}, after, status, limit)
	default:
		return nil, openapi.Missing("JobId")
	}
	if err != nil {
		return nil, err
	}
	refs := make([]iot.DeviceRef, len(tasks))
	names := make(map[string]string)
	for i, t := range tasks {
		refs[i] = t.Ref
		if _, ok := names[t.JobID]; !ok {
			j, err := a.delivery.stores.Jobs().Get(ctx, t.JobID)
			if err != nil {
				return nil, err
			}
			if names[t.JobID] = ""; j != nil {
				names[t.JobID] = j.Name
			}
		}
	}
	devices, err := a.rows.GetMany(ctx, refs)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Data []taskSummary `json:"data"`
		}
		NextToken string `json:",omitempty"`
	}
	answer.Data.Data = list(len(tasks), func(i int) taskSummary { return summarizeTask(tasks[i], devices[i], names[tasks[i].JobID]) })
	if len(tasks) == limit {
		answer.NextToken = tasks[limit-1].ID
	}
	return answer, nil
}

func (a *api) queryTask(ctx context.Context, c *openapi.Call) (any, error) {
	t, j, err := a.jobs().Task(ctx, c.Params.String("TaskId"))
	if err != nil {
		return nil, err
	}
	devices, err := a.rows.GetMany(ctx, []iot.DeviceRef{t.Ref})
	if err != nil {
		return nil, err
	}
	type task struct {
		taskSummary
		StatusDetail string `json:",omitempty"`
	}
	return dataAnswer[task]{task{summarizeTask(t, devices[0], j.Name), string(t.Details)}}, nil
}
