package fcrun

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/sethvargo/go-envconfig"

	"relink/shared/logs"
)

// Main runs a function until its instance is stopped. setup reads the function's configuration and returns its
// handler: a Handler, an http.Handler (a function that has only an HTTP trigger), or something that is both. Its ctx
// carries the log (see Logger) and is never cancelled. Main does not return: it exits with status 0 after SIGTERM, when
// what was running has finished, and with 1 when setup or the runtime fails, the reason being the last line of the log.
//
// Under go1 what is printed to os.Stdout directly is discarded unless RELINK_FC_INVOKE_LOG is set; a log that was made
// before, in setup, is not affected.
func Main[H any](setup func(ctx context.Context) (H, error)) {
	os.Exit(run(func(ctx context.Context) (any, error) { return setup(ctx) }))
}

func run(setup func(ctx context.Context) (any, error)) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	c, err := readConfig(ctx, envconfig.OsLookuper())
	log := newLogger(os.Stdout, c.LogLevel)
	if err != nil {
		log.Error("function not started", logs.Err(err))
		return 1
	}
	c.tune()
	log = log.With(slog.String("function", c.Function))
	handler, err := setup(context.WithValue(context.WithoutCancel(ctx), loggerKey{}, log))
	if err != nil {
		log.Error("function not started", logs.Err(err))
		return 1
	}
	s, err := newServer(c, handler, log, os.Stdout)
	if err != nil {
		log.Error("function not started", logs.Err(err))
		return 1
	}
	if c.RuntimeAPI != "" {
		err = s.poll(ctx)
	} else {
		err = s.listen(ctx)
	}
	if err != nil {
		log.Error("function ended", logs.Err(err))
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
		s.log.Warn("calls cut off", logs.Err(err))
		web.Close()
	}
	<-failed // always http.ErrServerClosed now
	return s.close(drain)
}
