//go:build race

package sandbox

// slowdown is what the race detector makes of CPU time.
const slowdown = 12
