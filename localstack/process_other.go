//go:build !linux

package main

import (
	"os/exec"
	"syscall"
)

// dieWithParent puts a child into a process group of its own, so that Ctrl-C reaches localstack alone. Only Linux can kill it
// when localstack itself is killed with -9.
func dieWithParent(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
