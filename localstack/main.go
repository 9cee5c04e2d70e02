// Command localstack starts the whole platform on one machine: emulators of Function Compute, Tablestore, OSS, Log Service and MNS
// that speak the services' own protocols and verify their signatures, the functions that s.yaml names, and one connector. The
// application's own binaries run in it, through the official SDKs; only endpoints and keys differ from the cloud.
//
// It is also the single-node mode for a small fleet: what was acknowledged survives a kill -9.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"
)

// A configuration is what the flags say.
type configuration struct {
	file      string // s.yaml
	state     string // directory of binaries and of the env file's default
	data      string
	ephemeral bool
	envFile   string
	host      string
	offset    int
	verbose   bool
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	c, err := parseFlags(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "localstack: "+err.Error())
		return 1
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // the emulators' live heap is small; the collector would run too often
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx = withParent(ctx)
	level := slog.LevelError
	if c.verbose {
		level = slog.LevelInfo
	}
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	if err := newStack(c, stdout, logger).run(ctx); err != nil {
		fmt.Fprintln(stderr, "localstack: "+err.Error())
		return 1
	}
	return 0
}

func parseFlags(args []string, stderr io.Writer) (configuration, error) {
	c := configuration{state: ".localstack"}
	f := flag.NewFlagSet("localstack", flag.ContinueOnError)
	f.SetOutput(io.Discard) // errors are printed by run, in one line
	f.StringVar(&c.file, "file", "s.yaml", "deployment description that names the functions")
	f.StringVar(&c.data, "data", filepath.Join(c.state, "data"), "directory that keeps all state")
	f.BoolVar(&c.ephemeral, "ephemeral", false, "keep state in a temporary directory that is removed at the end")
	f.StringVar(&c.envFile, "env-file", filepath.Join(c.state, "env"), "where to write the addresses and keys for clients; if a running localstack has it, the data directory")
	f.StringVar(&c.host, "host", "127.0.0.1", "address that devices and applications may connect to; 0.0.0.0 for all")
	f.IntVar(&c.offset, "port-offset", 0, "added to every port, so that several can run side by side")
	f.BoolVar(&c.verbose, "verbose", false, "print what the emulators log")
	f.Usage = func() {}
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, "Usage: go run ./localstack [flags]\n\nStarts the whole platform on this machine. Flags:\n")
		f.SetOutput(stderr)
		f.PrintDefaults()
		return c, err
	}
	switch {
	case err != nil:
		return c, err
	case f.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q: flags begin with -", f.Arg(0))
	case c.data == "" || c.envFile == "" || c.file == "":
		return c, errors.New("--data, --env-file and --file may not be empty")
	case c.offset < 0 || c.offset > 55_000:
		return c, fmt.Errorf("--port-offset %d is not between 0 and 55000", c.offset)
	case net.ParseIP(c.host) == nil && c.host != "localhost":
		return c, fmt.Errorf("--host %q is not an IP address", c.host)
	}
	set := map[string]bool{}
	f.Visit(func(fl *flag.Flag) { set[fl.Name] = true })
	if c.ephemeral && set["data"] {
		return c, errors.New("--ephemeral and --data exclude each other")
	}
	return c, nil
}

// withParent ends the context when the process that started this one is gone: `go run` does not pass SIGTERM on.
func withParent(ctx context.Context) context.Context {
	parent := os.Getppid()
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", parent))
	if err != nil || string(name) != "go\n" {
		return ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() { // ends with the process, or cancels
		defer cancel()
		for os.Getppid() == parent && ctx.Err() == nil {
			time.Sleep(200 * time.Millisecond)
		}
	}()
	return ctx
}
