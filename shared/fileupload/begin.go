package fileupload

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/objects"
	"relink/shared/store"
)

// An announcement is the params of init.
type announcement struct {
	name, strategy, ficMode, ficValue, uid string
	size                                   int64
	sent                                   []byte // the optional members, as the reply repeats them
}

// announced reads the params of init. The name is read even if the rest is wrong: the reply repeats it.
func announced(params []byte) (announcement, error) {
	a := announcement{strategy: "overwrite", size: -1}
	var size, strategy, mode, value []byte
	for name, v := range alink.Members(params) {
		switch string(name) {
		case "fileName":
			a.name = string(alink.Unquote(v))
		case "fileSize":
			size = v
			if string(v) != "-1" && string(v) != `"-1"` {
				if a.size = integer(v); a.size < 0 {
					a.size = -2
				}
			}
		case "conflictStrategy":
			strategy, a.strategy = v, string(alink.Unquote(v))
		case "ficMode":
			mode, a.ficMode = v, string(alink.Unquote(v))
		case "ficValue":
			value, a.ficValue = v, string(alink.Unquote(v))
		case "initUid":
			a.uid = string(alink.Unquote(v))
		}
	}
	for _, m := range []struct {
		name  string
		value []byte
	}{{"fileSize", size}, {"conflictStrategy", strategy}, {"ficMode", mode}, {"ficValue", value}} {
		if m.value != nil {
			a.sent = append(append(append(a.sent, `,"`...), m.name...), `":`...)
			a.sent = append(a.sent, m.value...)
		}
	}
	switch {
	case !validName(a.name):
		return a, errName
	case a.size > MaxFile:
		return a, errTooLarge
	case a.size < -1 || a.size == 0:
		return a, malformed("fileSize is neither a number above 0 nor -1")
	case len(a.uid) > maxUID:
		return a, malformed("initUid has more than 16 bytes")
	case a.strategy != "overwrite" && a.strategy != "append" && a.strategy != "reject":
		return a, malformed("conflictStrategy is none of overwrite, append and reject")
	case (a.ficMode != "" || a.ficValue != "") && a.ficMode != "crc64":
		return a, malformed("ficMode is not crc64")
	case a.ficMode != "" && len(a.ficValue) != 16:
		return a, malformed("ficValue is not 16 hexadecimal digits")
	}
	if a.ficValue != "" {
		if _, err := strconv.ParseUint(a.ficValue, 16, 64); err != nil {
			return a, malformed("ficValue is not 16 hexadecimal digits")
		}
	}
	return a, nil
}

// malformed is errParams with what is wrong for the log.
func malformed(detail string) error { return alink.Detailed(errParams, detail) }

// validName holds a name to 1 to 100 of letters, digits, underscore and dot, the first a letter or a digit.
func validName(name string) bool {
	if len(name) < 1 || len(name) > 100 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || c != '_' && c != '.') {
			return false
		}
	}
	return true
}

// begin answers thing/file/upload/mqtt/init. The same initUid, or else the same message, is the same upload, which goes on where it is.
func (s *Service) begin(ctx context.Context, r *exchange.Request) exchange.Answer {
	a, err := announced(r.Alink.Params)
	head := append(alink.AppendString([]byte(`{"fileName":`), a.name), '}')
	if err != nil {
		return exchange.Answer{Data: head, Err: err}
	}
	u, offset, err := s.open(ctx, r.Ref(), &a, r.Record.MessageID)
	if err != nil {
		return exchange.Answer{Data: head, Err: err}
	}
	data := alink.AppendString(append(head[:len(head)-1], `,"uploadId":`...), u.ID)
	if offset > 0 || u.Strategy == "append" {
		data = strconv.AppendInt(append(data, `,"offset":`...), offset, 10)
	}
	return exchange.Answer{Data: append(append(data, a.sent...), '}')}
}

