package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"relink/localstack/fc"
	"relink/localstack/oss"
	"relink/localstack/serverless"
	"relink/localstack/sls"
	"relink/localstack/tablestore"
)

// The time that stopping may take: the connector drains, then the functions end. Together less than five seconds.
const (
	connectorGrace = 3 * time.Second
	functionGrace  = time.Second
)

// A stack is one running system.
type stack struct {
	conf  configuration
	out   io.Writer
	log   *slog.Logger
	begun time.Time

	root, bin, data string // absolute
	addresses       addresses
	keys            keys
	certificates    certificates
	env             envFile
	starter         *starter
	functions       []serverless.Function

	fc         *fc.Server
	tablestore *tablestore.Server
	oss        *oss.Server
	sls        *sls.Server
	connector  *supervisor
	closers    []func() // in the order of starting
}

func newStack(c configuration, out io.Writer, log *slog.Logger) *stack {
	return &stack{
		conf: c, out: out, log: log, begun: time.Now(), addresses: addresses{host: c.host, offset: c.offset}, starter: newStarter(),
		env: envFile{path: c.envFile},
	}
}

// run starts everything, says so, and serves until ctx ends or a part fails.
func (s *stack) run(ctx context.Context) (err error) {
	defer func() {
		for i := len(s.closers) - 1; i >= 0; i-- {
			s.closers[i]()
		}
		if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
			err = nil // we were asked to stop
		}
	}()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	group, ctx2 := errgroup.WithContext(ctx)
	if err := s.startEmulators(group); err != nil {
		return err
	}
	serving, stopServing := context.WithCancel(ctx2)
	defer stopServing()
	if err := s.bootstrap(serving); err != nil {
		return err
	}
	if err := s.startConnector(serving, group); err != nil {
		return errors.Join(err, s.stop(stopServing, group))
	}
	d, err := s.demo(serving)
	if err != nil {
		return errors.Join(err, s.stop(stopServing, group))
	}
	if err := s.env.set(clientEnv(s.addresses, s.keys, s.certificates)); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", s.env.path, err), s.stop(stopServing, group))
	}
	s.closers = append(s.closers, func() {
		if err := s.env.remove(); err != nil {
			s.log.Error("remove the env file", "error", err.Error())
		}
	})
	group.Go(func() error { return s.watchProcesses(serving) })
	s.announce(d)
	<-serving.Done()
	return s.stop(stopServing, group)
}

