package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"relink/localstack/serverless"
)

// build compiles the functions, the connector and the command line with one call of the Go tool, into bin/. Each function
// then gets a directory like the one that is mounted at /code in the cloud. The error is one line: the first of the
// compiler's, and how many more there are.
func build(ctx context.Context, root, bin string, functions []serverless.Function) error {
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("the go command is not on the PATH: it builds the functions")
	}
	args := []string{"build", "-o", bin + string(filepath.Separator), "./connector", "./scripts/relink"}
	for _, f := range functions {
		dir := filepath.Join("functions", f.Resource)
		if _, err := os.Stat(filepath.Join(root, dir)); err != nil {
			return fmt.Errorf("s.yaml:%d: function %s has no directory %s", f.Line, f.Resource, dir)
		}
		args = append(args, "./"+filepath.ToSlash(dir))
	}
	c := exec.CommandContext(ctx, "go", args...)
	c.Dir = root
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("build: %s", firstComplaint(out.String(), err))
	}
	return nil
}

// firstComplaint picks the first line that says what is wrong and where.
func firstComplaint(output string, err error) string {
	var first string
	more := 0
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "go: downloading"):
		case first == "":
			first = line
		default:
			more++
		}
	}
	if first == "" {
		return err.Error()
	}
	if more > 0 {
		first += fmt.Sprintf(" (and %d more lines: go vet ./... shows them)", more)
	}
	return first
}

// codeDirs makes, for each function, a directory with its executable under the name that the runtime starts, and points the
// function at it.
func codeDirs(code, bin string, functions []serverless.Function) error {
	for i := range functions {
		f := &functions[i]
		f.CodeDir = filepath.Join(code, f.Resource)
		if err := os.MkdirAll(f.CodeDir, 0o755); err != nil {
			return err
		}
		link := filepath.Join(f.CodeDir, "bootstrap")
		target := filepath.Join(bin, f.Resource)
		if now, err := os.Readlink(link); err == nil && now == target {
			continue
		}
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.Symlink(target, link); err != nil {
			return err
		}
	}
	return nil
}
