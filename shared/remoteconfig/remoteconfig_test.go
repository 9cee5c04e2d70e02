package remoteconfig_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"relink/shared/alink"
	"relink/shared/downlink"
	"relink/shared/exchange"
	"relink/shared/iot"
	objects "relink/shared/objects/memory"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/remoteconfig"
	"relink/shared/store"
	"relink/shared/store/memory"
)

var now = time.UnixMilli(1_767_225_600_000)

const pk = iot.ProductKey("a1GoldenPk1")

type urls struct{}

func (urls) URL(key string, valid time.Duration) (string, error) {
	return fmt.Sprintf("https://dl.relink.example/%s/%s", valid, key), nil
}

type fixture struct {
	*remoteconfig.Service
	store  *memory.Store
	bucket *objects.Bucket
}

func setUp() fixture {
	f := fixture{store: memory.New(), bucket: new(objects.Bucket)}
	f.Service = remoteconfig.New(f.store.RemoteConfigs(), f.bucket, urls{}, func() time.Time { return now })
	return f
}

func (f fixture) ask(t *testing.T, suffix, payload string) (record.Result, string) {
	t.Helper()
	desk := &exchange.Desk{Families: f.Families(), Log: slog.New(slog.DiscardHandler)}
	r := desk.Serve(t.Context(), "n1", []record.Record{{
		MessageID: "1", Device: iot.DeviceRef{ProductKey: pk, DeviceName: "thermo-01"}, Topic: "/sys/a1GoldenPk1/thermo-01/thing/config/" + suffix, Payload: []byte(payload),
	}})[0]
	if len(r.Replies) == 0 {
		return r, ""
	}
	return r, string(r.Replies[0].Payload)
}

