package fc_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"relink/localstack/fc"
	"relink/localstack/serverless"
)

func TestSynchronous(t *testing.T) {
	t.Parallel()
	out := &sink{}
	logs := func(f *fc.Function) {
		f.Log = serverless.Log{Project: "p", Logstore: "fc", RequestMetrics: true}
		f.Initializer = &serverless.Hook{Handler: "h", Timeout: 3 * time.Second}
	}
	slow := func(f *fc.Function) { f.Timeout = time.Second }
	c := start(t, fc.Options{Logs: out, ExtraEnv: map[string]string{"FC_TEST_VALUE": "extra"}, Functions: []fc.Function{
		custom("custom", logs), go1("go1", logs), custom("custom-slow", slow), go1("go1-slow", slow),
		custom("broken", func(f *fc.Function) { f.Environment["FC_TEST_ROLE"] = "broken" }),
		custom("one", logs, func(f *fc.Function) { f.InstanceConcurrency = 1 }),
	}})
	id := regexp.MustCompile(`^1-[0-9a-f]{8}-[0-9a-f]{24}$`)
	for _, name := range []string{"custom", "go1"} {
		t.Run(name, func(t *testing.T) {
			r := c.invoke(name, event(task{Do: "who"}))
			if r.status != 200 || r.errType != "" {
				t.Fatalf("got %+v", r)
			}
			a := r.answer(t)
			if a.Function != name || a.Env != "extra" || !a.Initialized || a.Instance != *r.header["x-fc-instance-id"] {
				t.Errorf("answer %+v", a)
			}
			if got := *r.header["x-fc-request-id"]; !id.MatchString(got) || name == "custom" && got != a.RequestID {
				t.Errorf("request id %s, the function saw %s", got, a.RequestID)
			}
			for _, h := range []string{"x-fc-code-checksum", "x-fc-invocation-duration", "x-fc-max-memory-usage"} {
				if r.header[h] == nil || *r.header[h] == "" {
					t.Errorf("no %s", h)
				}
			}
			if r := c.invoke(name, event(task{Do: "error", Text: "no such thing"})); r.status != 200 || r.errType != "UnhandledInvocationError" || !strings.Contains(r.body, "no such thing") {
				t.Errorf("error: %+v", r)
			}
			if r := c.invoke(name, event(task{Do: "panic", Text: "oops"})); r.status != 200 || r.errType != "UnhandledInvocationError" || !strings.Contains(r.body, "oops") {
				t.Errorf("panic: %+v", r)
			}
			if b := c.invoke(name, event(task{Do: "who"})).answer(t); b.PID != a.PID {
				t.Errorf("process %d after a panic, was %d", b.PID, a.PID)
			}
			r = c.invoke(name, event(task{Do: "exit"}))
			if r.status != 200 || r.errType != "UnhandledInvocationError" || !strings.Contains(r.body, "Process exited unexpectedly before completing request (duration: ") {
				t.Errorf("exit: %+v", r)
			}
			if b := c.invoke(name, event(task{Do: "who"})).answer(t); b.PID == a.PID {
				t.Errorf("the process that exited answers")
			}
			big := strings.Repeat("x", 3<<20)
			want := big
			if name == "go1" {
				want = `"` + base64.StdEncoding.EncodeToString([]byte(big)) + `"` // the SDK marshals []byte
			}
			if r := c.invoke(name, big); r.body != want {
				t.Errorf("3 MB: got %d bytes", len(r.body))
			}
			slow := c.invoke(name+"-slow", event(task{Do: "who"})).answer(t)
			r = c.invoke(name+"-slow", event(task{Do: "hang"}))
			if r.status != 200 || r.errType != "UnhandledInvocationError" || !strings.Contains(r.body, "timed out after 1 seconds") {
				t.Errorf("timeout: %+v", r)
			}
			after := c.invoke(name+"-slow", event(task{Do: "who"})).answer(t)
			if killed := after.PID != slow.PID; killed != (name == "go1") {
				t.Errorf("killed on timeout: %t", killed)
			}
		})
	}
	t.Run("logs", func(t *testing.T) {
		r := c.invoke("one", event(task{Do: "print", Text: "hello tail"}), "log", "Tail")
		if r.header["x-fc-log-result"] == nil {
			t.Fatalf("no log result: %+v", r)
		}
		if tail, err := base64.StdEncoding.DecodeString(*r.header["x-fc-log-result"]); err != nil || string(tail) != "hello tail\n" {
			t.Errorf("tail %q, %v", tail, err)
		}
		var line map[string]string
		poll(t, "the line is in the sink", func() bool { line = out.find("hello tail"); return line != nil })
		if line["functionName"] != "one" || line["requestId"] != *r.header["x-fc-request-id"] || line["instanceID"] != *r.header["x-fc-instance-id"] ||
			line["project"] != "p" || line["logstore"] != "fc" || line["qualifier"] != "LATEST" {
			t.Errorf("line %v", line)
		}
		poll(t, "request metrics are in the sink", func() bool {
			out.mu.Lock()
			defer out.mu.Unlock()
			for _, l := range out.lines {
				if l["requestId"] == *r.header["x-fc-request-id"] && l["durationMs"] != "" && l["statusCode"] == "200" {
					return true
				}
			}
			return false
		})
		if r := c.invoke("custom", event(task{Do: "print", Text: "x"}), "log", "Tail"); r.header["x-fc-log-result"] != nil {
			t.Error("log result with instanceConcurrency above 1")
		}
	})
	t.Run("start_failure", func(t *testing.T) {
		r := c.invoke("broken", "x")
		if r.status != 412 || r.code != "FunctionNotStarted" || !strings.Contains(r.message, "cannot read configuration") {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		if r := c.invoke("nope", "x"); r.status != 404 || r.code != "FunctionNotFound" {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("too_large", func(t *testing.T) {
		if r := c.invoke("custom", strings.Repeat("x", 32<<20+1)); r.status != 400 || r.code != "EntityTooLarge" {
			t.Errorf("sync: %+v", r)
		}
		if r := c.invoke("custom", strings.Repeat("x", 128<<10+1), "type", "Async"); r.status != 400 || r.code != "EntityTooLarge" {
			t.Errorf("async: %+v", r)
		}
	})
	st := c.Stats()["custom"]
	if st.FunctionErrors != 3 || st.ColdStarts < 2 || st.Billed <= 0 || st.Invocations < 6 {
		t.Errorf("stats %+v", st)
	}
}

func TestInitializerFailure(t *testing.T) {
	t.Parallel()
	broken := func(f *fc.Function) {
		f.Environment["FC_TEST_VALUE"] = "uninitialized"
		f.Initializer = &serverless.Hook{Handler: "h", Timeout: 3 * time.Second}
	}
	c := start(t, fc.Options{Functions: []fc.Function{custom("custom", broken), go1("go1", broken)}})
	for _, name := range []string{"custom", "go1"} {
		if r := c.invoke(name, "x"); r.status != 200 || r.errType != "FunctionInitializeError" || !strings.Contains(r.body, "no table") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestCrashFailsOnlyItsInvocations(t *testing.T) {
	t.Parallel()
	c := start(t, fc.Options{Functions: []fc.Function{custom("f"), custom("g")}, Limits: fc.Limits{Instances: 1}})
	first := c.invoke("f", event(task{Do: "who"})).answer(t)
	c.invoke("g", "x")
	var wg sync.WaitGroup
	results := make([]result, 5)
	for i := range results {
		wg.Go(func() { results[i] = c.invoke("f", event(task{Do: "hang"})) })
	}
	poll(t, "all are running", func() bool { return c.invoke("f", event(task{Do: "who"})).answer(t).Running == 6 })
	other := make(chan result)
	go func() { other <- c.invoke("g", event(task{Do: "sleep", MS: 100})) }()
	if !c.KillInstance("f") {
		t.Fatal("no instance to kill")
	}
	wg.Wait()
	for _, r := range results {
		if r.status != 200 || r.errType == "" || !strings.Contains(r.body, "Process exited unexpectedly") {
			t.Errorf("got %+v", r)
		}
	}
	if r := <-other; r.errType != "" {
		t.Errorf("the other function: %+v", r)
	}
	if a := c.invoke("f", event(task{Do: "who"})).answer(t); a.PID == first.PID || a.Running != 1 {
		t.Errorf("not replaced: %+v", a)
	}
}

func TestScaling(t *testing.T) {
	t.Parallel()
	clock := &manualClock{}
	long := func(f *fc.Function) { f.Timeout = 20 * time.Second }
	c := start(t, fc.Options{Clock: clock, Limits: fc.Limits{Instances: 3, QueueWait: 20 * time.Second}, Functions: []fc.Function{
		go1("go1", long), custom("two", long, func(f *fc.Function) { f.ReservedConcurrency, f.InstanceConcurrency = 2, 2 })}})
	// meet runs callers whose functions wait for each other, so it ends only when all run at a time.
	meet := func(function string, callers int) (pids map[int]int, most int) {
		pids = make(map[int]int)
		file := filepath.Join(t.TempDir(), "met")
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				a := c.invoke(function, event(task{Do: "meet", MS: callers, File: file})).answer(t)
				mu.Lock()
				defer mu.Unlock()
				pids[a.PID]++
				most = max(most, a.Running)
			})
		}
		wg.Wait()
		return pids, most
	}
	if pids, most := meet("go1", 3); len(pids) != 3 || most != 1 {
		t.Errorf("go1: instances %v, at most %d at a time", pids, most)
	}
	if pids, most := meet("two", 4); len(pids) != 2 || most != 2 {
		t.Errorf("concurrency 2: instances %v, at most %d at a time", pids, most)
	}
	old := c.Processes()
	if len(old["go1"]) != 3 || len(old["two"]) != 2 {
		t.Errorf("processes %v", old)
	}
	clock.advance(6 * time.Minute)
	poll(t, "idle instances have stopped", func() bool { return len(c.Processes()) == 0 })
	for _, pid := range append(old["go1"], old["two"]...) {
		if processExists(pid) {
			t.Errorf("process %d runs", pid)
		}
	}
}

func TestThrottling(t *testing.T) {
	t.Parallel()
	c := start(t, fc.Options{Functions: []fc.Function{go1("f")}, Limits: fc.Limits{Instances: 1, QueueLength: 1, QueueWait: 50 * time.Millisecond}})
	c.invoke("f", "x")
	file := filepath.Join(t.TempDir(), "met")
	first := make(chan result)
	go func() { first <- c.invoke("f", event(task{Do: "meet", MS: 2, File: file})) }()
	poll(t, "the only instance is busy", func() bool { return fileSize(file) == 1 })
	results := make(chan result)
	for range 2 { // one waits in vain, the other finds the queue full or waits after it
		go func() { results <- c.invoke("f", "x") }()
	}
	for range 2 {
		if r := <-results; r.status != 429 || r.code != "ResourceExhausted" {
			t.Errorf("got %+v", r)
		}
	}
	if err := os.WriteFile(file, []byte("\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := <-first; r.errType != "" {
		t.Errorf("the first: %+v", r)
	}
	if st := c.Stats()["f"]; st.Throttled != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	c := start(t, fc.Options{Functions: []fc.Function{custom("f", func(f *fc.Function) { f.MemoryMB = 128 })}, Limits: fc.Limits{MemoryCheck: 20 * time.Millisecond}})
	r := c.invoke("f", event(task{Do: "allocate", MS: 300}))
	if r.errType != "UnhandledInvocationError" || !strings.Contains(r.body, "Process exited unexpectedly") || *r.header["x-fc-max-memory-usage"] < "1" {
		t.Errorf("got %+v", r)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	c := start(t, fc.Options{Functions: []fc.Function{custom("f"), custom("g")}})
	first := c.invoke("f", event(task{Do: "who"})).answer(t)
	c.SetFaults(fc.Faults{Throttle: 1, Functions: []string{"f"}})
	if r := c.invoke("f", "x"); r.status != 429 || r.code != "ResourceExhausted" {
		t.Errorf("throttle: %+v", r)
	}
	if r := c.invoke("g", "x"); r.body != "x" {
		t.Errorf("other function: %+v", r)
	}
	c.SetFaults(fc.Faults{Fail: 1})
	if r := c.invoke("f", "x"); r.status != 503 {
		t.Errorf("fail: %+v", r)
	}
	file := t.TempDir() + "/ran"
	c.SetFaults(fc.Faults{LoseResponse: 1})
	if r, err := invoke(c.client, "f", event(task{Do: "append", File: file})); err == nil {
		t.Errorf("lost response: %+v", r)
	}
	if n := fileSize(file); n == 0 {
		t.Error("lost response: the work was not done")
	}
	c.SetFaults(fc.Faults{Delay: 30 * time.Millisecond})
	begin := time.Now()
	c.invoke("f", "x")
	if d := time.Since(begin); d < 30*time.Millisecond {
		t.Errorf("delay: %s", d)
	}
	c.SetFaults(fc.Faults{CrashEvery: map[string]time.Duration{"f": 20 * time.Millisecond}})
	poll(t, "an instance crashes", func() bool {
		for _, pid := range c.Processes()["f"] {
			if pid == first.PID {
				return false
			}
		}
		return true
	})
	c.SetFaults(fc.Faults{})
	poll(t, "the function runs again", func() bool { return c.invoke("f", "x").body == "x" })
}
