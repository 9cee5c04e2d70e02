package main

import (
	"strings"
	"testing"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/downlink"
)

func TestJobs(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "workers")
	dev := s.thing(t, pk, "worker-1")
	s.connect(t, dev)
	s.commands.answer(downlink.Outcome{State: downlink.Sent}, nil)
	up := s.call(t, "RelinkUploadJobFile", map[string]string{"Content": "eyJjbWQiOiJub29wIn0="})
	file, ok := up["Data"].(map[string]any)
	if !ok || file["Sign"] != "ae1abb4e3346e08da08c610264b7af7659728f529b81bba3928fbd0d18dee61a" {
		t.Fatal(up)
	}
	target := map[string]any{"targetType": "DEVICE_LIST", "targetDevices": []any{map[string]any{"productKey": pk, "deviceName": "worker-1"}}}
	request := func(change func(r *sdk.CreateJobRequest)) *sdk.CreateJobResponseBody {
		r := &sdk.CreateJobRequest{
			JobName: tea.String("blink"), Type: tea.String("CUSTOM_JOB"), JobDocument: tea.String(`{"cmd": "noop"}`), TargetConfig: target,
			JobFile: map[string]any{"fileKey": file["FileKey"], "sign": file["Sign"], "signMethod": "SHA256"}, TimeoutConfig: map[string]any{"inProgressTimeoutInMinutes": 5},
		}
		change(r)
		return must[*sdk.CreateJobResponse](t)(s.CreateJob(r)).Body
	}
	for name, change := range map[string]func(r *sdk.CreateJobRequest){
		"type": func(r *sdk.CreateJobRequest) { r.Type = tea.String("PUB") },
		"target": func(r *sdk.CreateJobRequest) {
			r.TargetConfig = map[string]any{"targetType": "GROUP", "targetGroup": "g"}
		},
		"nobody": func(r *sdk.CreateJobRequest) {
			r.TargetConfig = map[string]any{"targetType": "DEVICE_LIST", "targetDevices": []any{map[string]any{"productKey": pk, "deviceName": "nobody-1"}}}
		},
		"file": func(r *sdk.CreateJobRequest) {
			r.JobFile = map[string]any{"fileKey": "job/none", "sign": file["Sign"], "signMethod": "Sha256"}
		},
		"later": func(r *sdk.CreateJobRequest) { r.ScheduledTime = tea.Int64(1) },
	} {
		if r := request(change); tea.BoolValue(r.Success) {
			t.Errorf("%s: %v", name, r)
		}
	}
	slowly := map[string]any{"maximumPerMinute": 50}
	if r := request(func(r *sdk.CreateJobRequest) { r.RolloutConfig = slowly }); tea.StringValue(r.Code) != "iot.common.APINotSupportedInInstance" {
		t.Errorf("a rollout: %v", r)
	}
	made := request(func(*sdk.CreateJobRequest) {})
	id := made.JobId
	if !tea.BoolValue(made.Success) || tea.StringValue(id) == "" {
		t.Fatal(made)
	}
	sent := s.commands.take()
	if len(sent) != 1 || sent[0].Publish.Topic != "/sys/"+pk+"/worker-1/thing/job/notify" || !strings.Contains(string(sent[0].Publish.Payload), `"jobDocument":{"cmd":"noop"},"jobFile":{"signMethod":"Sha256","sign":"ae1abb4e`) {
		t.Fatalf("sent %v", sent)
	}
	job := must[*sdk.QueryJobResponse](t)(s.QueryJob(&sdk.QueryJobRequest{JobId: id})).Body
	if d := job.Data; !tea.BoolValue(job.Success) || tea.StringValue(d.Status) != "IN_PROGRESS" || tea.StringValue(d.JobFile.SignMethod) != "Sha256" || tea.Int32Value(d.TimeoutConfig.InProgressTimeoutInMinutes) != 5 ||
		len(d.TargetConfig.TargetDevices.TargetDevices) != 1 || tea.StringValue(d.TargetConfig.TargetDevices.TargetDevices[0].DeviceName) != "worker-1" {
		t.Errorf("QueryJob %v", job)
	}
	if l := must[*sdk.ListJobResponse](t)(s.ListJob(&sdk.ListJobRequest{CurrentPage: tea.Int32(1), PageSize: tea.Int32(10)})).Body; tea.Int32Value(l.Total) != 1 || tea.StringValue(l.Data.Data[0].JobId) != *id {
		t.Errorf("ListJob %v", l)
	}
	tasks := must[*sdk.ListTaskResponse](t)(s.ListTask(&sdk.ListTaskRequest{JobId: id, Limit: tea.Int32(10)})).Body
	if len(tasks.Data.Data) != 1 || tea.StringValue(tasks.Data.Data[0].Status) != "SENT" || tea.StringValue(tasks.Data.Data[0].IotId) == "" {
		t.Fatalf("ListTask %v", tasks)
	}
	taskID := tasks.Data.Data[0].TaskId
	if one := must[*sdk.QueryTaskResponse](t)(s.QueryTask(&sdk.QueryTaskRequest{TaskId: taskID})).Body; tea.StringValue(one.Data.JobName) != "blink" || tea.StringValue(one.Data.TaskId) != *taskID {
		t.Errorf("QueryTask %v", one)
	}
	if r := must[*sdk.UpdateJobResponse](t)(s.UpdateJob(&sdk.UpdateJobRequest{JobId: id, RolloutConfig: slowly})).Body; tea.StringValue(r.Code) != "iot.common.APINotSupportedInInstance" {
		t.Errorf("UpdateJob with a rollout: %v", r)
	}
	describe := func(n int) (*sdk.UpdateJobResponse, error) {
		return s.UpdateJob(&sdk.UpdateJobRequest{JobId: id, Description: tea.String(strings.Repeat("d", n))})
	}
	if r := must[*sdk.UpdateJobResponse](t)(describe(1024)).Body; !tea.BoolValue(r.Success) {
		t.Errorf("UpdateJob with a description of 1024 bytes: %v", r)
	}
	if r, err := describe(1025); err == nil || !strings.Contains(err.Error(), "InvalidDescription") {
		t.Errorf("UpdateJob with a description of 1025 bytes: %v, %v", r, err)
	}
	if r := must[*sdk.CancelJobResponse](t)(s.CancelJob(&sdk.CancelJobRequest{JobId: id})).Body; !tea.BoolValue(r.Success) {
		t.Errorf("CancelJob %v", r)
	}
	if n := must[*sdk.QueryJobStatisticsResponse](t)(s.QueryJobStatistics(&sdk.QueryJobStatisticsRequest{JobId: id})).Body; tea.Int32Value(n.Data.Cancelled) != 1 || tea.Int32Value(n.Data.Total) != 1 {
		t.Errorf("QueryJobStatistics %v", n)
	}
	if r := must[*sdk.DeleteJobResponse](t)(s.DeleteJob(&sdk.DeleteJobRequest{JobId: id})).Body; !tea.BoolValue(r.Success) {
		t.Errorf("DeleteJob %v", r)
	}
	if r := must[*sdk.QueryJobResponse](t)(s.QueryJob(&sdk.QueryJobRequest{JobId: id})).Body; tea.BoolValue(r.Success) {
		t.Errorf("QueryJob of a deleted job %v", r)
	}
}
