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
	DefaultQuota  = 1 << 30 // bytes of the files and unfinished uploads of all devices together
	expiresAfter  = 24 * time.Hour
	maxUnfinished = 8 // uploads of one device at the same time
	usageFor      = time.Minute
	step          = 1 << 20 // bytes of an upload of unknown size after which the device's usage is noted again
	maxUID        = 16      // bytes of initUid
	maxID         = 63      // of an upload; Link SDK C has room for no more
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

// New makes a service. quota bounds the bytes of all devices' files and unfinished uploads together, DefaultQuota if 0. now is the clock.
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

// account notes what a device takes up, for the limit: its files, its unfinished uploads as if they were whole, and those in more, which
// are about to be begun.
func (s *Service) account(ctx context.Context, ref iot.DeviceRef, more ...*store.Upload) error {
	list, err := s.rows.List(ctx, ref)
	if err != nil {
		return err
	}
	uploads, err := s.rows.ListUploads(ctx, ref)
	if err != nil {
		return err
	}
	total, made := int64(0), make(map[string]bool)
	for _, f := range list {
		total, made[f.Object] = total+f.Size, true
	}
	for _, u := range append(uploads, more...) {
		if u.State != "" || made[u.Object] { // ended, or a file whose upload is about to end
			continue
		}
		size := u.FileSize
		if size < 0 {
			if size, err = s.arrived(ctx, u); err != nil {
				return err
			}
		}
		total += size
	}
	return s.rows.SetUsage(ctx, ref, total)
}

// arrived is what an upload of unknown size takes up: what is there and the rest of the step that is under way, since it is not asked
// for every block.
func (s *Service) arrived(ctx context.Context, u *store.Upload) (int64, error) {
	n, err := s.length(ctx, u)
	return min((max(n, u.Base)/step+1)*step, MaxFile), err
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
