package serverless

import (
	"strings"
	"time"
)

// A Function is one fc3 resource after templates, variables and defaults have been applied.
type Function struct {
	Resource    string // key below resources
	Name        string // functionName: unique in account and region
	Description string
	Region      string
	Runtime     string // custom.debian12, custom.debian11, custom.debian10, custom or go1
	Handler     string // for go1 the file name of the executable in CodeDir
	CodeDir     string // directory that the cloud mounts at /code
	Line        int    // of the resource in the file

	CPU                 float64 // vCPU
	MemoryMB            int
	DiskMB              int
	Timeout             time.Duration // whole seconds
	InstanceConcurrency int           // requests at a time in one instance; 1 for built-in runtimes
	ReservedConcurrency int           // most instances at a time; 0 means no limit of its own
	Environment         map[string]string
	Role                string

	Command     []string // custom runtimes; ["/code/bootstrap"] when absent
	Args        []string
	Port        int // customRuntimeConfig.port: where the function listens in the cloud
	HealthCheck string
	Initializer *Hook
	PreStop     *Hook

	Triggers []Trigger
	Async    AsyncInvoke
	Log      Log
}

// Custom tells whether the function is an HTTP server (custom runtime) and not a Runtime API client.
func (f *Function) Custom() bool { return strings.HasPrefix(f.Runtime, "custom") }

// A Hook is an instance lifecycle hook (instanceLifecycleConfig).
type Hook struct {
	Handler string
	Timeout time.Duration
}

// A Trigger is one entry of triggers. Timer is set for type "timer", HTTP for type "http".
type Trigger struct {
	Name      string
	Type      string
	Qualifier string
	Timer     *TimerTrigger
	HTTP      *HTTPTrigger
	Line      int
}

// A TimerTrigger starts asynchronous invocations on a schedule.
type TimerTrigger struct {
	CronExpression string
	Schedule       Schedule
	Enable         bool
	Payload        string
}

// An HTTPTrigger gives the function a URL.
type HTTPTrigger struct {
	AuthType           string   // anonymous, function (signed) or jwt
	Methods            []string // allowed methods
	DisableURLInternet bool
}

// AsyncInvoke is asyncInvokeConfig with its defaults applied.
type AsyncInvoke struct {
	Configured  bool          // asyncInvokeConfig is present
	MaxAttempts int           // retries after a function error, 0–8
	MaxAge      time.Duration // from acceptance to processing
	OnSuccess   string        // destination ARN or empty
	OnFailure   string        // destination ARN or empty
	Task        bool
}

// Log is logConfig: where standard output goes. An empty Project means nowhere.
type Log struct {
	Project        string
	Logstore       string
	RequestMetrics bool // one line per invocation
}
