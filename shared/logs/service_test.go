package logs_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	sls "github.com/aliyun/aliyun-log-go-sdk"
	"google.golang.org/protobuf/proto"

	emulator "relink/localstack/sls"
	"relink/localstack/sls/slstest"
	"relink/shared/iot"
	"relink/shared/logs"
)

func client(t *testing.T) sls.ClientInterface {
	t.Helper()
	in := slstest.Start(t, emulator.Options{})
	c, err := logs.NewClient(logs.ServiceConfig{
		Endpoint: "http://log.relink.internal", Dial: in.Addr, Project: "relink",
		AccessKeyID: emulator.DefaultAccessKeyID, AccessKeySecret: iot.Secret(emulator.DefaultAccessKeySecret),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The project's own declaration is created once, is unchanged the second time, and a difference is told.
func TestBootstrap(t *testing.T) {
	t.Parallel()
	c := client(t)
	for _, want := range []string{"created", "unchanged"} {
		f, err := os.Open("../../templates/sls.yaml")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		plan, err := logs.Bootstrap(c, "relink", f)
		if err != nil || len(plan) != 5 {
			t.Fatalf("plan %v: %v", plan, err)
		}
		for _, p := range plan {
			if p.Action != want {
				t.Errorf("%s: %s, want %s", p.Logstore, p.Action, want)
			}
		}
	}
	plan, err := logs.Bootstrap(c, "relink", strings.NewReader("logstores: [{name: device, ttl: 7, keys: {wholly_new: long}}]"))
	if err != nil || len(plan) != 1 || plan[0].Action != "differs" || !strings.Contains(plan[0].Detail, "wholly_new") {
		t.Errorf("plan %v: %v", plan, err)
	}
}

func TestBootstrapRefusesBadDeclarations(t *testing.T) {
	t.Parallel()
	c := client(t)
	for _, text := range []string{"logstores: [{name: x}]", "logstores: [{name: x, ttl: 9999}]", "logstores: [{name: x, ttl: 1, keys: {k: number}}]", "logstore: []", "- a"} {
		if _, err := logs.Bootstrap(c, "relink", strings.NewReader(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

// A search pages through more lines than one answer holds, newest or oldest first.
func TestSearch(t *testing.T) {
	t.Parallel()
	c := client(t)
	if _, err := logs.Bootstrap(c, "relink", strings.NewReader("logstores: [{name: device, ttl: 7, fullText: true, keys: {n: long, name: text}}]")); err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(-10 * time.Minute)
	group := &sls.LogGroup{Topic: proto.String(""), Source: proto.String("")}
	for i := range 250 {
		group.Logs = append(group.Logs, &sls.Log{Time: proto.Uint32(uint32(begin.Unix()) + uint32(i)), Contents: []*sls.LogContent{
			{Key: proto.String("n"), Value: proto.String(fmt.Sprint(i))}, {Key: proto.String("name"), Value: proto.String(`lamp "one"`)},
		}})
	}
	if err := c.PutLogs("relink", "device", group); err != nil {
		t.Fatal(err)
	}
	query := logs.Query{Logstore: "device", Expression: "name: " + logs.Phrase(`lamp "one"`), From: begin, To: time.Now(), Limit: 240}
	newest, err := logs.Search(c, "relink", query)
	if err != nil || len(newest) != 240 || newest[0]["n"] != "249" || newest[239]["n"] != "10" {
		t.Errorf("newest first: %d lines, %v", len(newest), err)
	}
	query.Oldest, query.Limit = true, 1000
	oldest, err := logs.Search(c, "relink", query)
	if err != nil || len(oldest) != 250 || oldest[0]["n"] != "0" {
		t.Errorf("oldest first: %d lines, %v", len(oldest), err)
	}
}
