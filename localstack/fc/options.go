package fc

import (
	"context"
	"log/slog"
	"time"

	"relink/localstack/serverless"
)

// Function is what s.yaml says about a function.
type Function = serverless.Function

// Options configure a Server. Functions and the key pair are required; the rest has defaults.
type Options struct {
	Functions       []Function
	AccountID       string // default 1000000000000000
	Region          string // default cn-hangzhou
	AccessKeyID     string // of callers, and handed to instances
	AccessKeySecret string

	Dir      string            // asynchronous queue; empty keeps it in memory
	Clock    Clock             // default: the system's
	Logger   *slog.Logger      // default: discard
	Logs     LogSink           // standard output of functions that have a logConfig; nil discards
	ExtraEnv map[string]string // environment of every instance; overrides the function's own
	Limits   Limits

	// Deliver hands the result of an asynchronous invocation to a destination that is not a function (MNS
	// queues and topics). Nil reports such deliveries as failed in the log.
	Deliver func(ctx context.Context, arn string, payload []byte) error
}

// A Clock tells the time that signatures, schedules, retries and idle times are measured with. Deadlines of
// invocations use the system's clock, because processes cannot see this one.
type Clock interface{ Now() time.Time }

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

// A LogSink takes the lines that functions write. Append may block; the function's output then waits in its
// pipe. It must not keep lines after it has returned an error.
type LogSink interface {
	Append(project, logstore, topic, source string, lines ...LogLine) error
}

// A LogLine is one record for the log store.
type LogLine struct {
	Time   time.Time
	Fields []LogField
}

// A LogField is one key and value of a LogLine.
type LogField struct{ Key, Value string }

// Limits bound the emulator. Zero fields take the defaults in parentheses.
type Limits struct {
	Instances    int           // per function, further bounded by reservedConcurrency (4)
	QueueLength  int           // callers that wait for an instance, per function (1024); more get 429
	QueueWait    time.Duration // how long they wait before 429 (10s)
	StartTimeout time.Duration // from process start to the first answer (60s)
	IdleTimeout  time.Duration // after which an unused instance is stopped (5m)
	StopGrace    time.Duration // between SIGTERM and SIGKILL (3s)
	MemoryCheck  time.Duration // period of the look at resident memory (500ms)
	Tick         time.Duration // period of schedules, idle stops and injected crashes (250ms)

	SyncBody          int           // bytes (32 MB)
	AsyncBody         int           // bytes (128 KB)
	AsyncBacklog      int           // waiting events per function (100000); more get 429
	AsyncBacklogBytes int64         // of all functions together (1 GB)
	AsyncRetry        time.Duration // first delay of a retry; doubles up to AsyncRetryMax (500ms)
	AsyncRetryMax     time.Duration // (60s)
	Nonces            int           // remembered signature nonces (1048576)
}

func (l Limits) withDefaults() Limits {
	def(&l.Instances, 4)
	def(&l.QueueLength, 1024)
	def(&l.QueueWait, 10*time.Second)
	def(&l.StartTimeout, 60*time.Second)
	def(&l.IdleTimeout, 5*time.Minute)
	def(&l.StopGrace, 3*time.Second)
	def(&l.MemoryCheck, 500*time.Millisecond)
	def(&l.Tick, 250*time.Millisecond)
	def(&l.SyncBody, 32<<20)
	def(&l.AsyncBody, 128<<10)
	def(&l.AsyncBacklog, 100_000)
	def(&l.AsyncBacklogBytes, 1<<30)
	def(&l.AsyncRetry, 500*time.Millisecond)
	def(&l.AsyncRetryMax, time.Minute)
	def(&l.Nonces, 1<<20)
	return l
}

func def[T int | int64 | time.Duration | string](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
