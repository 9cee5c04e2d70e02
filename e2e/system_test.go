// Package e2e starts the real system on free ports and talks to it with real clients: the official Iot SDK, paho, the
// project's own load generator, raw sockets. What it kills and throttles are real processes.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
)

var (
	root   string // of the checkout
	binary string // localstack
)

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "relink-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if root, err = filepath.Abs(".."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary = filepath.Join(dir, "localstack")
	build := exec.Command("go", "build", "-o", binary, "./localstack")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build localstack: %v\n%s", err, out)
		return 1
	}
	code := m.Run()
	if shared.system != nil {
		shared.system.stop()
	}
	return code
}

// A system is one running localstack.
type system struct {
	cmd    *exec.Cmd
	dir    string // data and env file
	offset int
	env    map[string]string
	extra  []string // of the environment: limits and lives that a test sets
	output *output
	exited chan struct{} // closed once the process has ended
}

// shared is the system that the tests use which break nothing.
var shared struct {
	once   sync.Once
	system *system
	err    error
}

func sharedSystem(t *testing.T) *system {
	t.Helper()
	shared.once.Do(func() {
		dir, err := os.MkdirTemp(filepath.Dir(binary), "shared-")
		if err != nil {
			shared.err = err
			return
		}
		shared.system, shared.err = startSystem(dir, freeOffset())
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.system
}

// ownSystem starts a system for one test, on a data directory that a later restart finds again.
func ownSystem(t *testing.T) *system {
	t.Helper()
	return systemWith(t)
}

// systemWith is a system of one test with variables of its own.
func systemWith(t *testing.T, extra ...string) *system {
	t.Helper()
	s := &system{dir: t.TempDir(), offset: freeOffset(), extra: extra}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// ports are those of a system before its offset: localstack's own, and the second connector's, 100 above.
var ports = []int{1883, 1888, 8080, 8083, 8084, 8443, 8883, 9000, 9001, 9002, 9003, 9004, 9070, 9080, 9081, 9090, 1983, 1988, 8180, 8183, 8184, 8543, 8983, 9170, 9180, 5682, 5684, 5782, 5784}

// taken are the ports that this process has given out. Two offsets can meet in one port: 8083 of one is 8883 of another.
var taken struct {
	sync.Mutex
	ports map[int]bool
}

// freeOffset finds a port offset whose ports nobody holds, and which no other test was given. The greatest port stays below
// those that the kernel gives to outgoing connections.
func freeOffset() int {
	taken.Lock()
	defer taken.Unlock()
	if taken.ports == nil {
		taken.ports = map[int]bool{}
	}
	for {
		offset := 11_000 + rand.IntN(12_000)
		if slices.ContainsFunc(ports, func(p int) bool { return taken.ports[p+offset] || !free(p+offset) }) {
			continue
		}
		for _, p := range ports {
			taken.ports[p+offset] = true
		}
		return offset
	}
}

func free(port int) bool {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	pc, err := net.ListenPacket("udp", address)
	if err != nil {
		_ = l.Close()
		return false
	}
	return l.Close() == nil && pc.Close() == nil
}

// startSystem starts localstack and waits for its ready line.
func startSystem(dir string, offset int) (*system, error) {
	s := &system{dir: dir, offset: offset}
	return s, s.start()
}

func (s *system) start() error {
	s.output = new(output)
	s.exited = make(chan struct{})
	s.cmd = exec.Command(binary, "--data", filepath.Join(s.dir, "data"), "--env-file", filepath.Join(s.dir, "env"), "--port-offset", strconv.Itoa(s.offset), "--verbose")
	s.cmd.Dir = root
	s.cmd.Env = append(os.Environ(), s.extra...)
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(s.exited)
		_ = s.cmd.Wait() // killed on purpose, often
	}()
	for deadline := time.Now().Add(4 * time.Minute); ; {
		if strings.Contains(s.output.String(), "\nready ") {
			break
		}
		select {
		case <-s.exited:
			return fmt.Errorf("localstack ended: %s", s.output)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.stop()
			return fmt.Errorf("localstack is not ready: %s", s.output)
		}
	}
	return s.readEnv()
}

func (s *system) readEnv() error {
	f, err := os.Open(filepath.Join(s.dir, "env"))
	if err != nil {
		return err
	}
	defer f.Close()
	env := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), "="); ok {
			env[k] = v
		}
	}
	s.env = env
	return nil
}

// stop ends the system as a person would, and waits.
func (s *system) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		s.kill()
	}
}

// kill ends the system without a warning.
func (s *system) kill() {
	_ = s.cmd.Process.Kill()
	<-s.exited
}

// pid of a role of RELINK_PIDS, as it is now; 0 if there is none.
func (s *system) pid(t *testing.T, role string) int {
	t.Helper()
	if err := s.readEnv(); err != nil {
		t.Fatal(err)
	}
	for _, item := range strings.Split(s.env["RELINK_PIDS"], ",") {
		if r, p, ok := strings.Cut(item, "="); ok && r == role {
			n, err := strconv.Atoi(p)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// api is the official SDK, pointed at the system.
func (s *system) api(t *testing.T) *iotapi.Client {
	t.Helper()
	return s.apiAs(t, s.env["RELINK_ACCESS_KEY_ID"], s.env["RELINK_ACCESS_KEY_SECRET"])
}

func (s *system) apiAs(t *testing.T, id, secret string) *iotapi.Client {
	t.Helper()
	c, err := iotapi.NewClient(&openapi.Config{
		AccessKeyId: &id, AccessKeySecret: &secret, Endpoint: tea.String(strings.TrimPrefix(s.env["RELINK_OPENAPI_ENDPOINT"], "http://")),
		Protocol: tea.String("HTTP"), HttpClient: sdkTransport{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sdkTransport sends the SDK's requests: its own client is shared by all and written without a lock.
type sdkTransport struct{}

var sdkClient = &http.Client{Timeout: 25 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}

func (sdkTransport) Call(r *http.Request, _ *http.Transport) (*http.Response, error) {
	return sdkClient.Do(r)
}

// relink runs the command line and returns what it prints.
func (s *system) relink(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(root, ".localstack", "bin", "relink"), append(args, "--env", filepath.Join(s.dir, "env"))...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("relink %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String()
}

// faults sets what localstack breaks.
func (s *system) faults(t *testing.T, json string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPut, s.env["LOCALSTACK_CONTROL"]+"/faults", strings.NewReader(json))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("faults %s: %s: %s", json, resp.Status, body)
	}
}

// An output collects what a process prints.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// eventually polls until f is true.
func eventually(t *testing.T, within time.Duration, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}
