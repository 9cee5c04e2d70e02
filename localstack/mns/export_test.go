package mns

import "github.com/cockroachdb/pebble/v2/vfs"

// WithFS stores on fs, a disk that a test can crash.
func WithFS(o Options, fs vfs.FS) Options {
	o.fs = fs
	return o
}

// Sweep removes messages past their retention now.
func (s *Server) Sweep() (int, error) { return s.sweep() }
