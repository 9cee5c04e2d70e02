// Package shadow keeps the shadow of each device: a document with what the device has reported and what applications desire of it,
// which both can read and change when the other is away. It is independent of the thing model. The rules, the codes and the exact
// shape of the messages are those of "Device shadow" in the device protocol.
package shadow

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/topic"
)

// A Service serves devices and applications. It is safe for concurrent use.
type Service struct {
	shadows store.Shadows
	now     func() time.Time
	rates   rates
}

// New makes a service. now is the clock, time.Now if nil.
func New(shadows store.Shadows, now func() time.Time) *Service {
	if now == nil {
		now = time.Now
	}
	return &Service{shadows: shadows, now: now}
}

// Serve answers a message on /shadow/update/{pk}/{dn}; it is the server of a Raw family. The reply goes to /shadow/get/{pk}/{dn}, with QoS 1.
// A device that asks more than 20 times a second gets none for the excess.
func (s *Service) Serve(ctx context.Context, r *exchange.Request) exchange.Answer {
	rec := r.Record
	if rec.Attempt == 0 && !s.rates.allow(r.Ref(), time.UnixMilli(rec.ReceivedAt)) {
		return exchange.Answer{Err: errTooMany}
	}
	at := s.now()
	reply, err := s.Message(ctx, r.Ref(), rec.MessageID, rec.Payload, at)
	if iot.Is(err, iot.Throttled) || iot.Is(err, iot.Unavailable) {
		return exchange.Answer{Err: err}
	}
	return exchange.Answer{Err: err, Replies: []record.Reply{{Topic: r.Up.ReplyTopic(rec.Topic), Payload: reply, QoS: 1}}}
}

var errTooMany = &alink.Error{Code: alink.CodeTooManyRequests, Cause: refusal.RateLimitedShadow, Message: "too many requests", Kind: iot.Throttled}

// Message carries out one message of a device and makes the reply. Its error is for the log, and the reply tells it, except Throttled and
// Unavailable: then nothing was decided and there is no reply. The same message again is answered the same, as long as the device has
// sent no other.
func (s *Service) Message(ctx context.Context, dev iot.DeviceRef, messageID string, payload []byte, at time.Time) ([]byte, error) {
	r, err := parse(payload)
	if err != nil {
		return appendError(nil, err, r.token, at), err
	}
	var reply []byte
	err = store.Revise(ctx, func() error {
		row, err := s.shadows.Get(ctx, dev)
		if err != nil {
			return err
		}
		d, err := open(row)
		if err != nil {
			return err
		}
		switch {
		case r.method == methodGet:
			reply = d.appendReply(nil, r.token, at)
			return nil
		case messageID != "" && row.MessageID == messageID:
			reply = appendDone(nil, row.MessageVersion, r.token, at)
			return nil
		case !d.apply(&r, at.Unix()):
			return problem(codeConflict, "shadow version conflict")
		}
		row.MessageID, row.MessageVersion = messageID, row.Version
		if err := d.close(at.UnixMilli()); err != nil {
			return err
		}
		reply = appendDone(nil, row.Version, r.token, at)
		return s.shadows.Put(ctx, row)
	})
	switch {
	case iot.Is(err, iot.Throttled), iot.Is(err, iot.Unavailable):
		return nil, err
	case err != nil:
		return appendError(nil, err, r.token, at), err
	}
	return reply, nil
}

// apply changes a document as a device asks; false if the version is not greater.
func (d *document) apply(r *request, at int64) bool {
	if !d.advance(r.version, r.hasVersion) {
		return false
	}
	switch {
	case r.dropReported:
		d.reported = node{}
	case r.reported == nil:
	case r.method == methodUpdate:
		d.reported.merge(r.reported, at)
	default:
		d.reported.take(r.reported)
	}
	if r.dropDesired {
		d.desired = node{}
		d.row.ClearedAt = at
	}
	return true
}

// appendDone is the reply to an update or delete. The word "state" must not be in it: firmware takes that for the reply to a get.
func appendDone(dst []byte, version int64, token string, at time.Time) []byte {
	dst = append(dst, `{"method":"reply","payload":{"status":"success","version":`...)
	dst = strconv.AppendInt(dst, version, 10)
	return append(appendTail(append(dst, '}'), token, at), '}')
}

func appendError(dst []byte, err error, token string, at time.Time) []byte {
	code, message := codeInternal, "internal error"
	if e, ok := errors.AsType[*alink.Error](err); ok {
		code, message = e.Code, e.Message
	}
	dst = append(dst, `{"method":"reply","payload":{"status":"error","content":{"errorcode":"`...)
	dst = strconv.AppendInt(dst, int64(code), 10)
	dst = append(dst, `","errormessage":`...)
	dst = alink.AppendString(dst, message)
	return append(appendTail(append(dst, '}', '}'), token, at), '}')
}

func appendTail(dst []byte, token string, at time.Time) []byte {
	dst = append(dst, `,"clientToken":`...)
	dst = alink.AppendString(dst, token)
	dst = append(dst, `,"timestamp":`...)
	return strconv.AppendInt(dst, at.Unix(), 10)
}

// appendReply is the reply to a get.
func (d *document) appendReply(dst []byte, token string, at time.Time) []byte {
	dst = append(dst, `{"method":"reply","payload":{"status":"success",`...)
	dst = d.appendContent(dst)
	dst = append(dst, `},"timestamp":`...)
	dst = strconv.AppendInt(dst, at.Unix(), 10)
	dst = append(dst, `,"version":`...)
	dst = strconv.AppendInt(dst, d.row.Version, 10)
	dst = append(dst, `,"clientToken":`...)
	dst = alink.AppendString(dst, token)
	return append(dst, '}')
}

// Topic is where a device hears of its shadow.
func Topic(dev iot.DeviceRef) string {
	return topic.Uplink{Device: dev, Family: topic.ShadowUpdate}.ReplyTopic("")
}

// Limits of requests of one device.
const (
	perSecond = 20
	maxRates  = 20_000 // devices that are watched
)

// rates holds each device to 20 requests a second. It counts in the memory of this instance, by the time at which the connector had the
// message; a device's messages mostly come to one instance. That it protects is the store, and the connector's own limits hold besides.
type rates struct {
	mu      sync.Mutex
	buckets map[iot.DeviceRef]*rate.Limiter
}

func (r *rates) allow(dev iot.DeviceRef, at time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.buckets[dev]
	if b == nil {
		if r.buckets == nil || len(r.buckets) >= maxRates {
			r.buckets = make(map[iot.DeviceRef]*rate.Limiter)
		}
		b = rate.NewLimiter(perSecond, perSecond)
		r.buckets[dev] = b
	}
	return b.AllowN(at, 1)
}
