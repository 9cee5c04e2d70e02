package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"relink/shared/downlink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/job"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/store/memory"
)

var dev = iot.DeviceRef{ProductKey: "a1GoldenPk1", DeviceName: "thermo-01"}

type urls struct{}

func (urls) URL(key string, valid time.Duration) (string, error) {
	return "https://dl.relink.example/" + key, nil
}

type fixture struct {
	t *testing.T
	*job.Service
	now    time.Time
	online map[iot.DeviceName]bool
	mu     sync.Mutex
	told   []string
}

func (f *fixture) Command(_ context.Context, c downlink.Command) (downlink.Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.online[c.Publish.DeviceName] {
		return downlink.Outcome{State: downlink.Offline}, nil
	}
	f.told = append(f.told, c.Publish.Topic+" "+string(c.Publish.Payload))
	return downlink.Outcome{State: downlink.Sent}, nil
}

func setUp(t *testing.T) *fixture {
	f := &fixture{t: t, now: time.UnixMilli(1_767_225_600_000), online: make(map[iot.DeviceName]bool)}
	f.Service = job.New(memory.New().Jobs(), urls{}, f, func() time.Time { return f.now })
	return f
}

func (f *fixture) create(spec job.Spec) *store.Job {
	f.t.Helper()
	f.now = f.now.Add(time.Second)
	spec.Document, spec.Target = json.RawMessage(`{"cmd":"noop"}`), json.RawMessage(`{}`)
	if spec.Devices == nil {
		spec.Devices = []iot.DeviceRef{dev}
	}
	j, err := f.Create(f.t.Context(), &spec)
	if err != nil {
		f.t.Fatal(err)
	}
	return j
}

func (f *fixture) ask(verb, payload string) (int32, string) {
	f.t.Helper()
	r, reply := f.serve(verb, payload)
	return r.Code, reply
}

func (f *fixture) serve(verb, payload string) (record.Result, string) {
	f.t.Helper()
	desk := &exchange.Desk{Families: f.Families(), Log: slog.New(slog.DiscardHandler)}
	r := desk.Serve(f.t.Context(), "n1", []record.Record{{MessageID: "1", Device: dev, Topic: "/sys/a1GoldenPk1/thermo-01/thing/job/" + verb, Payload: []byte(payload)}})[0]
	if len(r.Replies) == 0 {
		return r, ""
	}
	return r, string(r.Replies[0].Payload)
}

func (f *fixture) task(j *store.Job) string {
	f.t.Helper()
	tasks, err := f.TasksOfJob(f.t.Context(), j.ID, "", "", 10)
	if err != nil || len(tasks) == 0 {
		f.t.Fatal(tasks, err)
	}
	return tasks[0].ID
}

var digits = regexp.MustCompile(`"id":"[0-9]{1,10}"`)

