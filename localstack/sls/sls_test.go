package sls_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	sdk "github.com/aliyun/aliyun-log-go-sdk"
	"google.golang.org/protobuf/proto"

	"relink/localstack/sls"
	"relink/localstack/sls/slstest"
)

const (
	project  = "relink-test"
	logstore = "device"
)

// client returns an SDK client of the instance; v4 chooses the signature.
func client(in *slstest.Instance, v4 bool) *sdk.Client {
	c := sdk.CreateNormalInterface(slstest.Endpoint, in.AccessKeyID, in.AccessKeySecret, "").(*sdk.Client)
	c.SetHTTPClient(in.HTTPClient())
	c.SetRetryTimeout(2 * time.Second)
	if v4 {
		c.SetAuthVersion(sdk.AuthV4)
		c.SetRegion("cn-hangzhou")
	}
	return c
}

// setup makes the project, the logstore and its index.
func setup(t testing.TB, c *sdk.Client) {
	t.Helper()
	if _, err := c.CreateProject(project, "test"); err != nil {
		t.Fatalf("CreateProject: %v", err)
	}
	if err := c.CreateLogStore(project, logstore, 30, 2, true, 16); err != nil {
		t.Fatalf("CreateLogStore: %v", err)
	}
	if err := c.CreateIndex(project, logstore, deviceIndex()); err != nil {
		t.Fatalf("CreateIndex: %v", err)
	}
}

func deviceIndex() sdk.Index {
	x := *sdk.CreateDefaultIndex()
	x.Keys = map[string]sdk.IndexKey{
		"device_name": {Type: "text", Token: []string{" "}, DocValue: true},
		"code":        {Type: "long", DocValue: true},
		"reason":      {Type: "text", Token: []string{" ", ",", ":"}},
	}
	return x
}

// put writes n logs of consecutive seconds from start on.
func put(t testing.TB, c *sdk.Client, start int64, n int) {
	t.Helper()
	g := &sdk.LogGroup{Topic: proto.String("uplink"), Source: proto.String("10.0.0.1"), LogTags: []*sdk.LogTag{{Key: proto.String("node"), Value: proto.String("n1")}}}
	for i := range n {
		g.Logs = append(g.Logs, &sdk.Log{Time: proto.Uint32(uint32(start + int64(i))), Contents: []*sdk.LogContent{
			{Key: proto.String("device_name"), Value: proto.String(fmt.Sprintf("dev-%d", i%3))},
			{Key: proto.String("code"), Value: proto.String(fmt.Sprint(200 + i%2*260))},
			{Key: proto.String("reason"), Value: proto.String(fmt.Sprintf("post %d: property accepted", i))},
		}})
	}
	if err := c.PutLogs(project, logstore, g); err != nil {
		t.Fatalf("PutLogs: %v", err)
	}
}

func wantCode(t *testing.T, what string, err error, status int32, code string) {
	t.Helper()
	var e *sdk.Error
	var ce *sdk.Error
	switch {
	case errors.As(err, &e):
		ce = e
	default:
		t.Errorf("%s: %v, want %s", what, err, code)
		return
	}
	if ce.Code != code || ce.HTTPCode != status || ce.RequestID == "" && ce.Message == "" {
		t.Errorf("%s: %d %s %q, want %d %s", what, ce.HTTPCode, ce.Code, ce.Message, status, code)
	}
}

