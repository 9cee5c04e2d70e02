package fcrun

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/sethvargo/go-envconfig"
)

// config is the environment that fcrun reads. FC_ variables come from the service.
type config struct {
	RuntimeAPI string `env:"FC_RUNTIME_API"`                        // host:port; set by the built-in runtime
	Port       int    `env:"FC_CUSTOM_LISTEN_PORT,default=9000"`    // custom runtime
	Host       string `env:"RELINK_FC_LISTEN_HOST,default=0.0.0.0"` // the cloud reaches instances from outside, so 0.0.0.0 there
	MemoryMB   int64  `env:"FC_FUNCTION_MEMORY_SIZE"`
	Function   string `env:"FC_FUNCTION_NAME"`
	Instance   string `env:"FC_INSTANCE_ID"`

	Timeout    time.Duration `env:"RELINK_FC_TIMEOUT"`             // of a call, if the service's own is not shorter; 0 means none
	InvokeLog  bool          `env:"RELINK_FC_INVOKE_LOG"`          // print "FC Invoke Start/End RequestId": two log lines per call
	Drain      time.Duration `env:"RELINK_FC_DRAIN,default=5s"`    // how long SIGTERM lets calls finish
	LogLevel   slog.Level    `env:"RELINK_LOG_LEVEL,default=INFO"` // DEBUG, INFO, WARN or ERROR
	GCPercent  string        `env:"GOGC"`                          // set: the Go runtime has applied it already
	MemoryGoal string        `env:"GOMEMLIMIT"`                    // likewise
}

func readConfig(ctx context.Context, env envconfig.Lookuper) (config, error) {
	var c config
	if err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: &c, Lookuper: env}); err != nil {
		return c, fmt.Errorf("read environment: %w", err)
	}
	if c.Port < 1 || c.Port > 65535 {
		return c, fmt.Errorf("FC_CUSTOM_LISTEN_PORT %d: want 1 to 65535", c.Port)
	}
	if c.Timeout < 0 || c.Drain < 0 || c.MemoryMB < 0 {
		return c, errors.New("RELINK_FC_TIMEOUT, RELINK_FC_DRAIN and FC_FUNCTION_MEMORY_SIZE must not be negative")
	}
	return c, nil
}

func (c config) addr() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// tune trades memory that is paid for anyway for less garbage collection.
func (c config) tune() {
	if c.GCPercent == "" {
		debug.SetGCPercent(400)
	}
	if c.MemoryGoal == "" && c.MemoryMB > 0 {
		debug.SetMemoryLimit(c.MemoryMB << 20 / 5 * 4)
	}
}
