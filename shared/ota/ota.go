// Package ota is the device side of updates ("OTA" of the device protocol): what devices report of the versions they run, and what they
// are told when they ask for an update. Which devices are to update, and to what, is for rollouts to say, through Tasks.
package ota

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/message"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/topic"
)

// DefaultModule is the firmware of a device as a whole.
const DefaultModule = "default"

// maxName bounds modules and versions ("Packages, batches, limits").
const maxName = 64

// Tasks are the updates that devices are to make: who rolls them out provides them. Errors of kind Throttled and Unavailable make the
// platform try the device's message again.
type Tasks interface {
	// Informed hears which version a module of a device runs, every time the device says so.
	Informed(ctx context.Context, ref iot.DeviceRef, module, version string) ([]record.Reply, error)
	// Progressed hears how far a device is: 1 to 100, or a negative number for a failure.
	Progressed(ctx context.Context, ref iot.DeviceRef, module string, step int, desc string) error
	// Pending gives the object of "Upgrade notice" for a module of a device, nil if there is nothing for it. legacy asks for one with a
	// url: what asks on /ota/device/request knows nothing else.
	Pending(ctx context.Context, ref iot.DeviceRef, module string, legacy bool) ([]byte, error)
	// Block reads a part of a file of an update of the device. found is false if no update of the device has the file.
	Block(ctx context.Context, ref iot.DeviceRef, stream, file, offset int64, size int) (data []byte, length int64, found bool, err error)
}

// A Service serves devices. Make it with New; it is safe for concurrent use.
type Service struct {
	versions store.DeviceVersions
	tasks    Tasks // nil: nothing is rolled out
	hooks    []Hook
	now      func() time.Time
}

// A Hook hears that a device has just reported a version, which nearly all do after each start: what waits for the device goes out then.
type Hook func(ctx context.Context, ref iot.DeviceRef) ([]record.Reply, error)

// New makes a service without rollouts if tasks is nil. now is the clock.
func New(versions store.DeviceVersions, tasks Tasks, now func() time.Time, hooks ...Hook) *Service {
	return &Service{versions: versions, tasks: tasks, hooks: hooks, now: now}
}

// Families are the conversations of devices about updates.
func (s *Service) Families() map[topic.Family]exchange.Family {
	return map[topic.Family]exchange.Family{
		topic.OTAInform:      {Serve: s.inform},
		topic.OTAProgress:    {Serve: s.progress},
		topic.OTAFirmwareGet: {Serve: s.get},
		topic.OTARequest:     {Serve: s.request},
		topic.FileDownload:   {Serve: s.download, Raw: true},
	}
}

// inform takes a version report. There is no reply, only the acknowledgement, which says that it is stored.
func (s *Service) inform(ctx context.Context, r *exchange.Request) exchange.Answer {
	p := read(r.Alink.Params)
	if !validName(p.module) || !validName(p.version) {
		return exchange.Answer{Err: alink.ErrParamsMalformed, Silent: true}
	}
	told, err := s.told(ctx, r, p.module, p.version)
	if err != nil {
		return exchange.Answer{Err: err, Silent: true}
	}
	err = s.versions.Put(ctx, r.Ref(), store.DeviceVersion{Module: p.module, Version: p.version, At: s.now().UnixMilli()})
	answer := exchange.Answer{Err: err, Silent: true, Messages: told}
	if err == nil && s.tasks != nil {
		answer.Replies, answer.Err = s.tasks.Informed(ctx, r.Ref(), p.module, p.version)
	}
	for _, hook := range s.hooks {
		if answer.Err == nil {
			var more []record.Reply
			more, answer.Err = hook(ctx, r.Ref())
			answer.Replies = append(answer.Replies, more...)
		}
	}
	return answer
}

// told is what rules see of a version report: nothing if the module has that version already, unless that is of this very report, which
// was stored and perhaps not handed over.
func (s *Service) told(ctx context.Context, r *exchange.Request, module, version string) ([]message.Message, error) {
	rec := r.Record
	if !r.Any(rec.Device.ProductKey) || !r.Wants(message.OTAVersion, rec.Device.ProductKey, message.OTAVersionTopic(rec.Device)) {
		return nil, nil
	}
	before, err := s.versions.Of(ctx, []iot.DeviceRef{rec.Device}, module)
	if err != nil {
		return nil, err
	}
	if b := before[0]; b != nil && b.Version == version && b.At < rec.ReceivedAt {
		return nil, nil
	}
	return []message.Message{message.NewOTAVersion(rec.MessageID, message.Named{Device: rec.Device, IotID: rec.IotID}, module, version, rec.ReceivedAt)}, nil
}

