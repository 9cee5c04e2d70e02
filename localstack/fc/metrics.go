package fc

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"
)

// requestMetrics writes the line per invocation that logConfig.enableRequestMetrics asks for. Lines wait in a
// bounded channel; when the sink is slower than the invocations, lines are dropped and counted.
type requestMetrics struct {
	sink    LogSink
	log     *slog.Logger
	now     func() time.Time
	lines   chan metric
	quit    chan struct{} // closed by close
	done    chan struct{} // closed by run
	dropped atomic.Int64
}

type metric struct {
	f    *function
	line LogLine
}

const metricBatch = 512

func newRequestMetrics(o Options) *requestMetrics {
	m := &requestMetrics{sink: o.Logs, log: o.Logger, now: o.Clock.Now, lines: make(chan metric, 8*metricBatch), quit: make(chan struct{}), done: make(chan struct{})}
	go m.run()
	return m
}

func (m *requestMetrics) add(f *function, inv *invocation, out *outcome, e *apiError) {
	if m.sink == nil || !f.Log.RequestMetrics || f.Log.Project == "" {
		return
	}
	kind, status, code := "Sync", "200", out.errorType
	if inv.async {
		kind = "Async"
	}
	if e != nil {
		status, code = strconv.Itoa(e.Status), e.Code
	}
	line := LogLine{Time: m.now(), Fields: []LogField{
		{"functionName", f.Name}, {"qualifier", "LATEST"}, {"versionId", "LATEST"}, {"instanceID", out.inst.id},
		{"requestId", inv.requestID}, {"operation", "InvokeFunction"}, {"invocationType", kind},
		{"durationMs", strconv.FormatFloat(float64(out.duration.Microseconds())/1000, 'f', 2, 64)},
		{"memoryMB", strconv.Itoa(f.MemoryMB)}, {"memoryUsageMB", strconv.FormatFloat(out.memoryMB, 'f', 2, 64)},
		{"statusCode", status}, {"errorType", code},
	}}
	select {
	case m.lines <- metric{f, line}:
	default:
		m.dropped.Add(1)
	}
}

// close writes what is waiting; what is added later is lost.
func (m *requestMetrics) close() {
	close(m.quit)
	<-m.done
}

func (m *requestMetrics) run() {
	defer close(m.done)
	for {
		select {
		case first := <-m.lines:
			m.write(first)
		case <-m.quit:
			for len(m.lines) > 0 {
				m.write(<-m.lines)
			}
			return
		}
	}
}

// write sends a line and those that wait behind it, one Append per function.
func (m *requestMetrics) write(first metric) {
	batches := map[*function][]LogLine{first.f: {first.line}}
	for n := 1; n < metricBatch && len(m.lines) > 0; n++ {
		next := <-m.lines
		batches[next.f] = append(batches[next.f], next.line)
	}
	for f, lines := range batches {
		if err := m.sink.Append(f.Log.Project, f.Log.Logstore, "FCRequestMetrics:"+f.Name, "fc", lines...); err != nil {
			m.log.Error("request metrics lost", "function", f.Name, "lines", len(lines), "error", err)
		}
	}
	if n := m.dropped.Swap(0); n > 0 {
		m.log.LogAttrs(context.Background(), slog.LevelWarn, "request metrics dropped", slog.Int64("lines", n))
	}
}
