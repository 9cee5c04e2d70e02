package fc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// An instance is one process of a function.
type instance struct {
	id   string
	fn   *function
	out  *output
	peak atomic.Int64 // bytes of resident memory seen at most
	why  atomic.Pointer[string]

	proc atomic.Pointer[process] // nil when no process has started

	// Set by start, read-only afterwards.
	port   int         // custom runtimes
	custom *customPort // custom runtimes
	api    *runtimeAPI // go1

	// Guarded by fn.mu.
	inflight  int
	starting  bool
	busySince time.Time // real time: billed
	idleSince time.Time // by the clock

	stopOnce sync.Once
}

func newInstance(f *function) *instance {
	inst := &instance{id: newInstanceID(f.s.opt.Clock.Now()), fn: f}
	out := &output{sink: f.s.opt.Logs, log: f.s.log, now: f.s.opt.Clock.Now}
	out.dest.project, out.dest.logstore = f.Log.Project, f.Log.Logstore
	out.dest.topic, out.dest.source = "FCLogs:"+f.Name, inst.id
	out.base = []LogField{{"functionName", f.Name}, {"qualifier", "LATEST"}, {"versionId", "LATEST"}, {"instanceID", inst.id}}
	inst.out = out
	return inst
}

// take occupies a slot. fn.mu is held.
func (i *instance) take() {
	if i.inflight == 0 {
		i.busySince = time.Now()
	}
	i.inflight++
}

// gone tells whether there is no process any more.
func (i *instance) gone() bool {
	p := i.proc.Load()
	if p == nil {
		return true
	}
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// start runs the process until it takes invocations. On an error the caller must still stop it.
func (i *instance) start() *apiError {
	f := i.fn
	f.counters.coldStarts.Add(1)
	begin := time.Now()
	if d := f.s.faultsFor(f.Name).ColdStart; d > 0 {
		f.s.pause(d)
	}
	path, err := i.executable()
	if err != nil {
		return errNotStarted(err.Error(), nil)
	}
	f.setChecksum(path)
	for attempt := 0; ; attempt++ {
		err = i.launch(path)
		if err == nil {
			break
		}
		// The port was free a moment ago; another process may have taken it.
		if attempt < 3 && strings.Contains(string(i.out.last()), "address already in use") {
			i.halt()
			continue
		}
		f.s.log.Warn("instance not started", "function", f.Name, "instance", i.id, "error", err, "log", string(i.out.last()))
		return errNotStarted(err.Error(), i.out.last())
	}
	if e := i.initialize(); e != nil {
		return e
	}
	i.watchMemory()
	f.s.log.Debug("instance started", "function", f.Name, "instance", i.id, "pid", i.proc.Load().pid, "latency_ms", time.Since(begin).Milliseconds())
	return nil
}

// launch starts the process and waits until it listens or polls.
func (i *instance) launch(path string) error {
	f := i.fn
	c := command{path: path, args: f.Args, dir: f.CodeDir}
	if f.Custom() {
		if len(f.Command) > 1 {
			c.args = append(append([]string(nil), f.Command[1:]...), f.Args...)
		}
		c.args = i.mapCode(c.args)
		port, err := f.s.ports.take()
		if err != nil {
			return err
		}
		i.port = port
		i.custom = newCustomPort(i)
	} else {
		api, err := newRuntimeAPI(i)
		if err != nil {
			return fmt.Errorf("runtime API: %w", err)
		}
		i.api = api
	}
	c.env = i.environment()
	proc, err := f.s.starter.start(c, i.out)
	if err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(path), err)
	}
	i.proc.Store(proc)
	defer func() {
		if i.gone() {
			<-proc.done // its last words belong to the error
		}
	}()
	if f.s.closing.Load() {
		killGroup(proc.pid) // whoever closes the server did not see this process
	}
	limit := time.NewTimer(f.s.opt.Limits.StartTimeout)
	defer limit.Stop()
	if i.api != nil {
		select {
		case <-i.api.polled:
			return nil
		case <-proc.exited:
			return fmt.Errorf("the process exited before it asked for work (%s)", exitText(proc.err))
		case <-limit.C:
			return fmt.Errorf("the process did not ask for work within %s", f.s.opt.Limits.StartTimeout)
		}
	}
	return i.waitListening(proc, limit.C)
}

