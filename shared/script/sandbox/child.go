package sandbox

import (
	"bufio"
	"container/list"
	"errors"
	"io"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"
)

// role is the argument that makes a process a child. Every program that can be a parent can be its own child, without a word in its main.
const role = "relink-script-sandbox"

// init never returns in a child.
func init() {
	if len(os.Args) == 4 && os.Args[0] == role {
		os.Exit(child(os.Args[1], os.Args[2], os.Args[3]))
	}
}

// What a child keeps compiled.
const (
	maxPrograms = 64
	maxSources  = 1 << 20 // bytes of source of all of them
)

// headroom is how much data a child may have beyond what it starts with, over twice what a call may use: programs, buffers, garbage.
const headroom = 48 << 20

// child serves the parent until it closes the pipe.
func child(steps, memory, lanes string) int {
	maxSteps, err1 := strconv.ParseInt(steps, 10, 64)
	maxMemory, err2 := strconv.ParseInt(memory, 10, 64)
	if err := errors.Join(err1, err2); err != nil || lanes != "1" {
		return 2
	}
	debug.SetMaxStack(32 << 20)
	debug.SetMemoryLimit(2*maxMemory + headroom/2)
	if err := confine(2*maxMemory + headroom); err != nil {
		os.Stderr.WriteString(err.Error())
		return 2
	}
	requests := make(chan []byte)
	buffers := make(chan []byte, 1)
	buffers <- nil
	go func() { // so that a child whose parent is gone ends even in the middle of a call
		in := bufio.NewReaderSize(os.Stdin, 16<<10)
		for {
			frame, err := readFrame(in, <-buffers)
			if err != nil {
				os.Exit(exitOf(err))
			}
			requests <- frame
		}
	}()
	s := server{engine: newEngine(maxSteps, maxMemory), programs: make(map[string]*list.Element), order: list.New()}
	var out []byte
	for frame := range requests {
		out = s.serve(frame, out)
		buffers <- frame
		if _, err := os.Stdout.Write(out); err != nil {
			return 1
		}
		if cap(out) > 64<<10 {
			out = nil
		}
	}
	return 0
}

func exitOf(err error) int {
	if errors.Is(err, io.EOF) {
		return 0
	}
	return 1
}

// A server answers requests, in the child.
type server struct {
	engine   *engine
	programs map[string]*list.Element // of *compiled
	order    *list.List               // the last used first
	bytes    int
}

type compiled struct {
	id      string
	size    int
	program *goja.Program
	failure *Failure // it does not compile
}

func (s *server) serve(frame, out []byte) []byte {
	f := fields{data: frame}
	function, id, source, topic, input := Function(f.byte()), string(f.next()), string(f.next()), string(f.next()), f.next()
	if f.err() != nil || int(function) >= len(functionNames) {
		return appendAnswer(out, Run{}, &Failure{Kind: Crashed, Message: errFrame.Error()})
	}
	program, failure := s.program(id, source)
	if failure == nil && program == nil {
		return end(appendNumber(appendNumber(appendNumber(appendNumber(appendField(appendField(begin(out), []byte{statusUnknown}), nil), 0), 0), 0), 0))
	}
	var run Run
	if failure == nil && function != load {
		run, failure = s.engine.run(program, function, topic, input)
	}
	return appendAnswer(out, run, failure)
}

// program finds or compiles a script; neither if it has to be sent.
func (s *server) program(id, source string) (*goja.Program, *Failure) {
	if e := s.programs[id]; e != nil {
		s.order.MoveToFront(e)
		c := e.Value.(*compiled)
		return c.program, c.failure
	}
	if source == "" {
		return nil, nil
	}
	c := &compiled{id: id, size: len(source)}
	program, err := compile(source)
	if err != nil {
		c.failure = syntax(err)
	} else {
		c.program = program
	}
	for s.order.Len() > 0 && (s.order.Len() >= maxPrograms || s.bytes+c.size > maxSources) {
		old := s.order.Remove(s.order.Back()).(*compiled)
		delete(s.programs, old.id)
		s.bytes -= old.size
	}
	s.programs[id] = s.order.PushFront(c)
	s.bytes += c.size
	return c.program, c.failure
}

// syntax says why a script does not compile.
func syntax(err error) *Failure {
	f := &Failure{Kind: Exception, Message: cut("SyntaxError: " + err.Error())}
	var no *refused
	var list parser.ErrorList
	var compiler *goja.CompilerSyntaxError
	switch {
	case errors.As(err, &no):
		f.Message, f.Line, f.Column = no.what, no.position.Line, no.position.Column
	case errors.As(err, &list) && len(list) > 0:
		f.Message, f.Line, f.Column = cut("SyntaxError: "+list[0].Message), list[0].Position.Line, list[0].Position.Column
	case errors.As(err, &compiler) && compiler.File != nil:
		p := compiler.File.Position(compiler.Offset)
		f.Message, f.Line, f.Column = cut("SyntaxError: "+compiler.Message), p.Line, p.Column
	}
	return f
}
