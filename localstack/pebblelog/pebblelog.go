// Package pebblelog is how the emulators' stores (github.com/cockroachdb/pebble) report to their logs.
package pebblelog

import (
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
)

type logger struct {
	log   *slog.Logger
	store string
}

// New makes a logger for a store, which is named in every line: "log store". What Pebble tells of its work is left out.
func New(log *slog.Logger, store string) pebble.Logger { return logger{log, store} }

func (l logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.log.Error(l.store, "error", fmt.Sprintf(format, args...))
}

// Fatalf must not return: Pebble calls it when what is on disk is no longer known, as after a failed fsync, and that must not be
// answered as stored.
func (l logger) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.log.Error(l.store+" failed", "error", text)
	panic(l.store + " failed: " + text)
}