// stop ends the connector, then what is left, and waits for all of it.
func (s *stack) stop(cancel func(), group *errgroup.Group) error {
	cancel()
	err := group.Wait()
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// prepare does what needs no service: directories, keys, s.yaml, ports, the build.
func (s *stack) prepare(ctx context.Context) error {
	var err error
	if s.root, err = filepath.Abs(filepath.Dir(s.conf.file)); err != nil {
		return err
	}
	if _, err := os.Stat(s.conf.file); err != nil {
		return fmt.Errorf("%s is not here: start localstack in the root of the checkout, or name the file with --file", s.conf.file)
	}
	state, err := filepath.Abs(s.conf.state)
	if err != nil {
		return err
	}
	s.bin = filepath.Join(state, "bin")
	if s.conf.ephemeral {
		if s.data, err = os.MkdirTemp("", "relink-"); err != nil {
			return err
		}
		s.closers = append(s.closers, func() {
			if err := os.RemoveAll(s.data); err != nil {
				s.log.Error("remove the temporary directory", "error", err.Error())
			}
		})
	} else if s.data, err = filepath.Abs(s.conf.data); err != nil {
		return err
	}
	for _, dir := range []string{s.bin, s.data, filepath.Dir(s.env.path)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := s.lock(); err != nil {
		return err
	}
	if s.keys, err = loadKeys(s.data); err != nil {
		return err
	}
	if s.certificates, err = loadCertificates(filepath.Join(s.data, "tls"), s.conf.host, time.Now()); err != nil {
		return err
	}
	env := deployEnv(s.addresses, s.keys)
	project, err := serverless.Load(s.conf.file, serverless.Options{
		AccountID: accountID,
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	})
	if err != nil {
		return errors.New(firstComplaint(err.Error(), err))
	}
	s.functions = project.Functions
	if err := s.addresses.free(portMQTT, portMQTTS, portWS, portWSS, portInternal); err != nil {
		return err
	}
	if err := build(ctx, s.root, s.bin, s.functions); err != nil {
		return err
	}
	return codeDirs(filepath.Join(state, "code"), s.bin, s.functions)
}

const accountID = "1000000000000000"

// lock keeps a second localstack out of the data directory.
func (s *stack) lock() error {
	f, err := os.OpenFile(filepath.Join(s.data, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner := make([]byte, 20)
		n, _ := f.Read(owner) // an unreadable owner is not worth another error
		f.Close()
		return fmt.Errorf("another localstack (process %s) runs on %s: stop it, or give this one its own --data and --port-offset", strings.TrimSpace(string(owner[:n])), s.data)
	}
	s.closers = append(s.closers, func() { f.Close() })
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func (s *stack) startEmulators(group *errgroup.Group) error {
	var err error
	logger := func(name string) *slog.Logger { return s.log.With("service", name) }
	closed := func(name string, close func() error) {
		s.closers = append(s.closers, func() {
			if err := close(); err != nil {
				s.log.Error("close "+name, "error", err.Error())
			}
		})
	}
	s.tablestore, err = tablestore.Open(tablestore.Options{
		Dir: filepath.Join(s.data, "tablestore"), AccessKeyID: s.keys.AccessKeyID, AccessKeySecret: s.keys.AccessKeySecret, Logger: logger("tablestore"),
	})
	if err != nil {
		return fmt.Errorf("tablestore: %w", err)
	}
	closed("tablestore", s.tablestore.Close)
	s.oss, err = oss.Open(oss.Options{
		Dir: filepath.Join(s.data, "oss"), AccessKeyID: s.keys.AccessKeyID, AccessKeySecret: s.keys.AccessKeySecret, Logger: logger("oss"),
	})
	if err != nil {
		return fmt.Errorf("oss: %w", err)
	}
	closed("oss", s.oss.Close)
	s.sls, err = sls.Open(sls.Options{
		Dir: filepath.Join(s.data, "sls"), AccessKeyID: s.keys.AccessKeyID, AccessKeySecret: s.keys.AccessKeySecret, Logger: logger("sls"),
	})
	if err != nil {
		return fmt.Errorf("log service: %w", err)
	}
	closed("log service", s.sls.Close)
	s.fc, err = fc.New(fc.Options{
		Functions: s.functions, AccountID: accountID, AccessKeyID: s.keys.AccessKeyID, AccessKeySecret: s.keys.AccessKeySecret,
		Dir: filepath.Join(s.data, "fc"), Logger: logger("fc"), Logs: logSink{s.sls}, Limits: fc.Limits{StopGrace: functionGrace},
	})
	if err != nil {
		return fmt.Errorf("function compute: %w", err)
	}
	closed("function compute", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), functionGrace+500*time.Millisecond)
		defer cancel()
		return s.fc.Close(ctx)
	})
	for _, x := range []struct {
		port    port
		handler http.Handler
	}{
		{portTablestore, s.tablestore}, {portOSS, s.oss}, {portSLS, s.sls}, {portFC, s.fc}, {portControl, s.control()},
	} {
		if err := s.serve(group, x.port, x.handler); err != nil {
			return err
		}
	}
	return s.serveTriggers(group)
}

// serveTriggers gives each HTTP trigger a listener; in the cloud it has a host name of its own. There is one today.
func (s *stack) serveTriggers(group *errgroup.Group) error {
	next := portOpenAPI
	for _, f := range s.functions {
		for _, t := range f.Triggers {
			if t.HTTP == nil {
				continue
			}
			if next.number != portOpenAPI.number {
				next.name = "HTTP trigger of " + f.Name
			}
			if err := s.serve(group, next, s.fc.HTTPTrigger(f.Name)); err != nil {
				return err
			}
			next.number++
		}
	}
	return nil
}

func (s *stack) serve(group *errgroup.Group, p port, h http.Handler) error {
	l, err := s.addresses.listen(p)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelInfo)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("serve "+p.name, "error", err.Error())
		}
	}()
	s.closers = append(s.closers, func() {
		server.Close()
		<-served
	})
	return nil
}

// bootstrap creates tables and logstores from templates/, with the same command as in the cloud.
func (s *stack) bootstrap(ctx context.Context) error {
	_, err := s.relink(ctx, "bootstrap", "--templates", filepath.Join(s.root, "templates"))
	return err
}

