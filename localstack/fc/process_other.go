//go:build unix && !linux

package fc

import "syscall"

const fionread = 0x4004667f // FIONREAD of the BSDs

// ownGroup puts a child into its own process group. Only Linux can tie its life to this process.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// residentBytes is unknown here, so memorySize is not enforced.
func residentBytes(int) int64 { return 0 }
