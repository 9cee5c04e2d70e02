package sandbox

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// executable is the program itself, even if its file was replaced meanwhile.
func executable() (string, error) { return "/proc/self/exe", nil }

// cpuLife is the CPU time after which a child ends whatever happens; a parent retires it long before.
const cpuLife = 600 // seconds

// confine limits this process: so much more data than it has now, no files, no core.
func confine(more int64) error {
	statm, err := os.ReadFile("/proc/self/statm") // pages: size resident shared text lib data dirty
	if err != nil {
		return err
	}
	parts := strings.Fields(string(statm))
	if len(parts) < 6 {
		return fmt.Errorf("statm has %d fields", len(parts))
	}
	pages, err := strconv.ParseInt(parts[5], 10, 64)
	if err != nil {
		return err
	}
	for _, l := range []struct {
		what  int
		limit uint64
	}{
		{unix.RLIMIT_DATA, uint64(pages*int64(os.Getpagesize()) + more)},
		{unix.RLIMIT_CPU, cpuLife}, {unix.RLIMIT_FSIZE, 0}, {unix.RLIMIT_CORE, 0},
	} {
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.limit, Max: l.limit}); err != nil {
			return fmt.Errorf("setrlimit %d: %w", l.what, err)
		}
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

// cpuTime is what a process has used; ok is false once it is gone.
func cpuTime(pid int) (used time.Duration, ok bool) {
	var ts unix.Timespec
	// CPUCLOCK_SCHED of a process, as clock_getcpuclockid(3) makes it.
	if err := unix.ClockGettime(int32(^pid)<<3|2, &ts); err != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}
