//go:build unix

package fc

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// terminate asks the process group to end.
func terminate(pid int) { signalGroup(pid, syscall.SIGTERM) }

// killGroup ends the process group at once.
func killGroup(pid int) { signalGroup(pid, syscall.SIGKILL) }

// signalGroup ignores the error: the only one that can happen is that the group has gone.
func signalGroup(pid int, sig syscall.Signal) {
	_ = syscall.Kill(-pid, sig)
}

// unread is the number of bytes waiting in a pipe.
func unread(f *os.File) int {
	n := 0
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) {
			if v, err := unix.IoctlGetInt(int(fd), fionread); err == nil {
				n = v
			}
		})
	}
	return n
}

// readPipe waits for bytes and reads them; reading and keep happen under mu, so that whoever holds mu and sees
// an empty pipe knows that everything has been kept.
func readPipe(f *os.File, buf []byte, mu *sync.Mutex, keep func([]byte)) (n int, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	waitErr := c.Read(func(fd uintptr) bool {
		mu.Lock()
		defer mu.Unlock()
		for {
			n, err = unix.Read(int(fd), buf)
			if err != unix.EINTR {
				break
			}
		}
		if n > 0 {
			keep(buf[:n])
		}
		return err != unix.EAGAIN
	})
	switch {
	case waitErr != nil:
		return 0, waitErr
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// alive tells whether an idle connection is still open: nothing to read, not even its end.
func alive(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		open = err == unix.EAGAIN
	})
	return err == nil && open
}
