package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What stops localstack from starting is said in one line that names what and where, with exit status 1, and nothing is left
// running.
func TestStartFailures(t *testing.T) {
	t.Parallel()
	offset := freeOffset()
	busy, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(9001+offset)))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	broken := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(broken, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(filepath.Join(root, "s.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	smallTree(t, broken, good)
	for _, c := range []struct {
		name string
		args []string
		prep func()
		want []string
	}{
		{"port_in_use", nil, nil, []string{strconv.Itoa(9001 + offset), "Tablestore", "in use", "--port-offset"}},
		{"bad_flag", []string{"--no-such-flag"}, nil, []string{"no-such-flag"}},
		{"bad_value", []string{"--port-offset", "-5"}, nil, []string{"--port-offset", "-5"}},
		{"stray_argument", []string{"start"}, nil, []string{`"start"`}},
		{"missing_description", []string{"--file", "nowhere.yaml"}, nil, []string{"nowhere.yaml"}},
		{"broken_yaml", nil, func() { write("s.yaml", "edition: 3.0.0\nresources:\n  auth: [\n") }, []string{"s.yaml:"}},
		{"wrong_prop", nil, func() {
			write("s.yaml", strings.Replace(string(good), "diskSize: 512", "diskSize: 513", 1))
		}, []string{"s.yaml:", "diskSize"}},
		{"function_does_not_compile", nil, func() {
			write("s.yaml", string(good))
			write("functions/command/broken.go", "package main\n\nvar x int = \"no\"\n")
		}, []string{"functions/command/broken.go:3", "build"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.prep != nil {
				c.prep()
			}
			dir := broken
			args := append([]string{"--data", filepath.Join(dir, "data"), "--env-file", filepath.Join(dir, "env")}, c.args...)
			if c.name != "bad_value" {
				args = append([]string{"--port-offset", strconv.Itoa(offset)}, args...)
			}
			cmd := exec.Command(binary, args...)
			cmd.Dir = dir
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			err := cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("exit status %d (%v), want 1", code, err)
			}
			line := strings.TrimSuffix(stderr.String(), "\n")
			if strings.Contains(line, "\n") || line == "" || stdout.Len() > 0 {
				t.Errorf("want one line, got stderr %q and stdout %q", stderr.String(), stdout.String())
			}
			for _, w := range c.want {
				if !strings.Contains(line, w) {
					t.Errorf("%q does not say %q", line, w)
				}
			}
			if err := syscall.Kill(-cmd.Process.Pid, 0); err == nil {
				t.Error("something of the process group is left running")
			}
		})
	}
}

// smallTree is a checkout with one function and nothing behind it, so that a test can break it and the build is quick.
func smallTree(t *testing.T, to string, description []byte) {
	t.Helper()
	const program = "package main\n\nfunc main() {}\n"
	files := map[string]string{
		"go.mod": "module relink\n\ngo 1.26\n", "s.yaml": string(description), "connector/main.go": program, "scripts/relink/main.go": program,
	}
	mains, err := filepath.Glob(filepath.Join(root, "functions", "*", "main.go"))
	if err != nil || len(mains) == 0 {
		t.Fatalf("no functions: %v", err)
	}
	for _, path := range mains {
		files["functions/"+filepath.Base(filepath.Dir(path))+"/main.go"] = program
	}
	for path, text := range files {
		path = filepath.Join(to, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Everything that was there before a stop is there after the next start, and a stop takes less than five seconds and leaves
// no process.
func TestRestartKeepsEverything(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	d := newDevice(t, api, pk, "keeper")
	l := connect(t, d, lampOptions(d, "tcp://"+s.env["RELINK_MQTT"], nil))
	l.post(t, l.sys("thing/event/property/post"), `{"id":"1","params":{"temperature":19.25}}`)
	key := s.env["RELINK_ACCESS_KEY_ID"]
	var pids []int
	for _, item := range strings.Split(s.env["RELINK_PIDS"], ",") {
		if _, p, ok := strings.Cut(item, "="); ok {
			n, err := strconv.Atoi(p)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, n)
		}
	}
	begun := time.Now()
	s.stop()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d after SIGTERM, want 0: %s", code, s.output)
	}
	for _, pid := range pids {
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("process %d is left running", pid)
		}
	}
	begun = time.Now()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Logf("warm start in %s", time.Since(begun).Round(10*time.Millisecond))
	if s.env["RELINK_ACCESS_KEY_ID"] != key {
		t.Error("the access key changed")
	}
	if out := s.relink(t, "property", "get", pk, "keeper", "temperature"); !strings.Contains(out, "19.25") {
		t.Errorf("after the restart: %s", out)
	}
	if out := s.relink(t, "device", "show", pk, "keeper"); !strings.Contains(out, d.DeviceSecret) {
		t.Errorf("after the restart: %s", fmt.Sprint(out))
	}
}
