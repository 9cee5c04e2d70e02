// Package fileupload takes the files that devices send over MQTT, block by block ("File upload over MQTT" of the device protocol).
//
// What has arrived of a file is an object to which every block is appended at its own offset: the object's length is the only record of
// progress. So a block is durable when its answer goes out, a block that comes again (the device's retry, a redelivery, a retry inside
// the platform after a crash) finds itself stored, and of two that race one wins. A row per upload holds what was announced; a finished
// file gets a row under its name.
package fileupload

import (
	"context"
	"sync"
	"time"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/objects"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/topic"
)

// Limits ("Codes and limits").
const (
	MaxFile       = 16 << 20 // bytes of one file
	MaxBlock      = 128 << 10
	MinBlock      = 256 // but for the last one
	MaxFiles      = 1000
	DefaultQuota  = 1 << 30 // bytes of the files of all devices together
	expiresAfter  = 24 * time.Hour
	maxUnfinished = 8 // uploads of one device at the same time
	usageFor      = time.Minute
	maxID         = 63 // of an upload; Link SDK C has room for no more
)

// States of an upload. The empty one is under way.
const (
	stateDone      = "done"
	stateFailed    = "failed" // the whole file's checksum was wrong
	stateCancelled = "cancelled"
)

func refused(code int, cause refusal.Cause, message string) *alink.Error {
	return &alink.Error{Code: code, Cause: cause, Message: message, Kind: iot.InvalidParams}
}

// What devices are told. Codes are those of "Codes and limits".
var (
	errName       = refused(alink.CodeParams, refusal.FileNameInvalid, "file name invalid")
	errParams     = refused(alink.CodeParams, refusal.ParamsMalformed, alink.MessageParams)
	errTooLarge   = refused(78117, refusal.FileTooLarge, "file size exceeds 16 MB")
	errBlockLarge = refused(78118, refusal.FileBlockSize, "block size exceeds 128 KB")
	errOffset     = refused(78119, refusal.FileOffset, "offset does not continue")
	errBlockSmall = refused(78120, refusal.FileBlockSize, "block size is below 256 bytes")
	errBlockCRC   = refused(78121, refusal.FileBlockDamaged, "block crc check failed")
	errUnknown    = refused(78122, refusal.FileUploadUnknown, "uploadId unknown or expired")
	errExists     = refused(78123, refusal.FileExists, "file exists")
	errFinished   = refused(78124, refusal.FileUploadFinished, "upload is finished")
	errDamaged    = refused(78125, refusal.FileDamaged, "file check failed")
	errFull       = refused(78127, refusal.FileStorageFull, "storage limit exceeded")
)

// A Service takes files. Make it with New; it is safe for concurrent use, though one device's messages come one at a time.
type Service struct {
	rows  store.Files
	files objects.Bucket
	quota int64
	now   func() time.Time

	mu     sync.Mutex
	usage  int64
	asked  time.Time // when usage was read
	inited bool
}

// New makes a service. quota bounds the bytes of all devices' files together, DefaultQuota if 0. now is the clock.
func New(rows store.Files, files objects.Bucket, quota int64, now func() time.Time) *Service {
	if quota <= 0 {
		quota = DefaultQuota
	}
	return &Service{rows: rows, files: files, quota: quota, now: now}
}

// Families are the conversations of devices about files.
func (s *Service) Families() map[topic.Family]exchange.Family {
	return map[topic.Family]exchange.Family{
		topic.FileUploadInit:   {Serve: s.begin},
		topic.FileUploadSend:   {Serve: s.send, Raw: true},
		topic.FileUploadCancel: {Serve: s.cancel},
	}
}

// used is how much is stored by all devices, at most a minute old: the limit protects the owner's money, not a single byte.
func (s *Service) used(ctx context.Context) (int64, error) {
	s.mu.Lock()
	usage, fresh := s.usage, s.inited && s.now().Sub(s.asked) < usageFor
	s.mu.Unlock()
	if fresh {
		return usage, nil
	}
	usage, err := s.rows.TotalUsage(ctx)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usage, s.asked, s.inited = usage, s.now(), true
	return usage, nil
}

// account notes what the files of a device have together, for the limit.
func (s *Service) account(ctx context.Context, ref iot.DeviceRef) error {
	list, err := s.rows.List(ctx, ref)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, f := range list {
		total += f.Size
	}
	return s.rows.SetUsage(ctx, ref, total)
}

// Delete removes a file of a device: its data first, so that nothing is left over if it breaks off.
func (s *Service) Delete(ctx context.Context, f *store.File) error {
	if err := s.files.Delete(ctx, f.Object); err != nil {
		return err
	}
	if err := s.rows.Delete(ctx, f.Ref, f.Name); err != nil {
		return err
	}
	return s.account(ctx, f.Ref)
}

// Forget removes all that a device has uploaded, data first: for a device that is deleted. It may be repeated.
func (s *Service) Forget(ctx context.Context, ref iot.DeviceRef) error {
	uploads, err := s.rows.ListUploads(ctx, ref)
	if err != nil {
		return err
	}
	files, err := s.rows.List(ctx, ref)
	if err != nil {
		return err
	}
	for _, u := range uploads {
		for _, object := range []string{u.Object, u.Replaces} {
			if object == "" {
				continue
			}
			if err := s.files.Delete(ctx, object); err != nil {
				return err
			}
		}
		if err := s.rows.DeleteUpload(ctx, ref, u.ID); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := s.files.Delete(ctx, f.Object); err != nil {
			return err
		}
		if err := s.rows.Delete(ctx, ref, f.Name); err != nil {
			return err
		}
	}
	return s.account(ctx, ref)
}
