package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	watchEvery = 20 * time.Millisecond // how often a child that does not answer is looked at
	loadCPU    = 1 * time.Second       // for compiling a script, and for a child that starts
	stallFor   = 15 * time.Second      // without an answer and without CPU time: something is wrong with the machine
	retireCPU  = 5 * time.Minute       // of a child's life
)

// A worker is a child, seen from the parent. It does one call at a time.
type worker struct {
	cmd    *exec.Cmd
	in     *os.File // its standard input
	out    *os.File // its standard output
	last   *tail    // what it said on standard error
	limits Limits
	buffer []byte
	frame  []byte
	dead   bool
	used   bool // it has answered before
}

// childEnv is all that a child's environment says: how its runtime is to behave.
var childEnv = []string{"GOMAXPROCS=1", "GOTRACEBACK=none", "GOGC=400"}

func start(l Limits) (*worker, error) {
	path, err := executable()
	if err != nil {
		return nil, err
	}
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, childIn.Close(), in.Close())
	}
	w := &worker{in: in, out: out, last: new(tail), limits: l}
	w.cmd = &exec.Cmd{
		Path: path, Args: []string{role, strconv.FormatInt(l.Steps, 10), strconv.FormatInt(l.Memory, 10), "1"},
		Env: childEnv, Dir: "/", Stdin: childIn, Stdout: childOut, Stderr: w.last,
	}
	err = w.cmd.Start()
	err = errors.Join(err, childIn.Close(), childOut.Close())
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	return w, nil
}

// call runs one function. Whatever happens to the child is the script's failure; only the end of ctx is not.
func (w *worker) call(ctx context.Context, s Script, f Function, topic string, input []byte) (Run, *Failure, error) {
	for range 2 {
		w.buffer = appendRequest(w.buffer, f, s.ID, "", topic, input)
		run, failure, unknown, err := w.exchange(ctx, w.limits.CPU)
		if err != nil || !unknown {
			return run, failure, err
		}
		// Compiling has a budget of its own.
		w.buffer = appendRequest(w.buffer, load, s.ID, s.Source, "", nil)
		if _, failure, unknown, err = w.exchange(ctx, loadCPU); err != nil || failure != nil || unknown {
			return Run{}, failure, err
		}
	}
	w.dead = true
	return Run{}, &Failure{Kind: Crashed, Message: "the sandbox does not take the script"}, nil
}

// exchange sends what is in the buffer and waits for the answer, for so much CPU time.
func (w *worker) exchange(ctx context.Context, budget time.Duration) (Run, *Failure, bool, error) {
	budget *= slowdown
	if !w.used {
		budget += slowdown * loadCPU // it has to start
	}
	before, alive := cpuTime(w.cmd.Process.Pid)
	started := time.Now()
	done := make(chan struct{})
	var reason Kind
	var ended error
	var watch sync.WaitGroup
	watch.Go(func() { reason, ended = w.watch(ctx, done, before, budget, started) })
	_, err := w.in.Write(w.buffer)
	if err == nil {
		w.frame, err = readFrame(w.out, w.frame)
	}
	close(done)
	watch.Wait()
	if cap(w.buffer) > 256<<10 {
		w.buffer = nil
	}
	if err == nil && alive {
		run, failure, unknown, err := parseAnswer(w.frame)
		if err == nil {
			w.used = true
			return run, failure, unknown, nil
		}
	}
	w.dead = true
	_ = w.cmd.Process.Kill() // what it answers cannot be read, or it is gone
	_ = w.cmd.Wait()         // the reason is in what it said
	if ended != nil {
		return Run{}, nil, false, ended
	}
	return Run{}, w.obituary(reason), false, nil
}

// watch kills the child if it takes too much CPU time, or if ctx ends.
func (w *worker) watch(ctx context.Context, done <-chan struct{}, before, budget time.Duration, started time.Time) (Kind, error) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return 0, nil
		case <-ctx.Done():
			_ = w.cmd.Process.Kill()
			return 0, context.Cause(ctx)
		case <-ticker.C:
			used, ok := cpuTime(w.cmd.Process.Pid)
			if ok && used-before > budget {
				_ = w.cmd.Process.Kill()
				return TooMuchCPU, nil
			}
			if time.Since(started) > stallFor {
				_ = w.cmd.Process.Kill()
				return 0, errors.New("sandbox: no answer, and no CPU time used either")
			}
		}
	}
}

// obituary says why a child is gone.
func (w *worker) obituary(reason Kind) *Failure {
	said := w.last.String()
	switch {
	case reason == TooMuchCPU:
		return &Failure{Kind: TooMuchCPU, Message: fmt.Sprintf("the script took more than %d ms of CPU time", w.limits.CPU.Milliseconds())}
	case strings.Contains(said, "stack exceeds"):
		return &Failure{Kind: TooDeep, Message: "the script's data is nested too deep"}
	case strings.Contains(said, "out of memory"), strings.Contains(said, "cannot allocate memory"), strings.Contains(said, "errno=12"),
		strings.Contains(said, "failed to allocate"), // the race detector
		// The collector does not check everything that the kernel refuses it, and trips over it on its own stack.
		strings.Contains(said, "SIGSEGV") && strings.Contains(said, "\ngoroutine 0 "):
		return &Failure{Kind: TooMuchMemory, Message: errMemory.Error()}
	}

	return &Failure{Kind: Crashed, Message: cut("the script ended its process: " + said)}
}

// spent tells whether the child should do no other call.
func (w *worker) spent() bool {
	if w.dead {
		return true
	}
	used, ok := cpuTime(w.cmd.Process.Pid)
	return !ok || used > retireCPU
}

// stop ends the child.
func (w *worker) stop() {
	_ = w.in.Close()
	_ = w.out.Close()
	if !w.dead {
		_ = w.cmd.Process.Kill()
		_ = w.cmd.Wait()
	}
}

// A tail keeps the beginning of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := 2048 - len(t.b); room > 0 {
		t.b = append(t.b, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
