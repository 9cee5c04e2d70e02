package tablestore

import "github.com/cockroachdb/pebble/v2/vfs"

// WithFS stores on fs, a disk that a test can crash.
func WithFS(o Options, fs vfs.FS) Options {
	o.fs = fs
	return o
}

// Sweep removes expired rows now.
func (s *Server) Sweep() (int, error) { return s.sweep(0) }

// OperationCodes are the codes a fault may answer.
func OperationCodes() []string {
	var list []string
	for name := range codes {
		list = append(list, name)
	}
	return list
}
