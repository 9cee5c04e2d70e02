package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// A starter starts children from one OS thread that lives as long as the process: on Linux a child dies with the thread that
// started it (process_linux.go), so that a kill -9 of localstack leaves no orphan.
type starter struct {
	jobs chan func()
}

func newStarter() *starter {
	s := &starter{jobs: make(chan func())}
	go func() { // ends with the process, by design
		runtime.LockOSThread()
		for job := range s.jobs {
			job()
		}
	}()
	return s
}

func (s *starter) start(c *exec.Cmd) error {
	dieWithParent(c)
	result := make(chan error)
	s.jobs <- func() { result <- c.Start() }
	return <-result
}

// A supervisor keeps one process running: when it ends by itself it is started again, soon at first, later if it keeps ending.
type supervisor struct {
	name    string
	path    string
	env     []string
	lines   func(line []byte) // each line of its output
	log     *slog.Logger
	starter *starter

	mu  sync.Mutex
	cmd *exec.Cmd // the running one
}

// errExited says that a process ended before it was ready.
var errExited = errors.New("ended")

// run starts the process, calls up once it has started for the first time, and keeps it running until ctx ends; then it is
// told to stop, and after grace it is killed.
func (s *supervisor) run(ctx context.Context, grace time.Duration, up func(exited <-chan error)) error {
	delay := 100 * time.Millisecond
	for first := true; ; first = false {
		begun := time.Now()
		exited, err := s.begin()
		if err != nil {
			return fmt.Errorf("start the %s: %w", s.name, err)
		}
		if first {
			up(exited)
		}
		select {
		case <-ctx.Done():
			return s.end(exited, grace)
		case err := <-exited:
			if ctx.Err() != nil {
				return nil
			}
			s.log.Warn(s.name+" ended; starting it again", "error", fmt.Sprint(err), "delay", delay.String())
		}
		if time.Since(begun) > 10*time.Second {
			delay = 100 * time.Millisecond
		}
		t := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		delay = min(2*delay, 3*time.Second)
	}
}

// begin starts the process; the channel gets its exit error, twice, for up and for run.
func (s *supervisor) begin() (<-chan error, error) {
	c := exec.Command(s.path)
	c.Env = s.env
	r, w := io.Pipe()
	c.Stdout, c.Stderr = w, w
	if err := s.starter.start(c); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.cmd = c
	s.mu.Unlock()
	read := make(chan struct{})
	go func() {
		defer close(read)
		in := bufio.NewReaderSize(r, 64<<10)
		for {
			line, err := in.ReadSlice('\n') // a longer line comes in pieces
			if len(line) > 0 {
				s.lines(line)
			}
			if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
				return
			}
		}
	}()
	exited := make(chan error, 2)
	go func() {
		err := c.Wait()
		w.Close()
		<-read
		if err == nil {
			err = errExited
		}
		s.mu.Lock()
		s.cmd = nil
		s.mu.Unlock()
		exited <- err
		exited <- err
	}()
	return exited, nil
}

func (s *supervisor) end(exited <-chan error, grace time.Duration) error {
	s.signal(os.Interrupt)
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-exited:
	case <-t.C:
		s.signal(os.Kill)
		<-exited
	}
	return nil
}

func (s *supervisor) signal(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(sig) // fails only if it has ended, which the waiter sees
	}
}

// pid of the running process, 0 if none.
func (s *supervisor) pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}
