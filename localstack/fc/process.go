package fc

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

// A process is one running instance. exited is closed once it has been reaped, done once its last output has been
// read as well.
type process struct {
	cmd    *exec.Cmd
	pid    int
	exited chan struct{}
	done   chan struct{}
	err    error // of Wait; valid once exited is closed
}

// command says what to run.
type command struct {
	path string
	args []string
	dir  string
	env  []string
}

// starter starts every process from one thread. The kernel kills a process with a parent-death signal when
// the thread that forked it ends, so that thread must live as long as the server.
type starter struct {
	requests chan func()
	done     chan struct{}
}

func newStarter() *starter {
	s := &starter{requests: make(chan func()), done: make(chan struct{})}
	go s.run()
	return s
}

// run never unlocks its thread: when it returns the thread ends, and with it whatever it started.
func (s *starter) run() {
	defer close(s.done)
	runtime.LockOSThread()
	for f := range s.requests {
		f()
	}
}

// close waits for the thread. No start may be under way.
func (s *starter) close() {
	close(s.requests)
	<-s.done
}

// start runs a command in its own process group with its output going to out. The goroutine that reaps the
// process ends with it; wait for done.
func (s *starter) start(c command, out *output) (*process, error) {
	stdout, stdoutW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	stderr, stderrW, err := os.Pipe()
	if err != nil {
		stdout.Close()
		stdoutW.Close()
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	cmd := &exec.Cmd{Path: c.path, Args: append([]string{c.path}, c.args...), Dir: c.dir, Env: c.env, Stdout: stdoutW, Stderr: stderrW}
	cmd.SysProcAttr = ownGroup()
	started := make(chan error)
	s.requests <- func() { started <- cmd.Start() }
	err = <-started
	stdoutW.Close()
	stderrW.Close()
	if err != nil {
		stdout.Close()
		stderr.Close()
		return nil, err
	}
	p := &process{cmd: cmd, pid: cmd.Process.Pid, exited: make(chan struct{}), done: make(chan struct{})}
	out.follow(stdout, stderr)
	go p.reap(out)
	return p, nil
}

// reap waits for the process, ends what is left of its group, and then for its last output.
func (p *process) reap(out *output) {
	p.err = p.cmd.Wait()
	close(p.exited)
	killGroup(p.pid)
	out.finish()
	close(p.done)
}
