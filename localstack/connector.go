package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

func (s *stack) startConnector(ctx context.Context, group *errgroup.Group) error {
	env := connectorEnv(s.addresses, s.keys, s.certificates)
	if err := os.WriteFile(s.env.connectorPath(), []byte(strings.Join(env, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	recent := newTail(20)
	sink := newLineSink(s.sls, "connector", recent)
	s.connector = &supervisor{
		name: "connector", path: filepath.Join(s.bin, "connector"), env: append(os.Environ(), env...), lines: sink.line, log: s.log, starter: s.starter,
	}
	started := make(chan (<-chan error), 1)
	group.Go(func() error {
		return s.connector.run(ctx, connectorGrace, func(exited <-chan error) { started <- exited })
	})
	var exited <-chan error
	select {
	case exited = <-started:
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.awaitConnector(ctx, exited, recent)
}

// awaitConnector waits until the connector's health endpoint says yes.
func (s *stack) awaitConnector(parent context.Context, exited <-chan error, recent *tail) error {
	ctx, cancel := context.WithTimeout(parent, 20*time.Second)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addresses.dial(portInternal)+"/healthz", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-exited:
			return fmt.Errorf("the connector ended at once (%v): %s", err, recent.last())
		case <-ctx.Done():
			if parent.Err() != nil {
				return parent.Err()
			}
			return fmt.Errorf("the connector did not become healthy: %s", recent.last())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
