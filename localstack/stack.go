package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"relink/localstack/fc"
	"relink/localstack/mns"
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
	mns        *mns.Server
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
	if err := os.MkdirAll(s.bin, 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		return err
	}
	if err := s.lock(); err != nil {
		return err
	}
	if err := s.env.place(s.data); err != nil {
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
	for _, name := range s.addresses.movable(portHTTP, portHTTPS) {
		fmt.Fprintf(s.out, "  the usual port for %s is in use; it is on another one\n", name)
	}
	if err := s.addresses.free(portHTTP, portHTTPS, portMQTT, portMQTTS, portWS, portWSS, portOpenAPI, portDownload, portInternal); err != nil {
		return err
	}
	if err := s.addresses.freePackets(portCoAP, portCoAPS); err != nil {
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
