package storetest

import (
	"encoding/json"
	"fmt"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

func testRemoteConfigs(t *testing.T, s Stores) {
	ctx, r := t.Context(), s.RemoteConfigs()
	got, err := r.Get(ctx, "a1config")
	must(t, err)
	equal(t, *got, store.RemoteConfig{ProductKey: "a1config"}, "none")
	got.Versions = []store.ConfigVersion{{ID: "v1", Size: 15, Sign: "ab", Description: "灯", At: 5}}
	got.Draft = &store.ConfigVersion{ID: "d1", Size: 1}
	must(t, r.Put(ctx, got))
	stale := *got
	got.Off, got.Draft = true, nil
	must(t, r.Put(ctx, got))
	wantKind(t, r.Put(ctx, &stale), iot.Conflict, "put over a newer one")
	wantKind(t, r.Put(ctx, &store.RemoteConfig{ProductKey: "a1config"}), iot.Conflict, "put as the first")
	again, err := r.Get(ctx, "a1config")
	must(t, err)
	equal(t, *again, store.RemoteConfig{ProductKey: "a1config", Off: true, Versions: got.Versions, Revision: 2}, "read")
}

func testDeviceVersions(t *testing.T, s Stores) {
	ctx, d := t.Context(), s.DeviceVersions()
	for _, v := range []store.DeviceVersion{{Module: "default", Version: "1.0", At: 10}, {Module: "MCU", Version: "7", At: 11}, {Module: "default", Version: "1.0", At: 12}, {Module: "default", Version: "1.1", At: 13}} {
		must(t, d.Put(ctx, ref("dev1"), v))
	}
	list, err := d.List(ctx, ref("dev1"))
	must(t, err)
	equal(t, list, []store.DeviceVersion{{Module: "MCU", Version: "7", At: 11}, {Module: "default", Version: "1.1", At: 13}}, "versions")
	of, err := d.Of(ctx, []iot.DeviceRef{ref("none"), ref("dev1")}, "MCU")
	must(t, err)
	if of[0] != nil || *of[1] != (store.DeviceVersion{Module: "MCU", Version: "7", At: 11}) {
		t.Errorf("of several: %+v", of)
	}
}

func testProductDevices(t *testing.T, s Stores) {
	ctx := t.Context()
	for i := range 7 {
		d := newDevice(fmt.Sprintf("dev%d", i), int64(1000+i/3)) // several of one time
		must(t, s.Devices().Create(ctx, d))
	}
	for _, limit := range []int{1, 2, 3, 7, 100} {
		var names []iot.DeviceName
		cursor := ""
		for range 10 {
			refs, next, err := s.ProductDevices().After(ctx, ref("").ProductKey, cursor, limit)
			must(t, err)
			for _, r := range refs {
				names = append(names, r.DeviceName)
			}
			if cursor = next; cursor == "" {
				break
			}
		}
		equal(t, names, []iot.DeviceName{"dev6", "dev5", "dev4", "dev3", "dev2", "dev1", "dev0"}, fmt.Sprintf("by %d", limit))
	}
	_, _, err := s.ProductDevices().After(ctx, ref("").ProductKey, "nonsense", 1)
	wantKind(t, err, iot.InvalidParams, "a cursor that is none")
}

func testFiles(t *testing.T, s Stores) {
	ctx, f := t.Context(), s.Files()
	none, err := f.Get(ctx, ref("dev1"), "a.txt")
	must(t, err)
	if none != nil {
		t.Errorf("a file that is not there: %+v", none)
	}
	for _, name := range []string{"b.txt", "a.txt"} {
		must(t, f.Put(ctx, &store.File{Ref: ref("dev1"), Name: name, ID: "id-" + name, Object: "o/" + name, Size: 5, CreatedAt: 7}))
	}
	must(t, f.Put(ctx, &store.File{Ref: ref("dev2"), Name: "a.txt"}))
	file, err := f.Get(ctx, ref("dev1"), "a.txt")
	must(t, err)
	equal(t, *file, store.File{Ref: ref("dev1"), Name: "a.txt", ID: "id-a.txt", Object: "o/a.txt", Size: 5, CreatedAt: 7, Revision: 1}, "file")
	wantKind(t, f.Put(ctx, &store.File{Ref: ref("dev1"), Name: "a.txt"}), iot.Conflict, "put as the first")
	list, err := f.List(ctx, ref("dev1"))
	must(t, err)
	if len(list) != 2 || list[0].Name != "a.txt" || list[1].ID != "id-b.txt" {
		t.Errorf("list: %+v", list)
	}
	for range 2 {
		must(t, f.Delete(ctx, ref("dev1"), "a.txt"))
	}
	if file, err = f.Get(ctx, ref("dev1"), "a.txt"); err != nil || file != nil {
		t.Errorf("after delete: %+v, %v", file, err)
	}

	up := &store.Upload{Ref: ref("dev1"), ID: "u1", Name: "a.txt", Object: "o", FileSize: -1, Strategy: "append", FICMode: "crc64", FICValue: "00", BeganAt: 1, ExpiresAt: 2}
	must(t, f.PutUpload(ctx, up))
	up.State, up.CRC, up.Size = "done", 1<<63+5, 9
	must(t, f.PutUpload(ctx, up))
	got, err := f.GetUpload(ctx, ref("dev1"), "u1")
	must(t, err)
	equal(t, *got, *up, "upload")
	uploads, err := f.ListUploads(ctx, ref("dev1"))
	must(t, err)
	if len(uploads) != 1 || *uploads[0] != *up {
		t.Errorf("uploads: %+v", uploads)
	}
	must(t, f.DeleteUpload(ctx, ref("dev1"), "u1"))
	if got, err = f.GetUpload(ctx, ref("dev1"), "u1"); err != nil || got != nil {
		t.Errorf("after delete: %+v, %v", got, err)
	}

	for _, n := range []int64{5, 7} {
		must(t, f.SetUsage(ctx, ref("dev1"), n))
		must(t, f.SetUsage(ctx, ref("dev2"), 100))
	}
	total, err := f.TotalUsage(ctx)
	must(t, err)
	equal(t, total, int64(107), "usage")
}

func testJobs(t *testing.T, s Stores) {
	ctx, j := t.Context(), s.Jobs()
	for _, id := range []string{"job1", "job3", "job2"} {
		must(t, j.Put(ctx, &store.Job{ID: id, Name: "n", Type: "CUSTOM_JOB", Document: json.RawMessage(`{"a": 1}`), File: &store.JobFile{Object: "o"}, Status: "IN_PROGRESS"}))
	}
	list, err := j.List(ctx)
	must(t, err)
	if len(list) != 3 || list[0].ID != "job3" || list[2].ID != "job1" || list[1].File.Object != "o" {
		t.Errorf("jobs: %+v", list)
	}
	job, err := j.Get(ctx, "job1")
	must(t, err)
	wantKind(t, j.Put(ctx, &store.Job{ID: "job1", Document: json.RawMessage(`{}`)}), iot.Conflict, "put as the first")
	job.Status = "CANCELLED"
	must(t, j.Put(ctx, job))
	must(t, j.Delete(ctx, "job3"))
	if job, err = j.Get(ctx, "job3"); err != nil || job != nil {
		t.Errorf("after delete: %+v, %v", job, err)
	}

	var tasks []*store.Task
	for i := range 250 {
		tasks = append(tasks, &store.Task{Ref: ref(fmt.Sprintf("dev%d", i)), ID: fmt.Sprintf("job1-%03d", i), JobID: "job1", Status: "QUEUED", QueuedAt: 5})
	}
	must(t, j.CreateTasks(ctx, tasks))
	tasks[3].Status, tasks[3].Details = "SENT", json.RawMessage(`{"x":1.50}`)
	must(t, j.PutTask(ctx, tasks[3]))
	must(t, j.CreateTasks(ctx, []*store.Task{{Ref: ref("dev3"), ID: "job1-003", JobID: "job1", Status: "QUEUED"}})) // again: nothing is set back
	got, err := j.GetTask(ctx, ref("dev3"), "job1-003")
	must(t, err)
	equal(t, *got, *tasks[3], "task")
	if found, err := j.FindTask(ctx, "job1", "job1-003"); err != nil || found == nil || found.Ref != ref("dev3") {
		t.Errorf("found %+v, %v", found, err)
	}
	if found, err := j.FindTask(ctx, "job1", "nothing"); err != nil || found != nil {
		t.Errorf("found %+v, %v", found, err)
	}
	stale := *got
	must(t, j.PutTask(ctx, got))
	wantKind(t, j.PutTask(ctx, &stale), iot.Conflict, "put over a newer one")
	n, after := 0, ""
	for {
		page, err := j.TasksOfJob(ctx, "job1", after, 100)
		must(t, err)
		if len(page) == 0 {
			break
		}
		n, after = n+len(page), page[len(page)-1].ID
	}
	equal(t, n, 250, "tasks of the job")
	must(t, j.CreateTasks(ctx, []*store.Task{{Ref: ref("dev3"), ID: "job2-000", JobID: "job2", Status: "QUEUED"}}))
	mine, err := j.TasksOf(ctx, ref("dev3"))
	must(t, err)
	if len(mine) != 2 || mine[0].ID != "job1-003" || mine[1].JobID != "job2" {
		t.Errorf("tasks of the device: %+v", mine)
	}
	for range 2 {
		must(t, j.DeleteTask(ctx, mine[0]))
	}
	if mine, err = j.TasksOf(ctx, ref("dev3")); err != nil || len(mine) != 1 {
		t.Errorf("after delete: %+v, %v", mine, err)
	}
}