// open finds the upload that the announcement is about, or begins it, and tells how much of it is there.
func (s *Service) open(ctx context.Context, ref iot.DeviceRef, a *announcement, messageID string) (*store.Upload, int64, error) {
	uid := "u" + a.uid
	if a.uid == "" {
		uid = "m" + messageID
	}
	id := uploadID(ref, a.name, uid)
	u, err := s.rows.GetUpload(ctx, ref, id)
	if err != nil {
		return nil, 0, err
	}
	if u != nil && s.now().UnixMilli() < u.ExpiresAt {
		switch u.State {
		case "":
			offset, err := s.length(ctx, u)
			if err == nil && offset < u.Base {
				offset, err = s.copyBase(ctx, u, offset)
			}
			return u, offset, err
		case stateDone:
			return u, 0, errFinished
		}
	}
	if u != nil { // expired, failed or cancelled: it begins again, under another object
		if err := s.discard(ctx, u); err != nil {
			return nil, 0, err
		}
	}
	if err := s.room(ctx, ref, a); err != nil {
		return nil, 0, err
	}
	now := s.now()
	begun := &store.Upload{
		Ref: ref, ID: id, Name: a.name, FileSize: a.size, Strategy: a.strategy, FICMode: a.ficMode, FICValue: a.ficValue,
		BeganAt: now.UnixMilli(), ExpiresAt: now.Add(expiresAfter).UnixMilli(),
		Object: "files/" + string(ref.ProductKey) + "/" + string(ref.DeviceName) + "/" + id + "." + strconv.FormatInt(now.UnixMilli(), 36),
	}
	if a.strategy == "append" {
		f, err := s.rows.Get(ctx, ref, a.name)
		if err != nil {
			return nil, 0, err
		}
		if f != nil {
			begun.Base, begun.Replaces = f.Size, f.Object
		}
		if a.size >= 0 && a.size <= begun.Base {
			return nil, 0, malformed(fmt.Sprintf("fileSize %d is that of the whole file, of which %d bytes are there", a.size, begun.Base))
		}
	}
	if err := s.account(ctx, ref, begun); err != nil { // first, so that none is begun that does not count
		return nil, 0, err
	}
	if err := s.rows.PutUpload(ctx, begun); err != nil {
		return nil, 0, retried(err)
	}
	offset, err := s.copyBase(ctx, begun, 0)
	return begun, offset, err
}

// uploadID is 22 characters, the same for the same attempt of the same file.
func uploadID(ref iot.DeviceRef, name, uid string) string {
	sum := sha256.Sum256([]byte(ref.String() + "\x00" + name + "\x00" + uid))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// length is how much of an upload has arrived.
func (s *Service) length(ctx context.Context, u *store.Upload) (int64, error) {
	info, err := s.files.Stat(ctx, u.Object)
	if errors.Is(err, objects.ErrNotFound) {
		return 0, nil
	}
	return info.Size, err
}

// room checks the limits and makes room among the device's uploads: what has expired goes first, so that it does not count.
func (s *Service) room(ctx context.Context, ref iot.DeviceRef, a *announcement) error {
	list, err := s.rows.List(ctx, ref)
	if err != nil {
		return err
	}
	exists := slices.ContainsFunc(list, func(f *store.File) bool { return f.Name == a.name })
	if exists && a.strategy == "reject" {
		return errExists
	}
	uploads, err := s.rows.ListUploads(ctx, ref)
	if err != nil {
		return err
	}
	var unfinished []*store.Upload
	for _, u := range uploads {
		switch {
		case s.now().UnixMilli() >= u.ExpiresAt:
			if err := s.discard(ctx, u); err != nil {
				return err
			}
		case u.State == "":
			unfinished = append(unfinished, u)
		}
	}
	used, err := s.used(ctx)
	if err != nil {
		return err
	}
	if !exists && len(list) >= MaxFiles || used+max(a.size, 1) > s.quota {
		return errFull
	}
	slices.SortFunc(unfinished, func(x, y *store.Upload) int { return int(y.BeganAt - x.BeganAt) }) // newest first
	for _, u := range unfinished[min(maxUnfinished-1, len(unfinished)):] {
		if err := s.discard(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// discard removes an upload with what has arrived of it; a finished one's data is the file's, and stays.
func (s *Service) discard(ctx context.Context, u *store.Upload) error {
	made, err := s.made(ctx, u)
	if err != nil {
		return err
	}
	obsolete := u.Object
	if made || u.State == stateDone {
		obsolete = u.Replaces
	}
	if obsolete != "" {
		if err := s.files.Delete(ctx, obsolete); err != nil {
			return err
		}
	}
	if err := s.rows.DeleteUpload(ctx, u.Ref, u.ID); err != nil {
		return err
	}
	if u.State != "" {
		return nil // it did not count
	}
	s.mu.Lock()
	s.inited = false // there is more room than was read
	s.mu.Unlock()
	return s.account(ctx, u.Ref)
}

// made reports whether an upload's data is that of the file under its name, which the state does not say if finish broke off.
func (s *Service) made(ctx context.Context, u *store.Upload) (bool, error) {
	f, err := s.rows.Get(ctx, u.Ref, u.Name)
	return f != nil && f.Object == u.Object, err
}

// copyBase begins an upload that appends with what is there, from an offset on: the file itself stays whole until the new one is.
func (s *Service) copyBase(ctx context.Context, u *store.Upload, offset int64) (int64, error) {
	for offset < u.Base {
		block, err := s.files.Read(ctx, u.Replaces, offset, int(min(u.Base-offset, 1<<20)))
		if errors.Is(err, objects.ErrNotFound) || err == nil && len(block) == 0 {
			return 0, errUnknown // the file was replaced or deleted meanwhile
		}
		if err != nil {
			return 0, err
		}
		end := offset + int64(len(block))
		_, err = s.files.Append(ctx, u.Object, offset, block)
		if e, ok := errors.AsType[*objects.PositionError](err); ok && e.Size == end {
			err = nil // the first answer was lost
		}
		if err != nil {
			return 0, err
		}
		offset = end
	}
	return offset, nil
}