// G-26 and G-28.
func TestGet(t *testing.T) {
	t.Parallel()
	f := setUp()
	const c3 = `{"id" : 0,"version":"1.0","params":{"configScope":"product","getType":"file","attributeKeys":""},"method":"thing.config.get"}`
	if r, reply := f.ask(t, "get", c3); r.Reason != string(refusal.ConfigMissing) || reply != `{"code":6710,"data":{},"id":"0","message":"no data","method":"thing.config.get","version":"1.0"}` {
		t.Errorf("none: %s", reply)
	}
	v, err := f.Publish(t.Context(), pk, []byte(`{"interval":30}`), "first")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"code":200,"data":{"configId":"` + v.ID + `","configSize":15,"getType":"file","sign":"4d984ea50aadda81e8c29663ff923d0c3a002cb533ea379f35f8b6a7d3f53124","signMethod":"Sha256","url":"https://dl.relink.example/1h0m0s/config/a1GoldenPk1/` + v.ID + `"},"id":"0","message":"success","method":"thing.config.get","version":"1.0"}`
	if _, reply := f.ask(t, "get", c3); reply != want {
		t.Errorf("got  %s\nwant %s", reply, want)
	}
	if err := f.Switch(t.Context(), pk, false); err != nil {
		t.Fatal(err)
	}
	if r, reply := f.ask(t, "get", c3); !strings.HasPrefix(reply, `{"code":6713,"data":{},`) || r.Reason != "config_off" {
		t.Errorf("off: %s", reply)
	}
	if err := f.Switch(t.Context(), pk, true); err != nil {
		t.Fatal(err)
	}
	for _, params := range []string{`{"configScope":"device","getType":"file"}`, `{"configScope":"product","getType":"key"}`} {
		if r, _ := f.ask(t, "get", `{"id":"1","params":`+params+`}`); r.Code != alink.CodeParams {
			t.Errorf("%s: %d", params, r.Code)
		}
	}
	for _, reply := range []string{`{"id":"65822261","code":200,"data":{}}`, `"id":123,"code":"400","data":{}`} {
		if _, answered := f.ask(t, "push_reply", reply); answered != "" {
			t.Errorf("a reply is answered: %s", answered)
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	f, ctx := setUp(), t.Context()
	for _, bad := range []string{"", "x", `"text"`, `{"a":1}x`, `{"a":"` + strings.Repeat("x", 64<<10) + `"}`} {
		if _, err := f.Publish(ctx, pk, []byte(bad), ""); !iot.Is(err, iot.InvalidParams) && !iot.Is(err, iot.QuotaExceeded) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	if _, err := f.Publish(ctx, pk, nil, ""); !iot.Is(err, iot.InvalidParams) {
		t.Errorf("no draft: %v", err)
	}
	for _, draft := range []string{`{"draft":1}`, "\xef\xbb\xbf {\"draft\":2}\n"} {
		if _, err := f.SaveDraft(ctx, pk, []byte(draft), "try"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Notice(ctx, pk); !errors.Is(err, remoteconfig.ErrNone) {
		t.Errorf("a draft is shown to devices: %v", err)
	}
	v, err := f.Publish(ctx, pk, nil, "")
	if err != nil || v.Description != "try" || v.Size != 11 {
		t.Fatalf("%+v, %v", v, err)
	}
	if again, err := f.Publish(ctx, pk, []byte(`{"draft":2}`), "other"); err != nil || again != v {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	for i := range 60 {
		if _, err := f.Publish(ctx, pk, fmt.Appendf(nil, `{"n":%d}`, i), ""); err != nil {
			t.Fatal(err)
		}
	}
	c, err := f.Config(ctx, pk)
	if err != nil || len(c.Versions) != 50 || c.Draft != nil {
		t.Fatalf("%d versions, draft %v, %v", len(c.Versions), c.Draft, err)
	}
	if keys := f.bucket.Keys(); len(keys) != 50 {
		t.Errorf("%d objects for 50 versions", len(keys))
	}
	if content, err := f.Content(ctx, pk, c.Versions[49].ID); err != nil || string(content) != `{"n":59}` {
		t.Errorf("content %s, %v", content, err)
	}
	if _, err := f.Content(ctx, pk, v.ID); !errors.Is(err, remoteconfig.ErrNoVersion) {
		t.Errorf("a version that is gone: %v", err)
	}
}

type commander struct {
	mu     sync.Mutex
	sent   map[iot.DeviceName]string
	expire []int64
}

func (c *commander) Command(_ context.Context, cmd downlink.Command) (downlink.Outcome, error) {
	p := cmd.Publish
	if p.DeviceName == "dev009" {
		return downlink.Outcome{State: downlink.Busy}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire = append(c.expire, p.ExpiresAt)
	c.sent[p.DeviceName] = p.Topic + " " + string(p.Payload)
	return downlink.Outcome{State: downlink.Sent}, nil
}

// G-27, to those who are online and nobody else.
func TestPush(t *testing.T) {
	t.Parallel()
	f, ctx := setUp(), t.Context()
	for _, n := range []store.Node{{ID: "n1", Until: now.UnixMilli() + 1}, {ID: "dead", Until: now.UnixMilli() - 1}} {
		if err := f.store.Nodes().Renew(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 450 {
		ref := iot.DeviceRef{ProductKey: pk, DeviceName: iot.DeviceName(fmt.Sprintf("dev%03d", i))}
		if err := f.store.Devices().Create(ctx, &store.Device{Ref: ref, IotID: iot.IotID(ref.DeviceName), CreatedAt: int64(i)}); err != nil {
			t.Fatal(err)
		}
		node := []string{"n1", "dead", ""}[i%3]
		if node == "" {
			continue
		}
		if _, _, errs := f.store.Sessions().Take(ctx, []store.Take{{Ref: ref, Node: node, At: 1}}); errs[0] != nil {
			t.Fatal(errs[0])
		}
	}
	c := &commander{sent: make(map[iot.DeviceName]string)}
	p := &remoteconfig.Pusher{
		Service: f.Service, Devices: f.store.ProductDevices(), Sessions: f.store.Sessions(), Nodes: f.store.Nodes(), Commander: c,
		NextID: func() string { return "65822261" }, Now: func() time.Time { return now },
	}
	if _, err := p.Push(ctx, pk, "", now.Add(time.Hour)); !errors.Is(err, remoteconfig.ErrNone) {
		t.Errorf("nothing to push: %v", err)
	}
	v, err := f.Publish(ctx, pk, []byte(`{"interval":30}`), "")
	if err != nil {
		t.Fatal(err)
	}
	var all remoteconfig.Pushed
	calls := 0
	for cursor := ""; calls == 0 || cursor != ""; calls++ {
		one, err := p.Push(ctx, pk, cursor, now) // no time: a page at a time
		if err != nil {
			t.Fatal(err)
		}
		all.Devices, all.Online, all.Sent, all.Failed, cursor = all.Devices+one.Devices, all.Online+one.Online, all.Sent+one.Sent, all.Failed+one.Failed, one.Next
	}
	if want := (remoteconfig.Pushed{Devices: 450, Online: 150, Sent: 149, Failed: 1}); all != want || calls != 3 {
		t.Errorf("%+v in %d calls, want %+v", all, calls, want)
	}
	want := `/sys/a1GoldenPk1/dev000/thing/config/push {"method":"thing.config.push","id":"65822261","params":{"configId":"` + v.ID + `","configSize":15,"getType":"file","sign":"4d984ea50aadda81e8c29663ff923d0c3a002cb533ea379f35f8b6a7d3f53124","signMethod":"Sha256","url":"https://dl.relink.example/1h0m0s/config/a1GoldenPk1/` + v.ID + `"},"version":"1.0"}`
	if c.sent["dev000"] != want || len(c.sent) != 149 {
		t.Errorf("%d devices were told, the first\n%s\nwant\n%s", len(c.sent), c.sent["dev000"], want)
	}
	for _, at := range c.expire {
		if at != now.Add(time.Hour).UnixMilli() { // the URL in the notice holds no longer
			t.Fatalf("a notice waits for its device until %d", at)
		}
	}
}

// racing is rows of which the next Put comes too late: before goes first.
type racing struct {
	store.RemoteConfigs
	before func()
}

func (r *racing) Put(ctx context.Context, c *store.RemoteConfig) error {
	if before := r.before; before != nil {
		r.before = nil
		before()
	}
	return r.RemoteConfigs.Put(ctx, c)
}

// A draft that is published while the next one is saved keeps its file.
func TestSaveDraftRace(t *testing.T) {
	t.Parallel()
	f, ctx := setUp(), t.Context()
	if _, err := f.SaveDraft(ctx, pk, []byte(`{"draft":1}`), ""); err != nil {
		t.Fatal(err)
	}
	var inForce store.ConfigVersion
	rows := &racing{RemoteConfigs: f.store.RemoteConfigs(), before: func() {
		var err error
		if inForce, err = f.Publish(ctx, pk, nil, ""); err != nil {
			t.Error(err)
		}
	}}
	slow := remoteconfig.New(rows, f.bucket, urls{}, func() time.Time { return now })
	if _, err := slow.SaveDraft(ctx, pk, []byte(`{"draft":2}`), ""); err != nil {
		t.Fatal(err)
	}
	if content, err := f.Content(ctx, pk, inForce.ID); err != nil || string(content) != `{"draft":1}` {
		t.Errorf("the configuration in force is %s, %v", content, err)
	}
}

// forgetful is rows of which the answers of Put get lost.
type forgetful struct{ store.RemoteConfigs }

func (f forgetful) Put(ctx context.Context, c *store.RemoteConfig) error {
	if err := f.RemoteConfigs.Put(ctx, c); err != nil {
		return err
	}
	return iot.Errorf(iot.Unavailable, "no answer")
}

// A draft whose publishing was not answered is published by the next call too, and once.
func TestPublishDraftAgain(t *testing.T) {
	t.Parallel()
	f, ctx := setUp(), t.Context()
	draft, err := f.SaveDraft(ctx, pk, []byte(`{"draft":1}`), "try")
	if err != nil {
		t.Fatal(err)
	}
	lossy := remoteconfig.New(forgetful{f.store.RemoteConfigs()}, f.bucket, urls{}, func() time.Time { return now })
	if _, err := lossy.Publish(ctx, pk, nil, ""); !iot.Is(err, iot.Unavailable) {
		t.Fatalf("an answer that was lost: %v", err)
	}
	for range 2 {
		if v, err := f.Publish(ctx, pk, nil, ""); err != nil || v.ID != draft.ID || v.Description != "try" {
			t.Errorf("again: %+v, %v", v, err)
		}
	}
	if c, err := f.Config(ctx, pk); err != nil || len(c.Versions) != 1 || c.Draft != nil {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := f.Publish(ctx, pk, []byte(`{"interval":30}`), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Publish(ctx, pk, nil, ""); !iot.Is(err, iot.InvalidParams) {
		t.Errorf("no draft behind content of its own: %v", err)
	}
}