// G-38 to G-42.
func TestGolden(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	const next = `{"id":"39","version":"1.0.0","params":{"taskId":"$next"}}`
	const tail = `,"message":"success","method":"thing.job.get","version":"1.0"}`
	if _, reply := f.ask("get", next); reply != `{"code":200,"data":{"taskId":"$next"},"id":"39"`+tail {
		t.Errorf("nothing: %s", reply)
	}
	f.online[dev.DeviceName] = true
	id := f.task(f.create(job.Spec{File: &store.JobFile{Object: "j/1a2b3c", Sign: "ae1abb4e", SignMethod: "Sha256"}}))
	want := `/sys/a1GoldenPk1/thermo-01/thing/job/notify {"method":"thing.job.notify","id":"1","params":{"task":{"taskId":"` + id + `","status":"SENT","jobDocument":{"cmd":"noop"},"jobFile":{"signMethod":"Sha256","sign":"ae1abb4e","fileUrl":"https://dl.relink.example/j/1a2b3c"}}},"version":"1.0"}`
	if len(f.told) != 1 || digits.ReplaceAllString(f.told[0], `"id":"1"`) != want {
		t.Errorf("notice\n%s\nwant\n%s", f.told, want)
	}
	if _, reply := f.ask("notify_reply", `{"id":"65822264","code":200,"data":{}}`); reply != "" {
		t.Errorf("a reply is answered: %s", reply)
	}
	if _, reply := f.ask("get", next); reply != `{"code":200,"data":{"task":{"taskId":"`+id+`","status":"SENT","jobDocument":{"cmd":"noop"},"jobFile":{"signMethod":"Sha256","sign":"ae1abb4e","fileUrl":"https://dl.relink.example/j/1a2b3c"}}},"id":"39"`+tail {
		t.Errorf("next: %s", reply)
	}
	if _, reply := f.ask("get", `{"id":"41","version":"1.0.0","params":{"taskId":"$list"}}`); reply != `{"code":200,"data":{"taskId":"$list","tasks":[{"taskId":"`+id+`","status":"SENT"}]},"id":"41"`+tail {
		t.Errorf("list: %s", reply)
	}
	done := `{"id":"42","version":"1.0.0","params":{"taskId":"` + id + `","status":"SUCCEEDED","progress":100,"statusDetails":{"note":"ok"}}}`
	for range 2 { // the second is the device's or the platform's own retry
		if _, reply := f.ask("update", done); reply != `{"code":200,"data":{"taskId":"`+id+`"},"id":"42","message":"success","method":"thing.job.update","version":"1.0"}` {
			t.Errorf("update: %s", reply)
		}
	}
	if r, _ := f.serve("update", strings.Replace(done, "SUCCEEDED", "FAILED", 1)); r.Code != 460 || r.Reason != string(refusal.JobTaskFinished) {
		t.Errorf("a late report: %d, %s", r.Code, r.Reason)
	}
	if _, reply := f.ask("get", strings.Replace(next, "$next", id, 1)); !strings.Contains(reply, `{"task":{"taskId":"`+id+`","status":"SUCCEEDED","progress":100,"statusDetails":{"note":"ok"}}}`) {
		t.Errorf("ended: %s", reply)
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	f, ctx := setUp(t), t.Context()
	first, second := f.create(job.Spec{Timeout: 5}), f.create(job.Spec{})
	one, two := f.task(first), f.task(second)
	if _, reply := f.ask("get", `{"params":{"taskId":"$list"}}`); !strings.Contains(reply, `[{"taskId":"`+one+`","status":"QUEUED"},{"taskId":"`+two+`","status":"QUEUED"}]`) {
		t.Errorf("list of an offline device: %s", reply)
	}
	notices, err := f.Pending(ctx, dev)
	if err != nil || len(notices) != 2 || notices[0].QoS != 1 || !strings.Contains(string(notices[1].Payload), two) {
		t.Errorf("after a start: %v, %v", notices, err)
	}
	if notices, err = f.Pending(ctx, dev); err != nil || len(notices) != 0 {
		t.Errorf("after another: %v, %v", notices, err)
	}
	for bad, cause := range map[string]refusal.Cause{
		`{"taskId":"` + one + `","status":"SENT"}`:                           refusal.JobStatusInvalid,
		`{"taskId":"` + one + `","status":"IN_PROGRESS","progress":101}`:     refusal.JobStatusInvalid,
		`{"taskId":"nope","status":"FAILED"}`:                                refusal.JobTaskUnknown,
		`{"status":"FAILED"}`:                                                refusal.JobTaskUnknown,
		`{"taskId":"` + one + `","status":"IN_PROGRESS","statusDetails":[]}`: refusal.JobStatusInvalid,
		`{"taskId":"` + one + `","status":"IN_PROGRESS","statusDetails":{"a":"` + strings.Repeat("x", 1024) + `"}}`: refusal.JobStatusInvalid,
	} {
		if r, reply := f.serve("update", `{"id":"1","params":`+bad+`}`); r.Code != 460 || r.Reason != string(cause) {
			t.Errorf("%s: %s, %s", bad, reply, r.Reason)
		}
	}
	if code, _ := f.ask("update", `{"params":{"taskId":"`+one+`","status":"IN_PROGRESS","progress":"50"}}`); code != 200 {
		t.Errorf("progress: %d", code)
	}
	f.now = f.now.Add(5 * time.Minute)
	if _, reply := f.ask("get", `{"params":{"taskId":"$next"}}`); !strings.Contains(reply, two) {
		t.Errorf("after a time-out the next is %s", reply)
	}
	if task, _, err := f.Task(ctx, one); err != nil || task.Status != job.TimedOut || task.Progress != 50 {
		t.Errorf("%+v, %v", task, err)
	}
	if j, err := f.Get(ctx, first.ID); err != nil || j.Status != job.Completed {
		t.Errorf("%+v, %v", j, err)
	}
	f.online[dev.DeviceName] = true
	if err := f.Cancel(ctx, second.ID); err != nil {
		t.Fatal(err)
	}
	if len(f.told) != 1 || !strings.Contains(f.told[0], `{"task":{"taskId":"`+two+`","status":"CANCELLED"}}`) {
		t.Errorf("told %v", f.told)
	}
	if n, err := f.Statistics(ctx, second.ID); err != nil || n[job.Cancelled] != 1 {
		t.Errorf("%v, %v", n, err)
	}
	if j, err := f.Get(ctx, second.ID); err != nil || j.Status != job.Cancelled {
		t.Errorf("%+v, %v", j, err)
	}
	third := f.create(job.Spec{})
	if err := f.Delete(ctx, third.ID); err != nil {
		t.Fatal(err)
	}
	if last := f.told[len(f.told)-1]; !strings.Contains(last, `"status":"REMOVED"}}`) {
		t.Errorf("told %s", last)
	}
	if _, err := f.Get(ctx, third.ID); err != job.ErrNoJob {
		t.Errorf("a deleted job: %v", err)
	}
	if _, reply := f.ask("get", `{"params":{"taskId":"$next"}}`); !strings.Contains(reply, `"data":{"taskId":"$next"}`) {
		t.Errorf("next: %s", reply)
	}
}

// All devices that are online are told at once, each one time; the others hear of it when they start.
func TestMany(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	var devices []iot.DeviceRef
	for i := range 150 {
		ref := iot.DeviceRef{ProductKey: "a1GoldenPk1", DeviceName: iot.DeviceName(fmt.Sprintf("dev%d", i))}
		f.online[ref.DeviceName] = i < 60
		devices = append(devices, ref, ref)
	}
	j := f.create(job.Spec{Devices: devices})
	n, err := f.Statistics(t.Context(), j.ID)
	if err != nil || n[job.Sent] != 60 || n[job.Queued] != 90 || len(f.told) != 60 {
		t.Errorf("%v of %d told, %v", n, len(f.told), err)
	}
	seen, after := 0, ""
	for {
		tasks, err := f.TasksOfJob(t.Context(), j.ID, after, job.Queued, 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(tasks) == 0 {
			break
		}
		seen, after = seen+len(tasks), tasks[len(tasks)-1].ID
	}
	if seen != 90 {
		t.Errorf("listed %d", seen)
	}
}

// A job that has ended is not cancelled any more; a cancel that broke off is.
func TestCancelOnlyRunning(t *testing.T) {
	t.Parallel()
	f, ctx := setUp(t), t.Context()
	j := f.create(job.Spec{})
	if code, reply := f.ask("update", `{"params":{"taskId":"`+f.task(j)+`","status":"SUCCEEDED"}}`); code != 200 {
		t.Fatal(reply)
	}
	if err := f.Cancel(ctx, j.ID); !errors.Is(err, job.ErrNotRunning) {
		t.Errorf("a finished job: %v", err)
	}
	if j, err := f.Get(ctx, j.ID); err != nil || j.Status != job.Completed {
		t.Errorf("%+v, %v", j, err)
	}
	if err := f.Cancel(ctx, "0000000000aa"); !errors.Is(err, job.ErrNoJob) {
		t.Errorf("no job: %v", err)
	}
	half := f.create(job.Spec{})
	if err := f.Update(ctx, half.ID, func(j *store.Job) { j.Status = job.Cancelling }); err != nil {
		t.Fatal(err)
	}
	if err := f.Cancel(ctx, half.ID); err != nil {
		t.Errorf("a cancel that broke off: %v", err)
	}
	if n, err := f.Statistics(ctx, half.ID); err != nil || n[job.Cancelled] != 1 {
		t.Errorf("%v, %v", n, err)
	}
	if err := f.Cancel(ctx, half.ID); !errors.Is(err, job.ErrNotRunning) {
		t.Errorf("a cancelled job: %v", err)
	}
}
