package fc_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"relink/localstack/fc"
	"relink/localstack/serverless"
)

func TestCloseIsGraceful(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := &sink{}
	c := start(t, fc.Options{Logs: out, Functions: []fc.Function{custom("f", func(f *fc.Function) {
		f.Environment["FC_TEST_TERM"] = dir
		f.Log = serverless.Log{Project: "p", Logstore: "l"}
		f.PreStop = &serverless.Hook{Handler: "h", Timeout: time.Second}
	}), go1("stuck")}, Limits: fc.Limits{StopGrace: 100 * time.Millisecond}})
	c.invoke("f", "x")
	hung := make(chan result)
	go func() {
		r, _ := invoke(c.client, "stuck", event(task{Do: "hang"}))
		hung <- r
	}()
	poll(t, "both functions run", func() bool { return len(c.Processes()) == 2 })
	c.stop()
	<-hung
	if _, err := os.Stat(filepath.Join(dir, "term")); err != nil {
		t.Error("the function did not see SIGTERM")
	}
	if out.find("pre-stop called") == nil {
		t.Error("the preStop hook was not called")
	}
}

// serveParent is an emulator that waits to be killed. It has accepted an event that it does not run, and prints the
// processes it started.
func serveParent() {
	s, err := fc.New(fc.Options{AccessKeyID: keyID, AccessKeySecret: keySecret, Functions: []fc.Function{custom("f"), go1("g")}, Dir: filepath.Join(os.Getenv("FC_TEST_DIR"), "queue")})
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(l, s)
	c := client(discardTB{}, l.Addr().String(), keySecret)
	var pids []int
	for _, name := range []string{"f", "g"} {
		r, err := invoke(c, name, event(task{Do: "who"}))
		if err != nil {
			panic(err)
		}
		var a answer
		if err := json.Unmarshal([]byte(r.body), &a); err != nil {
			panic(err)
		}
		pids = append(pids, a.PID)
	}
	s.SetFaults(fc.Faults{Delay: time.Hour})
	r, err := invoke(c, "f", event(task{Do: "append", File: filepath.Join(os.Getenv("FC_TEST_DIR"), "ran")}), "type", "Async")
	if err != nil || r.status != http.StatusAccepted {
		panic(fmt.Sprint(r, err))
	}
	fmt.Println(pids[0], pids[1])
	select {}
}

// discardTB lets test code run outside of a test.
type discardTB struct{ testing.TB }

func (discardTB) Helper()           {}
func (discardTB) Cleanup(func())    {}
func (discardTB) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func TestKilledEmulator(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if runtime.GOOS != "linux" {
		t.Log("only Linux ties the life of a child to its parent")
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), "FC_TEST_ROLE=parent", "FC_TEST_DIR="+dir)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var a, b int
	if _, err := fmt.Sscan(line, &a, &b); err != nil || !processExists(a) || !processExists(b) {
		t.Fatalf("processes %q: %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // reports the kill
	poll(t, "the instances have died", func() bool { return !processExists(a) && !processExists(b) })
	start(t, fc.Options{Functions: []fc.Function{custom("f")}, Dir: filepath.Join(dir, "queue")})
	poll(t, "the accepted event has run", func() bool { return fileSize(filepath.Join(dir, "ran")) == 1 })
}

// A client that stalls must not keep the emulator from closing.
func TestCloseWithStalledClient(t *testing.T) {
	t.Parallel()
	c := start(t, fc.Options{Functions: []fc.Function{custom("f")}, Limits: fc.Limits{StopGrace: 50 * time.Millisecond}})
	r := c.signed("whole body", nil, nil)
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 10\r\n", r.URL.RequestURI(), c.addr)
	for k, v := range r.Header {
		fmt.Fprintf(conn, "%s: %s\r\n", k, v[0])
	}
	fmt.Fprint(conn, "\r\nwhole")
	c.invoke("f", "x")
	begin := time.Now()
	c.stop()
	if d := time.Since(begin); d > 3*time.Second {
		t.Errorf("closed after %s", d)
	}
}
