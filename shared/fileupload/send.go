package fileupload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/objects"
	"relink/shared/record"
	"relink/shared/store"
)

// send answers thing/file/upload/mqtt/send. Whatever the answer is, it repeats the block's own uploadId, offset and bSize: Link SDK C
// waits for its time-out otherwise.
func (s *Service) send(ctx context.Context, r *exchange.Request) exchange.Answer {
	f, err := ParseFrame(r.Record.Payload)
	if _, ok := errors.AsType[*alink.Error](err); err != nil && !ok {
		err = malformed(err.Error())
	}
	var tail string
	if err == nil {
		tail, err = s.block(ctx, r.Ref(), &f)
	}
	answer := exchange.Answer{Err: err, Silent: true}
	if iot.Is(err, iot.Throttled) || iot.Is(err, iot.Unavailable) || !f.Envelope.Ack {
		return answer // tried again, or no reply is wanted
	}
	data := []byte("{}")
	if f.UploadID != "" {
		data = alink.AppendString([]byte(`{"uploadId":`), f.UploadID)
		data = fmt.Appendf(data, `,"offset":%d,"bSize":%d%s}`, max(f.Offset, 0), max(f.Size, 0), tail)
	}
	code, message := alink.CodeOf(err)
	answer.Replies = []record.Reply{{
		Topic: r.Up.ReplyTopic(r.Record.Topic), Payload: alink.AppendReply(nil, code, f.Envelope.ID, data, message, r.Up.Method),
	}}
	return answer
}

// block stores one block, and finishes the upload with the last one; tail is what the reply says besides.
func (s *Service) block(ctx context.Context, ref iot.DeviceRef, f *Frame) (tail string, err error) {
	switch {
	case f.Size > MaxBlock:
		return "", errBlockLarge
	case alink.CRC16(f.Data) != f.CRC:
		return "", errBlockCRC
	}
	u, err := s.upload(ctx, ref, f.UploadID)
	if err != nil {
		return "", err
	}
	end := f.Offset + f.Size
	last := f.IsComplete || end == u.FileSize
	switch {
	case end > MaxFile:
		return "", errTooLarge
	case u.FileSize >= 0 && end > u.FileSize:
		return "", errOffset
	case f.Size < MinBlock && !last:
		return "", errBlockSmall
	case f.Size == 0 && f.Offset == 0:
		return "", malformed("bSize 0 at offset 0: an empty file is none")
	}
	switch u.State {
	case stateFailed:
		return "", errDamaged
	case stateDone:
		if end == u.Size && last { // the last block again: its answer was lost
			if err := s.same(ctx, u, f); err != nil {
				return "", errFinished
			}
			return completion(u), nil
		}
		return "", errFinished
	}
	done, err := s.store(ctx, u, f)
	if err == nil && u.FileSize < 0 && f.Offset/step != end/step {
		err = s.account(ctx, ref)
	}
	if err != nil || !last {
		return "", err
	}
	if done.Size != end { // a block from the middle, again, that calls itself the last
		return "", errOffset
	}
	return s.finish(ctx, u, done)
}

// upload finds an upload that has not expired and was not cancelled.
func (s *Service) upload(ctx context.Context, ref iot.DeviceRef, id string) (*store.Upload, error) {
	if id == "" || len(id) > maxID {
		return nil, errUnknown
	}
	u, err := s.rows.GetUpload(ctx, ref, id)
	if err != nil {
		return nil, err
	}
	if u == nil || u.State == stateCancelled || s.now().UnixMilli() >= u.ExpiresAt {
		return nil, errUnknown
	}
	return u, nil
}

// store appends a block. One that is there already is as good.
func (s *Service) store(ctx context.Context, u *store.Upload, f *Frame) (objects.Appended, error) {
	if f.Size == 0 { // isComplete without data, for whoever learns late that there is no more
		info, err := s.files.Stat(ctx, u.Object)
		if err == nil && info.Size != f.Offset || errors.Is(err, objects.ErrNotFound) {
			err = errOffset
		}
		return objects.Appended(info), err
	}
	done, err := s.files.Append(ctx, u.Object, f.Offset, f.Data)
	if _, ok := errors.AsType[*objects.PositionError](err); !ok {
		return done, err
	}
	if err := s.same(ctx, u, f); err != nil {
		return done, err
	}
	info, err := s.files.Stat(ctx, u.Object)
	return objects.Appended(info), err
}

