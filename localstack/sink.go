package main

import (
	"strings"
	"sync"
	"time"

	"relink/localstack/fc"
	"relink/localstack/sls"
)

// project is the Log Service project of the local system.
const project = "relink"

// A logSink hands what functions print to the Log Service emulator, as Function Compute does to the real one.
type logSink struct{ sls *sls.Server }

func (s logSink) Append(project, logstore, topic, source string, lines ...fc.LogLine) error {
	logs := make([]sls.Log, len(lines))
	for i, l := range lines {
		fields := make([]sls.Field, len(l.Fields))
		for j, f := range l.Fields {
			fields[j] = sls.Field(f)
		}
		logs[i] = sls.Log{Time: l.Time, Fields: fields}
	}
	return s.sls.Append(project, logstore, topic, source, logs)
}

// A lineSink writes a process's output to a logstore, and keeps its end for error messages.
type lineSink struct {
	sls      *sls.Server
	logstore string
	recent   *tail
}

func newLineSink(s *sls.Server, logstore string, recent *tail) *lineSink {
	return &lineSink{sls: s, logstore: logstore, recent: recent}
}

func (s *lineSink) line(b []byte) {
	text := strings.TrimRight(string(b), "\r\n")
	s.recent.add(text)
	// A line that cannot be logged must not stop the process that wrote it; the tail still has it.
	_ = s.sls.Append(project, s.logstore, s.logstore, "localstack", []sls.Log{{Time: time.Now(), Fields: []sls.Field{{Key: "message", Value: text}}}})
}

// A tail keeps the last lines of a process.
type tail struct {
	mu    sync.Mutex
	lines []string
	size  int
}

func newTail(size int) *tail { return &tail{size: size} }

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	if len(t.lines) > t.size {
		t.lines = t.lines[1:]
	}
}

// last is the last line that says anything.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := len(t.lines) - 1; i >= 0; i-- {
		if strings.TrimSpace(t.lines[i]) != "" {
			return t.lines[i]
		}
	}
	return "it printed nothing"
}
