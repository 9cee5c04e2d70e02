package storetest

import (
	"encoding/json"
	"testing"

	"relink/shared/iot"
	"relink/shared/store"
)

// testLeftovers registers a device again under the name of a deleted one, which finds nothing of its predecessor's; others keep theirs.
func testLeftovers(t *testing.T, s Stores) {
	ctx, gone, other := t.Context(), ref("lamp"), ref("lamp2")
	for _, dev := range []iot.DeviceRef{gone, other} {
		must(t, s.Devices().Create(ctx, newDevice(string(dev.DeviceName), 1)))
		must(t, s.Files().Put(ctx, &store.File{Ref: dev, Name: "a.log", ID: "u1", Object: "o1", Size: 7}))
		must(t, s.Files().PutUpload(ctx, &store.Upload{Ref: dev, ID: "u1", Name: "a.log", Object: "o1"}))
		must(t, s.Files().SetUsage(ctx, dev, 7))
		must(t, s.DeviceVersions().Put(ctx, dev, store.DeviceVersion{Module: "default", Version: "1", At: 1}))
		must(t, s.Discoveries().Put(ctx, dev, []store.Discovery{{Device: ref("found"), At: 1}}))
	}
	must(t, s.Jobs().Put(ctx, &store.Job{ID: "0job", Document: json.RawMessage(`{}`)}))
	must(t, s.Jobs().CreateTasks(ctx, []*store.Task{{Ref: gone, ID: "0job0", JobID: "0job"}, {Ref: other, ID: "0job1", JobID: "0job"}}))
	must(t, s.Devices().Delete(ctx, gone))
	must(t, s.Devices().Create(ctx, newDevice("lamp", 2)))
	for dev, want := range map[iot.DeviceRef]int{gone: 0, other: 1} {
		files, err := s.Files().List(ctx, dev)
		must(t, err)
		uploads, err := s.Files().ListUploads(ctx, dev)
		must(t, err)
		versions, err := s.DeviceVersions().List(ctx, dev)
		must(t, err)
		found, err := s.Discoveries().List(ctx, dev, 0, 9)
		must(t, err)
		tasks, err := s.Jobs().TasksOf(ctx, dev)
		must(t, err)
		equal(t, [5]int{len(files), len(uploads), len(versions), len(found), len(tasks)}, [5]int{want, want, want, want, want}, "rows of "+dev.String())
	}
	used, err := s.Files().TotalUsage(ctx)
	must(t, err)
	equal(t, used, 7, "usage")
	// A page of one is not taken by the index row of a task that is gone: who walks through a job would stop there.
	tasks, err := s.Jobs().TasksOfJob(ctx, "0job", "", 1)
	must(t, err)
	if len(tasks) != 1 || tasks[0].ID != "0job1" {
		t.Errorf("tasks of the job: %+v", tasks)
	}
}
