package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"relink/localstack/fc"
	"relink/localstack/mns"
	"relink/localstack/oss"
	"relink/localstack/sls"
	"relink/localstack/tablestore"
)

func (s *stack) startEmulators(group *errgroup.Group) error {
	var err error
	logger := func(name string) *slog.Logger { return s.log.With("service", name) }
	closed := func(name string, close func() error) {
		s.closers = append(s.closers, func() {
			if err := close(); err != nil {
				s.log.Error("close "+name, "error", err.Error())
			}
		})
	}
	s.tablestore, err = tablestore.Open(tablestore.Options{
		Dir: filepath.Join(s.data, "tablestore"), AccessKeyID: s.keys.AccessKeyID, AccessKeySecret: s.keys.AccessKeySecret, Logger: logger("tablestore"),
	})
	if err != nil {
		return fmt.Errorf("tablestore: %w", err)
	}
	closed("tablestore", s.tablestore.Close)
	s.oss, err = oss.Open(oss.Options{
		Dir: filepath.Join(s.data, "oss"), AccessKeyID: s.keys.AccessKeyID, AccessKeySecret: s.keys.AccessKeySecret, Logger: logger("oss"),
	})
	if err != nil {
		return fmt.Errorf("oss: %w", err)
	}
	closed("oss", s.oss.Close)
	s.sls, err = sls.Open(sls.Options{
		Dir: filepath.Join(s.data, "sls"), AccessKeyID: s.keys.AccessKeyID, AccessKeySecret: s.keys.AccessKeySecret, Logger: logger("sls"),
	})
	if err != nil {
		return fmt.Errorf("log service: %w", err)
	}
	closed("log service", s.sls.Close)
	certificateURL := "" // subscribers on other machines find it where they subscribed
	if ip := net.ParseIP(s.conf.host); ip == nil || ip.IsLoopback() {
		certificateURL = "http://" + s.addresses.dial(portMNS)
	}
	s.mns, err = mns.Open(mns.Options{
		Dir: filepath.Join(s.data, "mns"), AccessKeyID: s.keys.AccessKeyID, AccessKeySecret: s.keys.AccessKeySecret, AccountID: accountID,
		URL: certificateURL, Logger: logger("mns"),
	})
	if err != nil {
		return fmt.Errorf("mns: %w", err)
	}
	closed("mns", s.mns.Close)
	s.fc, err = fc.New(fc.Options{
		Functions: s.functions, AccountID: accountID, AccessKeyID: s.keys.AccessKeyID, AccessKeySecret: s.keys.AccessKeySecret,
		Dir: filepath.Join(s.data, "fc"), Logger: logger("fc"), Logs: logSink{s.sls}, Limits: fc.Limits{StopGrace: functionGrace},
	})
	if err != nil {
		return fmt.Errorf("function compute: %w", err)
	}
	closed("function compute", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), functionGrace+500*time.Millisecond)
		defer cancel()
		return s.fc.Close(ctx)
	})
	for _, x := range []struct {
		port    port
		handler http.Handler
	}{
		{portTablestore, s.tablestore}, {portOSS, s.oss}, {portSLS, s.sls}, {portMNS, s.mns}, {portFC, s.fc}, {portControl, s.control()},
	} {
		if err := s.serve(group, x.port, x.handler); err != nil {
			return err
		}
	}
	return s.serveTriggers(group)
}

// serveTriggers gives each HTTP trigger a listener; in the cloud it has a host name of its own. There is one today.
func (s *stack) serveTriggers(group *errgroup.Group) error {
	next := portTrigger
	for _, f := range s.functions {
		for _, t := range f.Triggers {
			if t.HTTP == nil {
				continue
			}
			if next.number != portTrigger.number {
				next.name = "HTTP trigger of " + f.Name
			}
			if err := s.serve(group, next, s.fc.HTTPTrigger(f.Name)); err != nil {
				return err
			}
			next.number++
		}
	}
	return nil
}

func (s *stack) serve(group *errgroup.Group, p port, h http.Handler) error {
	l, err := s.addresses.listen(p)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelInfo)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("serve "+p.name, "error", err.Error())
		}
	}()
	s.closers = append(s.closers, func() {
		server.Close()
		<-served
	})
	return nil
}
