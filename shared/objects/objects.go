// Package objects keeps files in one bucket of the object storage service (OSS): remote configurations, files that devices upload,
// files that devices download. It is the only package that knows the service's SDK; package objects/memory is the same in memory for
// tests, objects/objectstest the suite that both pass.
//
// An object that has a reader is never changed: whoever has new content writes it under a new key. Only Append makes an object longer,
// and it says where.
package objects

import (
	"context"
	"errors"
	"fmt"
)

// A Bucket holds objects by key. Errors that a caller can act on are ErrNotFound, *PositionError, and *iot.Error of kind Throttled or
// Unavailable. Every write may be repeated.
type Bucket interface {
	Put(ctx context.Context, key string, data []byte, contentType string) error
	// Append adds data to an object that is position bytes long; at 0 it begins one. It is durable when Append returns. The error is
	// a *PositionError if the object has another length: it was added to by somebody else, or by this very call before its answer
	// was lost.
	Append(ctx context.Context, key string, position int64, data []byte) (Appended, error)
	// Read gives the bytes from offset on, at most limit; fewer only at the end of the object, none behind it.
	Read(ctx context.Context, key string, offset int64, limit int) ([]byte, error)
	Stat(ctx context.Context, key string) (Info, error)
	Delete(ctx context.Context, key string) error // that there is none is no error
}

// An Info is what is known of an object without reading it.
type Info struct {
	Size int64
	CRC  uint64 // CRC-64/XZ of the whole object
}

// An Appended is an object after an append.
type Appended struct {
	Size int64
	CRC  uint64 // CRC-64/XZ of the whole object
}

// ErrNotFound means that there is no object with the key.
var ErrNotFound = errors.New("object not found")

// A PositionError refuses an append.
type PositionError struct {
	Size int64 // of the object
}

func (e *PositionError) Error() string {
	return fmt.Sprintf("the object has %d bytes, and not those that were to go before", e.Size)
}
