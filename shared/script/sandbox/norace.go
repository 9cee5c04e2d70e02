//go:build !race

package sandbox

// slowdown is one: see race.go.
const slowdown = 1
