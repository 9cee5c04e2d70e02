package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// bootstrap creates tables and logstores from templates/, with the same command as in the cloud.
func (s *stack) bootstrap(ctx context.Context) error {
	_, err := s.relink(ctx, "bootstrap", "--templates", filepath.Join(s.root, "templates"))
	return err
}

// A demo is the part of `relink demo -o json` that is printed.
type demo struct {
	ProductKey    string `json:"productKey"`
	DeviceName    string `json:"deviceName"`
	DeviceSecret  string `json:"deviceSecret"`
	ClientID      string `json:"clientId"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	MosquittoPub  string `json:"mosquittoPub"`
	RelinkCommand string `json:"relinkCommand"`
}

func (s *stack) demo(ctx context.Context) (*demo, error) {
	out, err := s.relink(ctx, "demo", "-o", "json")
	if err != nil {
		return nil, err
	}
	var d demo
	if err := json.Unmarshal(out, &d); err != nil {
		return nil, fmt.Errorf("relink demo: %w", err)
	}
	return &d, nil
}

// relink runs the command line against this system and returns what it prints.
func (s *stack) relink(ctx context.Context, args ...string) ([]byte, error) {
	c := exec.Command(filepath.Join(s.bin, "relink"), append(args, "--env", os.DevNull)...)
	c.Env = append(os.Environ(), clientEnv(s.addresses, s.keys, s.certificates)...)
	c.Env = append(c.Env, "SLS_PROJECT=relink")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := s.starter.start(c); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Process.Kill() })
	defer stop()
	if err := c.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("relink %s: %s", args[0], strings.TrimPrefix(firstComplaint(stderr.String(), err), "relink: "))
	}
	return stdout.Bytes(), nil
}
