package fcrun

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/sethvargo/go-envconfig"
)

// Main runs a function until its instance is stopped. setup reads the function's configuration and returns its
// handler; its ctx carries the log (see Logger) and ends with the instance. Main does not return: it exits with status 0
// after SIGTERM, when what was running has finished, and with 1 when setup or the runtime fails, the reason being the
// last line of the log.
//
// Under go1 what is printed to os.Stdout directly is discarded unless RELINK_FC_INVOKE_LOG is set; the log is not.
func Main(setup func(ctx context.Context) (Handler, error)) {
	os.Exit(run(setup))
}

func run(setup func(ctx context.Context) (Handler, error)) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	c, err := readConfig(ctx, envconfig.OsLookuper())
	log := newLogger(os.Stdout, c.LogLevel)
	if err != nil {
		log.Error("function not started", "error", err)
		return 1
	}
	c.tune()
	log = log.With(slog.String("function", c.Function))
	handler, err := setup(context.WithValue(context.WithoutCancel(ctx), loggerKey{}, log))
	if err == nil && handler == nil {
		err = errors.New("setup returned no handler")
	}
	if err != nil {
		log.Error("function not started", "error", err)
		return 1
	}
	s := &server{config: c, handler: handler, log: log, print: os.Stdout}
	if c.RuntimeAPI != "" {
		err = s.poll(ctx)
	} else {
		err = s.listen(ctx)
	}
	if err != nil {
		log.Error("function ended", "error", err)
		return 1
	}
	return 0
}

// listen serves the custom runtime until ctx ends, then lets calls finish. No timeouts are set: the service keeps
// connections open between requests however far apart they are, and it limits the requests itself.
func (s *server) listen(ctx context.Context) error {
	l, err := net.Listen("tcp", s.addr())
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	web := &http.Server{Handler: s, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), s.Drain)
	defer cancel()
	if err := web.Shutdown(drain); err != nil {
		s.log.Warn("calls cut off", "error", err)
		web.Close()
	}
	<-failed // always http.ErrServerClosed now
	return s.close(drain)
}