// A demo is the part of `relink demo -o json` that is printed.
type demo struct {
	ProductKey    string `json:"productKey"`
	DeviceName    string `json:"deviceName"`
	DeviceSecret  string `json:"deviceSecret"`
	ClientID      string `json:"clientId"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	MosquittoPub  string `json:"mosquittoPub"`
	RelinkCommand string `json:"relinkCommand"`
}

func (s *stack) demo(ctx context.Context) (*demo, error) {
	out, err := s.relink(ctx, "demo", "-o", "json")
	if err != nil {
		return nil, err
	}
	var d demo
	if err := json.Unmarshal(out, &d); err != nil {
		return nil, fmt.Errorf("relink demo: %w", err)
	}
	return &d, nil
}

// relink runs the command line against this system and returns what it prints.
func (s *stack) relink(ctx context.Context, args ...string) ([]byte, error) {
	c := exec.Command(filepath.Join(s.bin, "relink"), append(args, "--env", os.DevNull)...)
	c.Env = append(os.Environ(), clientEnv(s.addresses, s.keys, s.certificates)...)
	c.Env = append(c.Env, "SLS_PROJECT=relink")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := s.starter.start(c); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Process.Kill() })
	defer stop()
	if err := c.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("relink %s: %s", args[0], strings.TrimPrefix(firstComplaint(stderr.String(), err), "relink: "))
	}
	return stdout.Bytes(), nil
}

func (s *stack) startConnector(ctx context.Context, group *errgroup.Group) error {
	env := connectorEnv(s.addresses, s.keys, s.certificates)
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.env.path), "connector.env"), []byte(strings.Join(env, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	recent := newTail(20)
	sink := newLineSink(s.sls, "connector", recent)
	s.connector = &supervisor{
		name: "connector", path: filepath.Join(s.bin, "connector"), env: append(os.Environ(), env...), lines: sink.line, log: s.log, starter: s.starter,
	}
	started := make(chan (<-chan error), 1)
	group.Go(func() error {
		return s.connector.run(ctx, connectorGrace, func(exited <-chan error) { started <- exited })
	})
	var exited <-chan error
	select {
	case exited = <-started:
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.awaitConnector(ctx, exited, recent)
}

// awaitConnector waits until the connector's health endpoint says yes.
func (s *stack) awaitConnector(ctx context.Context, exited <-chan error, recent *tail) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addresses.dial(portInternal)+"/healthz", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-exited:
			return fmt.Errorf("the connector ended at once (%v): %s", err, recent.last())
		case <-ctx.Done():
			return fmt.Errorf("the connector did not become healthy: %s", recent.last())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// watchProcesses keeps RELINK_PIDS true while instances come and go.
func (s *stack) watchProcesses(ctx context.Context) error {
	t := time.NewTicker(250 * time.Millisecond)
	defer t.Stop()
	for {
		if err := s.env.setPIDs(s.pids()); err != nil {
			return fmt.Errorf("write %s: %w", s.env.path, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// pids lists the processes by role: connector=123,localstack=120,fc:property=130.
func (s *stack) pids() string {
	var items []string
	if pid := s.connector.pid(); pid != 0 {
		items = append(items, "connector="+strconv.Itoa(pid))
	}
	items = append(items, "localstack="+strconv.Itoa(os.Getpid()))
	processes := s.fc.Processes()
	for _, f := range s.functions {
		for _, pid := range processes[f.Name] {
			items = append(items, "fc:"+f.Resource+"="+strconv.Itoa(pid))
		}
	}
	return strings.Join(items, ",")
}

// announce prints what a newcomer needs, and last the line that scripts wait for.
func (s *stack) announce(d *demo) {
	a := s.addresses
	p := func(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }
	p("")
	p("  MQTT        %s (TLS and WebSocket on the same port too)", a.bind(portMQTT))
	p("  MQTT/TLS    %s, authority %s", a.bind(portMQTTS), s.relative(s.certificates.ca))
	p("  WebSocket   ws://%s/mqtt, wss://%s/mqtt", a.bind(portWS), a.bind(portWSS))
	p("  OpenAPI     http://%s, access key %s", a.bind(portOpenAPI), s.keys.AccessKeyID)
	p("  Tablestore  http://%s   OSS http://%s", a.bind(portTablestore), a.bind(portOSS))
	p("  SLS         %s   FC  http://%s", a.bind(portSLS), a.bind(portFC))
	p("  all of it   %s (keys included)", s.relative(s.env.path))
	p("")
	p("  demo device")
	p("    product key    %s", d.ProductKey)
	p("    device name    %s", d.DeviceName)
	p("    device secret  %s", d.DeviceSecret)
	p("    client id      %s", d.ClientID)
	p("    user name      %s", d.Username)
	p("    password       %s", d.Password)
	p("")
	p("  post a temperature as the device:")
	p("    %s", d.RelinkCommand)
	p("    %s", d.MosquittoPub)
	p("  read it back:")
	p("    go run ./scripts/relink property get %s %s", d.ProductKey, d.DeviceName)
	p("")
	p("ready in %.1f s; Ctrl-C stops it", time.Since(s.begun).Seconds())
}

// relative shortens a path below the working directory.
func (s *stack) relative(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if r, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(r, "..") {
		return r
	}
	return path
}