func TestProjectsAndLogstores(t *testing.T) {
	t.Parallel()
	for _, v4 := range []bool{false, true} {
		t.Run(fmt.Sprintf("v4=%v", v4), func(t *testing.T) {
			t.Parallel()
			c := client(slstest.Start(t, sls.Options{}), v4)
			if ok, err := c.CheckProjectExist(project); ok || err != nil {
				t.Errorf("CheckProjectExist before = %v, %v", ok, err)
			}
			_, err := c.GetLogStore(project, logstore)
			wantCode(t, "GetLogStore without project", err, 404, "ProjectNotExist")
			setup(t, c)
			_, err = c.CreateProject(project, "again")
			wantCode(t, "CreateProject again", err, 400, "ProjectAlreadyExist")
			wantCode(t, "CreateLogStore again", c.CreateLogStore(project, logstore, 1, 1, false, 1), 400, "LogStoreAlreadyExist")
			wantCode(t, "CreateLogStore with ttl 0", c.CreateLogStore(project, "other", 0, 1, false, 1), 400, "LogStoreInfoInvalid")
			wantCode(t, "CreateIndex again", c.CreateIndex(project, logstore, deviceIndex()), 400, "IndexAlreadyExist")
			p, err := c.GetProject(project)
			if err != nil || p.Name != project || p.Description != "test" || p.Region != "cn-hangzhou" {
				t.Errorf("GetProject = %+v, %v", p, err)
			}
			if _, err := c.UpdateProject(project, "changed"); err != nil {
				t.Errorf("UpdateProject: %v", err)
			}
			names, err := c.ListProject()
			if err != nil || len(names) != 1 || names[0] != project {
				t.Errorf("ListProject = %v, %v", names, err)
			}
			projects, count, total, err := c.ListProjectV2(0, 10)
			if err != nil || count != 1 || total != 1 || projects[0].Description != "changed" {
				t.Errorf("ListProjectV2 = %v, %d, %d, %v", projects, count, total, err)
			}
			ls, err := c.GetLogStore(project, logstore)
			if err != nil || ls.TTL != 30 || ls.ShardCount != 2 || !ls.AutoSplit {
				t.Errorf("GetLogStore = %+v, %v", ls, err)
			}
			if err := c.UpdateLogStore(project, logstore, 7, 2); err != nil {
				t.Errorf("UpdateLogStore: %v", err)
			}
			if ls, err = c.GetLogStore(project, logstore); err != nil || ls.TTL != 7 {
				t.Errorf("GetLogStore after update = %+v, %v", ls, err)
			}
			stores, err := c.ListLogStore(project)
			if err != nil || len(stores) != 1 || stores[0] != logstore {
				t.Errorf("ListLogStore = %v, %v", stores, err)
			}
			shards, err := c.ListShards(project, logstore)
			if err != nil || len(shards) != 1 || shards[0].Status != "readwrite" {
				t.Errorf("ListShards = %v, %v", shards, err)
			}
			x, err := c.GetIndex(project, logstore)
			if err != nil || x.Keys["code"].Type != "long" || x.Line == nil {
				t.Errorf("GetIndex = %+v, %v", x, err)
			}
			changed := deviceIndex()
			changed.Line = nil
			if err := c.UpdateIndex(project, logstore, changed); err != nil {
				t.Errorf("UpdateIndex: %v", err)
			}
			if err := c.DeleteIndex(project, logstore); err != nil {
				t.Errorf("DeleteIndex: %v", err)
			}
			_, err = c.GetIndex(project, logstore)
			wantCode(t, "GetIndex after delete", err, 404, "IndexConfigNotExist")
			_, err = c.GetLogs(project, logstore, "", 1, 2, "*", 10, 0, false)
			wantCode(t, "GetLogs without index", err, 404, "IndexConfigNotExist")
			if err := c.DeleteLogStore(project, logstore); err != nil {
				t.Errorf("DeleteLogStore: %v", err)
			}
			wantCode(t, "DeleteLogStore again", c.DeleteLogStore(project, logstore), 404, "LogStoreNotExist")
			if err := c.DeleteProject(project); err != nil {
				t.Errorf("DeleteProject: %v", err)
			}
			wantCode(t, "DeleteProject again", c.DeleteProject(project), 404, "ProjectNotExist")
		})
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	c := client(slstest.Start(t, sls.Options{}), false)
	setup(t, c)
	now := time.Now().Unix()
	start := now - 1000
	put(t, c, start, 250)

	get := func(query string, lines, offset int64, reverse bool) *sdk.GetLogsResponse {
		t.Helper()
		r, err := c.GetLogs(project, logstore, "", start, now, query, lines, offset, reverse)
		if err != nil {
			t.Fatalf("GetLogs(%q): %v", query, err)
		}
		if !r.IsComplete() || r.Count != int64(len(r.Logs)) {
			t.Errorf("GetLogs(%q): progress %s, count %d, %d logs", query, r.Progress, r.Count, len(r.Logs))
		}
		return r
	}
	first := get("*", 100, 0, false)
	if len(first.Logs) != 100 || first.Logs[0]["__time__"] != fmt.Sprint(start) || first.Logs[0]["__topic__"] != "uplink" ||
		first.Logs[0]["__source__"] != "10.0.0.1" || first.Logs[0]["__tag__:node"] != "n1" || first.Logs[0]["code"] != "200" {
		t.Errorf("first page has %d logs, first is %v", len(first.Logs), first.Logs[0])
	}
	seen := map[string]bool{}
	for offset := int64(0); ; offset += 100 {
		page := get("*", 100, offset, true)
		for _, l := range page.Logs {
			seen[l["__time__"]] = true
		}
		if len(page.Logs) < 100 {
			break
		}
	}
	if len(seen) != 250 {
		t.Errorf("pages have %d different logs, want 250", len(seen))
	}
	if r := get("*", 1, 0, true); r.Logs[0]["__time__"] != fmt.Sprint(start+249) {
		t.Errorf("newest log is %v", r.Logs[0])
	}
	for query, want := range map[string]int{
		"device_name: dev-1 and code > 300":              42,
		"device_name: dev-1 and code > 300 or reason: 3": 43,
		"reason: \"post 7\"":                             1,
		"code in [460 460]":                              100, // cut at the page
		"absent":                                         0,
		"__topic__: uplink and reason: 2?":               10,
		"__topic__: downlink":                            0,
		"__tag__:node: n1 and reason: 24*":               11,
		"not reason: property":                           0,
	} {
		if r := get(query, 100, 0, false); len(r.Logs) != want {
			t.Errorf("%s: %d logs, want %d", query, len(r.Logs), want)
		}
	}
	if r, err := c.GetLogs(project, logstore, "downlink", start, now, "*", 10, 0, false); err != nil || r.Count != 0 {
		t.Errorf("GetLogs of another topic = %d, %v", r.Count, err)
	}
	for query, code := range map[string]string{"unknown: x": "ParameterInvalid", "(a": "ParameterInvalid", "* | select sum(code)": "ParameterInvalid"} {
		_, err := c.GetLogs(project, logstore, "", start, now, query, 10, 0, false)
		wantCode(t, query, err, 400, code)
	}
	_, err := c.GetLogs(project, logstore, "", start, now, "*", 101, 0, false)
	wantCode(t, "line 101", err, 400, "InvalidLine")
	_, err = c.GetLogs(project, logstore, "", now, start, "*", 10, 0, false)
	wantCode(t, "from after to", err, 400, "InvalidTimeRange")
	_, err = c.GetLogs(project, "none", "", start, now, "*", 10, 0, false)
	wantCode(t, "unknown logstore", err, 404, "LogStoreNotExist")
	lines, err := c.GetLogLines(project, logstore, "", start, now, "*", 10, 0, false)
	if err != nil || len(lines.Lines) != 10 {
		t.Errorf("GetLogLines = %v, %v", lines, err)
	}
	v3, err := c.GetLogsV3(project, logstore, &sdk.GetLogRequest{From: start, To: now, Query: "*", Lines: 5, CompressType: sdk.Compress_ZSTD})
	if err != nil || len(v3.Logs) != 5 || v3.Meta.ProcessedRows < 5 {
		t.Errorf("GetLogsV3 with zstd = %+v, %v", v3, err)
	}
}

func TestSQL(t *testing.T) {
	t.Parallel()
	c := client(slstest.Start(t, sls.Options{}), false)
	setup(t, c)
	now := time.Now().Unix()
	start := (now - 1000) / 60 * 60
	put(t, c, start, 250)
	for query, want := range map[string]string{
		"* | select count(*) as pv":                                                               "map[pv:250]",
		"code: 460 | select count(*) as pv from log":                                              "map[pv:125]",
		"* | select code, count(*) as c group by code order by c desc":                            "map[c:125 code:200] map[c:125 code:460]",
		"* | select device_name as d, count(1) as c group by device_name order by c desc limit 1": "map[c:84 d:dev-0]",
		"absent | select count(*) as c":                                                           "map[c:0]",
		"* | select __time__ - __time__ % 100 as t, count(*) as c group by t order by c limit 1":  "",
	} {
		r, err := c.GetLogs(project, logstore, "", start, now, query, 0, 0, false)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if got := strings.Trim(fmt.Sprint(r.Logs), "[]"); want != "" && got != strings.Trim(want, "[]") || !r.HasSQL {
			t.Errorf("%s = %s, want %s", query, got, want)
		}
	}
	_, err := c.GetLogs(project, logstore, "", start, now, "* | select reason, count(*) group by reason", 0, 0, false)
	wantCode(t, "key without doc_value", err, 400, "ParameterInvalid")
}

func TestHistograms(t *testing.T) {
	t.Parallel()
	c := client(slstest.Start(t, sls.Options{}), true)
	setup(t, c)
	start := time.Now().Unix() - 1000
	put(t, c, start, 250)
	r, err := c.GetHistograms(project, logstore, "", start, start+250, "code: 460")
	if err != nil || !r.IsComplete() || r.Count != 125 {
		t.Fatalf("GetHistograms = %+v, %v", r, err)
	}
	sum, at := int64(0), start
	for _, h := range r.Histograms {
		if h.From != at || h.To <= h.From {
			t.Errorf("interval %d to %d, want it to begin at %d", h.From, h.To, at)
		}
		sum, at = sum+h.Count, h.To
	}
	if sum != 125 || at != start+250 || len(r.Histograms) > 61 {
		t.Errorf("%d intervals hold %d logs and end at %d", len(r.Histograms), sum, at)
	}
}

func TestCompressionAndHashKey(t *testing.T) {
	t.Parallel()
	in := slstest.Start(t, sls.Options{})
	c := client(in, false)
	setup(t, c)
	now := time.Now().Unix()
	key := strings.Repeat("0", 32)
	for i, kind := range []int{sdk.Compress_LZ4, sdk.Compress_None, sdk.Compress_ZSTD} {
		g := &sdk.LogGroup{Topic: proto.String("t"), Source: proto.String(""), Logs: []*sdk.Log{{Time: proto.Uint32(uint32(now)), Contents: []*sdk.LogContent{{Key: proto.String("reason"), Value: proto.String(fmt.Sprint(i))}}}}}
		for _, hash := range []*string{nil, &key} {
			if err := c.PostLogStoreLogsV2(project, logstore, &sdk.PostLogStoreLogsRequest{LogGroup: g, HashKey: hash, CompressType: kind}); err != nil {
				t.Errorf("compression %d, hash key %v: %v", kind, hash != nil, err)
			}
		}
	}
	r, err := c.GetLogs(project, logstore, "", now-1, now+1, "*", 100, 0, false)
	if err != nil || r.Count != 6 {
		t.Errorf("GetLogs = %+v, %v", r, err)
	}
	if st := in.Stats(); st.Logs != 6 || st.Requests < 10 || st.BytesIn == 0 || st.BytesOut == 0 {
		t.Errorf("Stats = %+v", st)
	}
}

func TestPullLogs(t *testing.T) {
	t.Parallel()
	c := client(slstest.Start(t, sls.Options{}), false)
	setup(t, c)
	start := time.Now().Unix() - 100
	begin, err := c.GetCursor(project, logstore, 0, "begin")
	if err != nil {
		t.Fatalf("GetCursor: %v", err)
	}
	put(t, c, start, 5)
	put(t, c, start-50, 5) // older logs arrive later
	end, err := c.GetCursor(project, logstore, 0, "end")
	if err != nil {
		t.Fatalf("GetCursor: %v", err)
	}
	var times []uint32
	for cursor := begin; ; {
		list, next, err := c.PullLogs(project, logstore, 0, cursor, end, 3)
		if err != nil {
			t.Fatalf("PullLogs: %v", err)
		}
		for _, g := range list.LogGroups {
			for _, l := range g.Logs {
				times = append(times, l.GetTime())
			}
		}
		if next == cursor || len(list.LogGroups) == 0 {
			break
		}
		cursor = next
	}
	if len(times) != 10 || times[0] != uint32(start) || times[5] != uint32(start-50) {
		t.Errorf("pulled times %v", times)
	}
	put(t, c, start+50, 1)
	list, _, err := c.PullLogs(project, logstore, 0, end, "", 10)
	if err != nil || len(list.LogGroups) != 1 {
		t.Errorf("PullLogs from the old end = %v, %v", list, err)
	}
	_, err = c.GetCursor(project, logstore, 1, "begin")
	if err == nil || !strings.Contains(err.Error(), "ShardNotExist") {
		t.Errorf("GetCursor of shard 1: %v", err)
	}
	_, _, err = c.PullLogs(project, logstore, 0, "!", "", 10)
	if err == nil || !strings.Contains(err.Error(), "InvalidCursor") {
		t.Errorf("PullLogs of a bad cursor: %v", err)
	}
	at, err := c.GetCursorTime(project, logstore, 0, end)
	if err != nil || time.Since(at) > time.Minute {
		t.Errorf("GetCursorTime = %v, %v", at, err)
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	now := time.Now()
	skew := slstest.Start(t, sls.Options{Clock: func() time.Time { return now.Add(16 * time.Minute) }})
	in := slstest.Start(t, sls.Options{AccessKeyID: "id", AccessKeySecret: "secret"})
	for _, v4 := range []bool{false, true} {
		_, err := client(skew, v4).ListProject()
		wantClientCode(t, "skewed clock", err, "RequestTimeTooSkewed")
		wrong := *in
		wrong.AccessKeySecret = "wrong"
		_, err = client(&wrong, v4).ListProject()
		wantClientCode(t, "wrong secret", err, "SignatureNotMatch")
		wrong.AccessKeyID = "nobody"
		_, err = client(&wrong, v4).ListProject()
		wantClientCode(t, "wrong key", err, "Unauthorized")
		if _, err := client(in, v4).ListProject(); err != nil {
			t.Errorf("right key: %v", err)
		}
		c := client(in, v4)
		c.ResetAccessKeyToken(in.AccessKeyID, in.AccessKeySecret, "temporary-token")
		if _, err := c.ListProject(); err != nil {
			t.Errorf("temporary key: %v", err)
		}
	}
	resp, err := in.HTTPClient().Get(slstest.Endpoint + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 400 || resp.Header.Get("x-log-requestid") == "" {
		t.Errorf("unsigned request: %s", resp.Status)
	}
}

func wantClientCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), code) {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

func TestUnknownOperation(t *testing.T) {
	t.Parallel()
	c := client(slstest.Start(t, sls.Options{}), false)
	setup(t, c)
	_, _, _, err := c.ListDashboard(project, "", 0, 10)
	wantClientCode(t, "ListDashboard", err, "NotSupported")
	_, _, err = c.ListConfig(project, 0, 10)
	wantClientCode(t, "ListConfig", err, "BadRequest")
}

func TestProxyForm(t *testing.T) {
	t.Parallel()
	in := slstest.Start(t, sls.Options{})
	u, err := url.Parse(in.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(u)}
	defer transport.CloseIdleConnections()
	for _, v4 := range []bool{false, true} {
		c := client(in, v4)
		c.SetHTTPClient(&http.Client{Transport: transport})
		name := fmt.Sprintf("proxied-%v", v4)
		if _, err := c.CreateProject(name, ""); err != nil {
			t.Errorf("CreateProject through a proxy: %v", err)
		}
		if ok, err := c.CheckProjectExist(name); !ok || err != nil {
			t.Errorf("CheckProjectExist through a proxy = %v, %v", ok, err)
		}
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now().Unix()
	first, err := sls.Open(sls.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if err := first.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}()
		in := slstest.Serve(t, first, sls.Options{})
		c := client(in, false)
		setup(t, c)
		put(t, c, now-100, 50)
	}()
	in := slstest.Start(t, sls.Options{Dir: dir})
	c := client(in, false)
	r, err := c.GetLogs(project, logstore, "", now-200, now+1, "code: 460", 100, 0, false)
	if err != nil || r.Count != 25 {
		t.Fatalf("GetLogs after restart = %+v, %v", r, err)
	}
	end, err := c.GetCursor(project, logstore, 0, "end")
	if err != nil {
		t.Fatal(err)
	}
	put(t, c, now, 1)
	if list, _, err := c.PullLogs(project, logstore, 0, end, "", 10); err != nil || len(list.LogGroups) != 1 {
		t.Errorf("PullLogs after restart = %v, %v", list, err)
	}
}

func TestTTL(t *testing.T) {
	t.Parallel()
	c := client(slstest.Start(t, sls.Options{}), false)
	setup(t, c)
	now := time.Now().Unix()
	put(t, c, now-40*86400, 10)
	put(t, c, now-20*86400, 10)
	r, err := c.GetLogs(project, logstore, "", now-60*86400, now, "*", 100, 0, false)
	if err != nil || r.Count != 10 {
		t.Errorf("GetLogs with a TTL of 30 days = %d logs, %v", r.Count, err)
	}
}

func TestAppend(t *testing.T) {
	t.Parallel()
	in := slstest.Start(t, sls.Options{})
	c := client(in, false)
	logs := []sls.Log{{Fields: []sls.Field{{Key: "message", Value: "hello from a function"}, {Key: "requestId", Value: "1-2-3"}}}}
	if err := in.Append(project, logstore, "fn", "", logs); err == nil || !strings.Contains(err.Error(), "ProjectNotExist") {
		t.Errorf("Append without project: %v", err)
	}
	setup(t, c)
	if err := in.Append(project, logstore, "fn", "", logs); err != nil {
		t.Fatalf("Append: %v", err)
	}
	if err := in.Append(project, logstore, "fn", "", []sls.Log{{Fields: []sls.Field{{Key: "", Value: "x"}}}}); err == nil || !strings.Contains(err.Error(), "PostBodyInvalid") {
		t.Errorf("Append without key: %v", err)
	}
	now := time.Now().Unix()
	r, err := c.GetLogs(project, logstore, "", now-60, now+60, "__topic__: fn and hello", 10, 0, true)
	if err != nil || r.Count != 1 || r.Logs[0]["message"] != "hello from a function" {
		t.Errorf("GetLogs = %+v, %v", r, err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	in := slstest.Start(t, sls.Options{})
	c := client(in, false)
	setup(t, c)
	c.SetRetryTimeout(10 * time.Millisecond)
	in.SetFaults(sls.Faults{Fail: 1})
	_, err := c.ListLogStore(project)
	wantClientCode(t, "every request fails", err, "ServerBusy")
	in.SetFaults(sls.Faults{Lose: 1})
	if err := c.CreateLogStore(project, "lost-answer", 1, 1, false, 1); err == nil {
		t.Error("CreateLogStore succeeds though its answer is lost")
	}
	in.SetFaults(sls.Faults{Delay: time.Millisecond})
	c.SetRetryTimeout(5 * time.Second)
	if _, err := c.GetLogStore(project, "lost-answer"); err != nil {
		t.Errorf("GetLogStore after the lost answer: %v", err)
	}
}

func TestOperationsTable(t *testing.T) {
	t.Parallel()
	for _, op := range sls.Operations() {
		if op.Name == "" || op.Method == "" || !strings.HasPrefix(op.Path, "/") || op.Status == "" {
			t.Errorf("incomplete line %+v", op)
		}
	}
}