// same is errOffset unless the block is part of what is stored.
func (s *Service) same(ctx context.Context, u *store.Upload, f *Frame) error {
	if f.Offset < u.Base {
		return errOffset
	}
	there, err := s.files.Read(ctx, u.Object, f.Offset, int(f.Size))
	if errors.Is(err, objects.ErrNotFound) || err == nil && !bytes.Equal(there, f.Data) {
		return errOffset
	}
	return err
}

// finish makes a file of an upload whose last block is stored. Every step may be done again by the next that carries the last block.
func (s *Service) finish(ctx context.Context, u *store.Upload, whole objects.Appended) (tail string, err error) {
	u.Size, u.CRC = whole.Size, whole.CRC
	if u.FICValue != "" {
		if want, err := strconv.ParseUint(u.FICValue, 16, 64); err != nil || want != u.CRC {
			u.State = stateFailed
			if err := s.rows.PutUpload(ctx, u); err != nil {
				return "", retried(err)
			}
			if err := s.files.Delete(ctx, u.Object); err != nil {
				return "", err
			}
			if err := s.account(ctx, u.Ref); err != nil {
				return "", err
			}
			return completion(u)[len(`,"complete":true`):], errDamaged
		}
	}
	old, err := s.rows.Get(ctx, u.Ref, u.Name)
	if err != nil {
		return "", err
	}
	if old == nil || old.ID != u.ID || old.Object != u.Object {
		file := &store.File{Ref: u.Ref, Name: u.Name, ID: u.ID, Object: u.Object, Size: u.Size, CreatedAt: s.now().UnixMilli()}
		if old != nil {
			if u.Strategy == "reject" {
				return "", errExists // it came meanwhile
			}
			file.Revision = old.Revision
			if u.Replaces != old.Object { // noted first, so that it is deleted whatever happens
				u.Replaces = old.Object
				if err := s.rows.PutUpload(ctx, u); err != nil {
					return "", retried(err)
				}
			}
		}
		if err := s.rows.Put(ctx, file); err != nil {
			return "", retried(err)
		}
	}
	if err := s.account(ctx, u.Ref); err != nil {
		return "", err
	}
	if u.Replaces != "" {
		if err := s.files.Delete(ctx, u.Replaces); err != nil {
			return "", err
		}
		u.Replaces = ""
	}
	u.State = stateDone
	return completion(u), retried(s.rows.PutUpload(ctx, u))
}

// retried makes a lost race one that is tried again: the row is read anew then.
func retried(err error) error {
	if iot.Is(err, iot.Conflict) {
		return iot.Wrap(iot.Unavailable, err, "changed meanwhile")
	}
	return err
}

// completion is what the reply to a last block says besides.
func completion(u *store.Upload) string {
	if u.FICValue == "" {
		return `,"complete":true`
	}
	return fmt.Sprintf(`,"complete":true,"ficMode":"crc64","ficValueClient":%q,"ficValueServer":"%016x"`, u.FICValue, u.CRC)
}

// cancel answers thing/file/upload/mqtt/cancel; a second time like the first.
func (s *Service) cancel(ctx context.Context, r *exchange.Request) exchange.Answer {
	id := ""
	for name, value := range alink.Members(r.Alink.Params) {
		if string(name) == "uploadId" {
			id = string(alink.Unquote(value))
		}
	}
	answer := exchange.Answer{Data: append(alink.AppendString([]byte(`{"uploadId":`), id), '}')}
	if id == "" || len(id) > maxID {
		answer.Err = errUnknown
		return answer
	}
	answer.Err = s.abandon(ctx, r.Ref(), id)
	return answer
}

// abandon cancels an upload unless its file is there: then what is left to do of finish is done instead.
func (s *Service) abandon(ctx context.Context, ref iot.DeviceRef, id string) error {
	u, err := s.rows.GetUpload(ctx, ref, id)
	switch {
	case err != nil:
		return err
	case u == nil || s.now().UnixMilli() >= u.ExpiresAt:
		return errUnknown
	case u.State == stateDone:
		return errFinished
	}
	made, err := s.made(ctx, u)
	if err != nil {
		return err
	}
	if made {
		info, err := s.files.Stat(ctx, u.Object)
		if err == nil {
			_, err = s.finish(ctx, u, objects.Appended(info))
		}
		if err != nil {
			return err
		}
		return errFinished
	}
	if u.State != stateCancelled { // cancelled already, the data may still be there
		u.State = stateCancelled
		if err := s.rows.PutUpload(ctx, u); err != nil {
			return retried(err)
		}
	}
	if err := s.files.Delete(ctx, u.Object); err != nil {
		return err
	}
	return s.account(ctx, ref)
}
