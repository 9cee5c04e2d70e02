package fc

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	maxLine   = 32 << 10 // one log line; longer ones are cut into several
	tailBytes = 4 << 10  // what X-Fc-Log-Result returns
)

// output follows the standard output and error of one instance: it keeps the tail and sends lines to the sink.
type output struct {
	sink LogSink
	log  *slog.Logger
	now  func() time.Time
	dest struct{ project, logstore, topic, source string }
	base []LogField // functionName, qualifier, versionId, instanceID

	wg    sync.WaitGroup // the two readers
	pipes [2]*os.File    // written before the readers start

	mu        sync.Mutex // also held while bytes move from a pipe to tail
	requestID string     // of the invocation that runs, when there can be only one
	tail      []byte     // at most 2×tailBytes and one read
}

func (o *output) follow(stdout, stderr *os.File) {
	o.pipes = [2]*os.File{stdout, stderr}
	for _, f := range o.pipes {
		o.wg.Go(func() { o.read(f) })
	}
}

// finish waits for the readers after the process has gone. A grandchild that left the group may hold the
// pipe open, so what has not come within a second is given up.
func (o *output) finish() {
	deadline := time.Now().Add(time.Second)
	for _, f := range o.pipes {
		_ = f.SetReadDeadline(deadline) // pipes support deadlines on every unix
	}
	o.wg.Wait()
	for _, f := range o.pipes {
		f.Close()
	}
}

// read takes what is there in one go, so that a burst of lines becomes one Append.
func (o *output) read(f *os.File) {
	buf := make([]byte, maxLine)
	n := 0
	for {
		m, err := readPipe(f, buf[n:], &o.mu, func(b []byte) {
			o.tail = append(o.tail, b...)
			if len(o.tail) > 2*tailBytes {
				o.tail = append(o.tail[:0], o.tail[len(o.tail)-tailBytes:]...)
			}
		})
		n += m
		if m > 0 {
			n = o.consume(buf, n)
		}
		if err != nil {
			if n > 0 {
				o.emit([]string{string(buf[:n])})
			}
			return
		}
	}
}

// consume handles the complete lines in buf[:n] and moves the rest to the front.
func (o *output) consume(buf []byte, n int) int {
	var lines []string
	rest := buf[:n]
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			if len(rest) < len(buf) {
				break
			}
			lines = append(lines, string(rest)) // a full buffer without an end of line
			rest = nil
			break
		}
		lines = append(lines, string(bytes.TrimSuffix(rest[:i], []byte("\r"))))
		rest = rest[i+1:]
	}
	o.emit(lines)
	return copy(buf, rest)
}

// emit sends lines to the sink.
func (o *output) emit(lines []string) {
	if len(lines) == 0 || o.sink == nil || o.dest.project == "" {
		return
	}
	o.mu.Lock()
	current := o.requestID
	o.mu.Unlock()
	records := make([]LogLine, len(lines))
	now := o.now()
	for i, l := range lines {
		id := requestIDOf(l)
		if id == "" {
			id = current
		}
		fields := make([]LogField, 0, len(o.base)+2)
		fields = append(append(fields, o.base...), LogField{"requestId", id}, LogField{"message", l})
		records[i] = LogLine{Time: now, Fields: fields}
	}
	if err := o.sink.Append(o.dest.project, o.dest.logstore, o.dest.topic, o.dest.source, records...); err != nil {
		o.log.LogAttrs(context.Background(), slog.LevelError, "function log lost", slog.Int("lines", len(lines)), slog.Any("error", err))
	}
}

// requestIDOf finds the request that a line names: a JSON field request_id or requestId, or the start and end
// lines that runtimes print.
func requestIDOf(line string) string {
	for _, mark := range [...]string{`"request_id":"`, `"requestId":"`, `RequestId: `} {
		if _, rest, ok := strings.Cut(line, mark); ok {
			end := 0
			for end < len(rest) && (rest[end] == '-' || rest[end] >= '0' && rest[end] <= '9' || rest[end] >= 'a' && rest[end] <= 'f') {
				end++
			}
			if end == 35 {
				return rest[:end]
			}
		}
	}
	return ""
}

// begin starts the tail of an invocation; used when an instance has one at a time.
func (o *output) begin(requestID string) {
	o.mu.Lock()
	o.requestID = requestID
	o.tail = o.tail[:0]
	o.mu.Unlock()
}

// last returns the tail, after what the process has written already has arrived in it.
func (o *output) last() []byte {
	if o.pipes[0] == nil {
		return nil // no process has started
	}
	for deadline := time.Now().Add(100 * time.Millisecond); time.Now().Before(deadline); time.Sleep(200 * time.Microsecond) {
		o.mu.Lock()
		waiting := unread(o.pipes[0]) + unread(o.pipes[1])
		o.mu.Unlock()
		if waiting == 0 {
			break
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.tail[max(0, len(o.tail)-tailBytes):])
}