// progress takes a progress report. One without a task is ignored: Link SDK C 3.x reports downloads of configurations here.
func (s *Service) progress(ctx context.Context, r *exchange.Request) exchange.Answer {
	p := read(r.Alink.Params)
	if !p.stepped || p.step < -4 || p.step > 100 || !validName(p.module) {
		return exchange.Answer{Err: alink.ErrParamsMalformed, Silent: true}
	}
	if s.tasks == nil {
		return exchange.Answer{Silent: true}
	}
	return exchange.Answer{Err: s.tasks.Progressed(ctx, r.Ref(), p.module, p.step, p.desc), Silent: true}
}

// get answers thing/ota/firmware/get.
func (s *Service) get(ctx context.Context, r *exchange.Request) exchange.Answer {
	data, err := s.pending(ctx, r, false)
	return exchange.Answer{Data: data, Err: err}
}

// request answers /ota/device/request, on the same topic, if there is something to say, and else not at all.
func (s *Service) request(ctx context.Context, r *exchange.Request) exchange.Answer {
	data, err := s.pending(ctx, r, true)
	answer := exchange.Answer{Err: err, Silent: true}
	if err == nil && data != nil {
		answer.Replies = []record.Reply{{Topic: topic.Cut(r.Record.Topic), Payload: Notice(data, s.now())}}
	}
	return answer
}

func (s *Service) pending(ctx context.Context, r *exchange.Request, legacy bool) ([]byte, error) {
	module := read(r.Alink.Params).module
	if !validName(module) {
		return nil, alink.ErrParamsMalformed
	}
	if s.tasks == nil {
		return nil, nil
	}
	return s.tasks.Pending(ctx, r.Ref(), module, legacy)
}

// Notice is what goes out on /ota/device/upgrade, and answers a legacy request ("Upgrade notice"): code is a string, id a number, and
// the members are in the order that firmware scans for.
func Notice(data []byte, now time.Time) []byte {
	return fmt.Appendf(nil, `{"code":"1000","data":%s,"id":%d,"message":"success"}`, data, now.UnixMilli())
}

// params are those of all requests of this package.
type params struct {
	module, version, desc string
	step                  int
	stepped               bool
}

func read(raw []byte) params {
	p := params{module: DefaultModule}
	for name, value := range alink.Members(raw) {
		text := string(value)
		if text[0] == '"' {
			text = string(alink.Unquote(value))
		}
		switch string(name) {
		case "module":
			if text != "" && text != "null" {
				p.module = text
			}
		case "version":
			p.version = text
		case "desc":
			p.desc = text
		case "step":
			n, err := fmt.Sscanf(text, "%d", &p.step)
			p.stepped = n == 1 && err == nil
		}
	}
	return p
}

// validName holds modules and versions to 1 to 64 printable characters. Firmware in the field uses more than the [A-Za-z0-9._-] that
// packages are held to.
func validName(s string) bool {
	if len(s) < 1 || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// maxPart bounds a block that is read for a device ("Download over MQTT").
const maxPart = 128 << 10

// download answers thing/file/download: a frame of a header and a block, which Link SDK C takes on thing/file/download_reply.
func (s *Service) download(ctx context.Context, r *exchange.Request) exchange.Answer {
	q, err := readDownload(r.Record.Payload)
	var block []byte
	var length int64
	if err == nil {
		found := false
		if s.tasks != nil {
			block, length, found, err = s.tasks.Block(ctx, r.Ref(), q.stream, q.file, q.offset, int(min(q.size, maxPart)))
		}
		if err == nil && !found {
			err = errStream
		}
	}
	answer := exchange.Answer{Err: err, Silent: true}
	if iot.Is(err, iot.Throttled) || iot.Is(err, iot.Unavailable) {
		return answer
	}
	code, message := alink.CodeOf(err)
	answer.Replies = []record.Reply{{
		Topic: r.Up.ReplyTopic(r.Record.Topic), Payload: appendFrame(&q, code, message, length, block),
	}}
	return answer
}

var errStream = &alink.Error{Code: alink.CodeFailed, Cause: refusal.FileStreamUnknown, Message: "no such file", Kind: iot.NotPermitted}

// appendFrame makes [2 bytes big endian: length of the header][header][block][CRC-16/ARC, little endian].
func appendFrame(q *downloadRequest, code int, message string, length int64, block []byte) []byte {
	head := alink.AppendString([]byte(`{"id":`), q.id)
	head = fmt.Appendf(head, `,"code":%d,"msg":`, code)
	head = append(alink.AppendString(head, message), `,"data":{"fileToken":`...)
	head = alink.AppendString(head, q.token)
	head = fmt.Appendf(head, `,"fileLength":%d,"bSize":%d,"bOffset":%d}}`, length, len(block), max(q.offset, 0))
	b := binary.BigEndian.AppendUint16(make([]byte, 0, len(head)+len(block)+4), uint16(len(head)))
	b = append(append(b, head...), block...)
	return binary.LittleEndian.AppendUint16(b, alink.CRC16(block))
}
