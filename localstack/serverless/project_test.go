package serverless

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const good = `edition: 3.0.0
name: relink
access: default
vars:
  region: cn-hangzhou
  account: ${config('AccountID')}
  log: {project: relink-prod}
  memory: 512
template:
  go-fn:
    region: ${vars.region}
    runtime: custom.debian12
    handler: index.handler
    cpu: 0.5
    memorySize: ${vars.memory}
    timeout: 20
    role: acs:ram::${vars.account}:role/relink-fn
    environmentVariables: {A: "1", B: from-template}
    logConfig: {project: "${vars.log.project}", logstore: fc, logBeginRule: None, enableRequestMetrics: true}
resources:
  uplink:
    component: fc3
    extend: {name: go-fn, ignore: [timeout]}
    actions: {pre-deploy: [{run: make, path: ./}]}
    props:
      functionName: relink-uplink
      code: ./dist/uplink
      instanceConcurrency: ${env('CONCURRENCY', '20')}
      customRuntimeConfig: {command: ["/code/bootstrap"], args: [x], port: 9000}
      instanceLifecycleConfig:
        initializer: {handler: index.initialize, timeout: 10}
      environmentVariables: {B: own, C: "${env('HOME_PAGE')}/x"}
      concurrencyConfig: {reservedConcurrency: 50}
      asyncInvokeConfig:
        maxAsyncRetryAttempts: 2
        maxAsyncEventAgeInSeconds: 3600
        destinationConfig: {onFailure: {destination: "acs:fc:${vars.region}:${vars.account}:functions/dead"}}
  bucket: {component: oss, props: {anything: true}}
  sweep:
    component: fc3
    extend: {name: go-fn}
    props:
      functionName: relink-sweep
      runtime: go1
      handler: bootstrap
      code: /abs/sweep
      triggers:
        - triggerName: every-minute
          triggerType: timer
          triggerConfig: {cronExpression: "@every 1m", enable: true, payload: '{"job":"x"}'}
        - triggerName: api
          triggerType: http
          triggerConfig: {authType: anonymous, methods: [GET, POST]}
`

func options() Options {
	return Options{AccountID: "1234", Dir: "/project", LookupEnv: func(k string) (string, bool) {
		v, ok := map[string]string{"HOME_PAGE": "http://h"}[k]
		return v, ok
	}}
}

func TestParse(t *testing.T) {
	t.Parallel()
	p, err := Parse([]byte(good), options())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Functions) != 2 || !reflect.DeepEqual(p.Others, []string{"bucket"}) {
		t.Fatalf("functions %d, others %v", len(p.Functions), p.Others)
	}
	want := Function{
		Resource: "uplink", Name: "relink-uplink", Region: "cn-hangzhou", Runtime: "custom.debian12", Handler: "index.handler",
		CodeDir: filepath.Join("/project", "dist", "uplink"), Line: 21, CPU: 0.5, MemoryMB: 512, DiskMB: 512, Timeout: 3 * time.Second,
		InstanceConcurrency: 20, ReservedConcurrency: 50, Role: "acs:ram::1234:role/relink-fn",
		Environment: map[string]string{"A": "1", "B": "own", "C": "http://h/x"},
		Command:     []string{"/code/bootstrap"}, Args: []string{"x"}, Port: 9000,
		Initializer: &Hook{Handler: "index.initialize", Timeout: 10 * time.Second},
		Async:       AsyncInvoke{Configured: true, MaxAttempts: 2, MaxAge: time.Hour, OnFailure: "acs:fc:cn-hangzhou:1234:functions/dead"},
		Log:         Log{Project: "relink-prod", Logstore: "fc", RequestMetrics: true},
	}
	if got := p.Functions[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("uplink\n got %+v\nwant %+v", got, want)
	}
	sweep := p.Functions[1]
	if sweep.Runtime != "go1" || sweep.Timeout != 20*time.Second || sweep.CodeDir != "/abs/sweep" || len(sweep.Triggers) != 2 || sweep.Command != nil {
		t.Errorf("sweep %+v", sweep)
	}
	if tr := sweep.Triggers[0]; tr.Timer == nil || tr.Timer.Payload != `{"job":"x"}` || !tr.Timer.Enable {
		t.Errorf("timer %+v", tr)
	}
	if tr := sweep.Triggers[1]; tr.HTTP == nil || tr.HTTP.AuthType != "anonymous" || len(tr.HTTP.Methods) != 2 {
		t.Errorf("http %+v", tr)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	const head = "edition: 3.0.0\nname: x\nresources:\n  f:\n    component: fc3\n    props:\n"
	const base = "      region: r\n      functionName: f\n      runtime: custom\n      handler: h\n      code: ./c\n" // lines 7–11
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "s.yaml:1: the file is empty"},
		{"syntax", "edition: 3.0.0\na: [\n", "s.yaml:"},
		{"edition", strings.Replace(head+base, "3.0.0", "2.0.0", 1), "s.yaml:1: edition 2.0.0: want 3.0.0"},
		{"unknown_prop", head + base + "      memorySiz: 512\n", "s.yaml:12: resource f: unknown key memorySiz (did you mean memorySize?)"},
		{"twice", head + base + "      code: ./d\n", "s.yaml:12: resource f: code is already set in line 11"},
		{"missing", head + "      region: r\n", "s.yaml:4: resource f: functionName is missing"},
		{"runtime", strings.Replace(head+base, "runtime: custom", "runtime: python3", 1), `s.yaml:9: runtime "python3" is not supported`},
		{"name", strings.Replace(head+base, "functionName: f", "functionName: 1f", 1), `s.yaml:8: functionName "1f"`},
		{"memory_step", head + base + "      memorySize: 500\n", "s.yaml:12: memorySize is 500: want a multiple of 64"},
		{"memory_range", head + base + "      memorySize: 64\n", "s.yaml:12: memorySize is 64: want 128 to 32768"},
		{"memory_type", head + base + "      memorySize: big\n", `s.yaml:12: memorySize must be a number, got "big"`},
		{"ratio", head + base + "      cpu: 1\n", "s.yaml:12: cpu 1 with memorySize 512: want 1 to 4 GB per vCPU"},
		{"disk", head + base + "      diskSize: 600\n", "s.yaml:12: diskSize is 600: want 512 or 10240"},
		{"timeout", head + base + "      timeout: 0\n", "s.yaml:12: timeout is 0: want 1 to 86400"},
		{"concurrency", head + base + "      instanceConcurrency: 201\n", "s.yaml:12: instanceConcurrency is 201"},
		{"concurrency_go1", strings.Replace(head+base, "runtime: custom", "runtime: go1", 1) + "      instanceConcurrency: 2\n", "s.yaml:12: instanceConcurrency is 2: runtime go1 takes one request at a time"},
		{"env_type", head + base + "      environmentVariables: {A: 1}\n", `s.yaml:12: environment variable A must be a string: quote it ("1")`},
		{"env_reserved", head + base + "      environmentVariables: {FC_X: a}\n", "s.yaml:12: environment variable FC_X: the prefix FC_ is reserved"},
		{"env_name", head + base + "      environmentVariables: {_X: a}\n", `s.yaml:12: environment variable "_X"`},
		{"env_size", head + base + "      environmentVariables: {X: " + strings.Repeat("a", 4096) + "}\n", "s.yaml:12: environmentVariables take 4097 bytes: at most 4096"},
		{"this", head + base + "      description: ${this.props.region}\n", "s.yaml:12: ${this.props.region} is not supported"},
		{"var", head + base + "      description: a-${vars.nope}\n", "s.yaml:12: ${vars.nope} is not declared in vars"},
		{"env_unset", head + base + "      description: ${env('NOPE')}\n", "s.yaml:12: environment variable NOPE is not set"},
		{"cycle", head + base + "      description: ${vars.a}\nvars: {a: \"${vars.b}\", b: \"${vars.a}\"}\n", "refers to itself"},
		{"template", strings.Replace(head, "    props:", "    extend: {name: t}\n    props:", 1) + base, "s.yaml:6: extend: template t is not declared"},
		{"cron", head + base + "      triggers:\n        - {triggerName: t, triggerType: timer, triggerConfig: {cronExpression: '@every 1s'}}\n", "s.yaml:13: cronExpression: @every 1s: at least 1m"},
		{"trigger_type", head + base + "      triggers:\n        - {triggerName: t, triggerType: oss, triggerConfig: {}}\n", "s.yaml:13: triggerType oss is not supported"},
		{"async", head + base + "      asyncInvokeConfig: {maxAsyncRetryAttempts: 9}\n", "s.yaml:12: maxAsyncRetryAttempts is 9: want 0 to 8"},
		{"same_name", head + base + "  g:\n    component: fc3\n    props:\n" + base, "s.yaml:12: resource g: functionName f is taken by the resource in line 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(c.text), options())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got  %v\nwant %s", err, c.want)
			}
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, "s.yaml:") {
					t.Errorf("line without place: %q", line)
				}
			}
		})
	}
}

func TestScheduleNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expr, from, want string }{
		{"@every 1m", "2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z"},
		{"@every 1m", "2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"},
		{"0 0 4 * * *", "2026-01-01T04:00:00Z", "2026-01-02T04:00:00Z"},
		{"CRON_TZ=Asia/Shanghai 0 0 4 * * *", "2026-01-01T00:00:00Z", "2026-01-01T20:00:00Z"},
		{"0 */15 8-9 ? * MON-FRI", "2026-01-03T08:10:00Z", "2026-01-05T08:00:00Z"},
		{"30 5,35 * * * *", "2026-01-01T00:05:30Z", "2026-01-01T00:35:30Z"},
		{"0 0 0 29 FEB *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 0 0 13 * FRI", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"},
		{"0 0 0 31 12 *", "2026-12-31T00:00:00Z", "2027-12-31T00:00:00Z"},
		{"10 0 0 1 1 *", "2026-01-01T00:00:09.5Z", "2026-01-01T00:00:10Z"},
	} {
		s, err := ParseSchedule(c.expr)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		from, _ := time.Parse(time.RFC3339, c.from)
		if got := s.Next(from).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s after %s: got %s, want %s", c.expr, c.from, got, c.want)
		}
	}
	for _, bad := range []string{"", "@every", "@every x", "@every 59s", "* * * * *", "60 * * * * *", "0 0 0 0 * *", "0 0 0 * * 7",
		"0 0 5-3 * * *", "0 */0 * * * *", "CRON_TZ=Nowhere/X 0 0 0 * * *", "a * * * * *"} {
		if _, err := ParseSchedule(bad); err == nil {
			t.Errorf("ParseSchedule(%q) accepted", bad)
		}
	}
}

func FuzzParseSchedule(f *testing.F) {
	for _, s := range []string{"@every 1m", "0 0 4 * * *", "CRON_TZ=Asia/Shanghai 0 */5 8-9 ? JAN-MAR MON", "1/2 * * * * *"} {
		f.Add(s)
	}
	from := time.Date(2026, 3, 1, 12, 30, 15, 7, time.UTC)
	f.Fuzz(func(t *testing.T, expr string) {
		s, err := ParseSchedule(expr)
		if err != nil {
			return
		}
		if next := s.Next(from); !next.IsZero() && !next.After(from) {
			t.Errorf("%q: Next(%s) = %s", expr, from, next)
		}
	})
}
