package main

import (
	"os/exec"
	"syscall"
)

// dieWithParent puts a child into a process group of its own, so that Ctrl-C reaches localstack alone, and has the kernel kill
// it when localstack is gone.
func dieWithParent(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