// waitListening dials until the function accepts.
func (i *instance) waitListening(proc *process, limit <-chan time.Time) error {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(i.port))
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			// A connection that came to itself (the port is in the ephemeral range) is not the function.
			self := c.LocalAddr().String() == c.RemoteAddr().String()
			c.Close()
			if !self && !i.gone() {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-proc.exited:
			return fmt.Errorf("the process exited before it listened on port %d (%s)", i.port, exitText(proc.err))
		case <-limit:
			return fmt.Errorf("the process does not listen on 0.0.0.0:%d (FC_CUSTOM_LISTEN_PORT) after %s", i.port, i.fn.s.opt.Limits.StartTimeout)
		}
	}
}

// executable finds the file to run. The cloud mounts the code directory at /code; for go1 the handler names
// the binary in it.
func (i *instance) executable() (string, error) {
	f := i.fn
	path := filepath.Join(f.CodeDir, f.Handler)
	if f.Custom() {
		path = i.mapCode(f.Command[:1])[0]
		if !filepath.IsAbs(path) {
			path = filepath.Join(f.CodeDir, path)
		}
	}
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && !f.Custom():
		return "", fmt.Errorf("the code has no file %s: the handler of runtime go1 names the executable", f.Handler)
	case err != nil:
		return "", err
	case st.IsDir() || st.Mode()&0o111 == 0:
		return "", fmt.Errorf("%s is not executable", path)
	}
	return path, nil
}

// mapCode replaces the mount point /code by the code directory.
func (i *instance) mapCode(args []string) []string {
	out := make([]string, len(args))
	for n, a := range args {
		if rest, ok := strings.CutPrefix(a, "/code/"); ok {
			a = filepath.Join(i.fn.CodeDir, rest)
		} else if a == "/code" {
			a = i.fn.CodeDir
		}
		out[n] = a
	}
	return out
}

// stop ends the process: the preStop hook, SIGTERM, a grace, SIGKILL. It returns when everything of the
// instance has ended.
func (i *instance) stop() {
	i.stopOnce.Do(func() {
		if p := i.proc.Load(); !i.gone() && i.why.Load() == nil {
			i.preStop()
			terminate(p.pid)
			grace := time.NewTimer(i.fn.s.opt.Limits.StopGrace)
			select {
			case <-p.exited:
			case <-grace.C:
				i.fn.s.log.Warn("instance did not stop in time", "function", i.fn.Name, "instance", i.id)
			case <-i.fn.s.hurry:
			}
			grace.Stop()
		}
		i.halt()
	})
}

// halt ends the process at once and frees what belongs to it.
func (i *instance) halt() {
	if p := i.proc.Load(); p != nil {
		killGroup(p.pid)
		<-p.done
	}
	if i.custom != nil {
		i.custom.close()
		i.fn.s.ports.free(i.port)
	}
	if i.api != nil {
		i.api.close()
	}
}

// kill ends the process because of why; invocations in it fail.
func (i *instance) kill(why string) {
	if p := i.proc.Load(); p != nil {
		i.why.CompareAndSwap(nil, &why)
		killGroup(p.pid)
	}
}

// watchMemory notes the resident memory and kills an instance that has more than memorySize.
func (i *instance) watchMemory() {
	if i.gone() {
		return
	}
	rss := residentBytes(i.proc.Load().pid)
	if rss > i.peak.Load() {
		i.peak.Store(rss)
	}
	if limit := int64(i.fn.MemoryMB) << 20; rss > limit {
		i.fn.s.log.Warn("instance out of memory", "function", i.fn.Name, "instance", i.id, "resident_mb", rss>>20, "limit_mb", i.fn.MemoryMB)
		i.kill("out of memory")
	}
}

func (i *instance) peakMB() float64 { return float64(i.peak.Load()) / (1 << 20) }

func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}
