package fc_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"relink/localstack/fc"
	"relink/localstack/serverless"
)

func TestAsynchronous(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	delivered := make(chan string, 1)
	async := func(attempts int, failure string) func(*fc.Function) {
		return func(f *fc.Function) { f.Async.MaxAttempts, f.Async.OnFailure = attempts, failure }
	}
	c := start(t, fc.Options{
		Functions: []fc.Function{
			custom("f", async(2, "acs:fc:cn-hangzhou:1:functions/dead-letter")), go1("go1"),
			custom("queue", async(0, "acs:mns:cn-hangzhou:1:/queues/q/messages")), custom("dead-letter"),
		},
		Deliver: func(_ context.Context, arn string, payload []byte) error {
			delivered <- arn + " " + string(payload)
			return nil
		},
	})
	for _, name := range []string{"f", "go1"} {
		file := filepath.Join(dir, name)
		r := c.invoke(name, event(task{Do: "append", File: file}), "type", "Async")
		if r.status != 202 || r.body != "" || r.header["x-fc-request-id"] == nil {
			t.Errorf("%s: %+v", name, r)
		}
		poll(t, "the event has run", func() bool { return fileSize(file) == 1 })
	}
	failing := filepath.Join(dir, "failing")
	c.invoke("f", event(task{Do: "append", File: failing, Text: "always fails"}), "type", "Async")
	poll(t, "the event is given up", func() bool { return c.Stats()["f"].AsyncDropped == 1 })
	if b, _ := os.ReadFile(failing); string(b) != "\n1\n2\n" {
		t.Errorf("retry counts %q, want none, 1 and 2", b)
	}
	poll(t, "the dead letter has arrived", func() bool {
		return c.Stats()["dead-letter"].AsyncBacklog == 0 && c.Stats()["dead-letter"].Invocations == 1
	})

	c.invoke("queue", event(task{Do: "error", Text: "to the queue"}), "type", "Async")
	got := <-delivered
	arn, payload, _ := strings.Cut(got, " ")
	var d struct {
		RequestContext struct {
			FunctionArn, Condition string
			ApproximateInvokeCount int
		}
		RequestPayload, ResponsePayload string
	}
	if err := json.Unmarshal([]byte(payload), &d); err != nil {
		t.Fatal(err)
	}
	if arn != "acs:mns:cn-hangzhou:1:/queues/q/messages" || d.RequestContext.Condition != "UnhandledInvocationError" || d.RequestContext.ApproximateInvokeCount != 1 ||
		!strings.Contains(d.RequestPayload, "to the queue") || !strings.Contains(d.ResponsePayload, "to the queue") || !strings.HasSuffix(d.RequestContext.FunctionArn, ":functions/queue") {
		t.Errorf("destination event %s", got)
	}
}

func TestAsynchronousThrottledIsRetried(t *testing.T) {
	t.Parallel()
	c := start(t, fc.Options{Functions: []fc.Function{custom("f")}})
	file := filepath.Join(t.TempDir(), "ran")
	r := c.invoke("f", event(task{Do: "append", File: file}), "type", "Async")
	if r.status != 202 {
		t.Fatalf("got %+v", r)
	}
	c.SetFaults(fc.Faults{Fail: 0.7, LoseResponse: 0.3})
	poll(t, "the event has left the queue", func() bool { return c.Stats()["f"].AsyncBacklog == 0 })
	if fileSize(file) == 0 || c.Stats()["f"].AsyncDropped != 0 {
		t.Errorf("ran %d times, stats %+v", fileSize(file), c.Stats()["f"])
	}
}

func TestAsynchronousSurvivesRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := fc.Options{Dir: filepath.Join(dir, "queue"), Functions: []fc.Function{custom("f")}}
	c := start(t, o)
	c.SetFaults(fc.Faults{Delay: time.Hour}) // of invocations, not of their acceptance
	const events = 20
	file := filepath.Join(dir, "ran")
	for range events {
		if r := c.invoke("f", event(task{Do: "append", File: file}), "type", "Async"); r.status != 202 {
			t.Errorf("got %+v", r)
		}
	}
	c.stop()
	if n := fileSize(file); n != 0 {
		t.Errorf("%d events ran before the restart", n)
	}
	c = start(t, o)
	poll(t, "all events have run", func() bool { return c.Stats()["f"].AsyncBacklog == 0 })
	if n := fileSize(file); n != events {
		t.Errorf("%d runs of %d events", n, events)
	}
}

func TestAsynchronousTooOld(t *testing.T) {
	t.Parallel()
	clock := &manualClock{}
	dir := t.TempDir()
	o := fc.Options{Dir: filepath.Join(dir, "queue"), Clock: clock, Functions: []fc.Function{custom("f", func(f *fc.Function) { f.Async.MaxAge = time.Minute })}}
	c := start(t, o)
	c.SetFaults(fc.Faults{Delay: time.Hour})
	file := filepath.Join(dir, "ran")
	c.invoke("f", event(task{Do: "append", File: file}), "type", "Async")
	c.stop()
	clock.advance(2 * time.Minute)
	c = start(t, o)
	poll(t, "the event is dropped", func() bool { return c.Stats()["f"].AsyncDropped == 1 })
	if fileSize(file) != 0 {
		t.Error("the event has run")
	}
}

func TestTimer(t *testing.T) {
	t.Parallel()
	clock := &manualClock{}
	schedule, err := serverless.ParseSchedule("@every 1h")
	if err != nil {
		t.Fatal(err)
	}
	trigger := func(f *fc.Function) {
		f.Triggers = []serverless.Trigger{
			{Name: "hourly", Type: "timer", Timer: &serverless.TimerTrigger{Schedule: schedule, Enable: true, Payload: event(task{Do: "x"})}},
			{Name: "off", Type: "timer", Timer: &serverless.TimerTrigger{Schedule: schedule}},
		}
	}
	c := start(t, fc.Options{Clock: clock, Functions: []fc.Function{custom("f", trigger)}})
	if n := c.Stats()["f"].Invocations; n != 0 {
		t.Errorf("%d invocations before the time", n)
	}
	clock.advance(time.Hour)
	poll(t, "the timer has fired", func() bool { return c.Stats()["f"].Invocations == 1 && c.Stats()["f"].AsyncBacklog == 0 })
	if st := c.Stats()["f"]; st.FunctionErrors != 0 {
		t.Errorf("stats %+v", st)
	}
}
