// Package exchange is what all functions have in common that answer requests of devices: a record is read, handed to whoever serves its
// topic, and answered as "The Alink envelope" of the device protocol says. What a family of topics does is in a package of its own
// (shadow, topology, event …); property posts, the hot path, have their own reading and writing in package property.
//
// Records of one device are served in the order of the batch, those of different devices at the same time.
package exchange

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/message"
	"relink/shared/record"
	"relink/shared/redelivery"
	"relink/shared/refusal"
	"relink/shared/topic"
)

// workers bounds the devices that one batch serves at the same time.
const workers = 32

// A Request is one message of one device.
type Request struct {
	Node   string // of the connector that has the message
	Record *record.Record
	Up     topic.Uplink
	Alink  alink.Request // zero for a Raw server

	rules *message.Sender
}

// Ref is whose message it is: the device, or the sub-device behind its gateway.
func (r *Request) Ref() iot.DeviceRef { return r.Record.Device }

// Wants tells whether somebody wants a message of the rule engine, before a server makes it.
func (r *Request) Wants(kind message.Kind, pk iot.ProductKey, topic string) bool {
	return r.rules.Wants(kind, pk, topic)
}

// Any tells whether anything of a product may be wanted, before a server makes the topic.
func (r *Request) Any(pk iot.ProductKey) bool { return r.rules.Any(pk) }

// An Answer is what a server makes of a request. With Err set, code and message are those of alink.CodeOf(Err), its cause is the
// log's reason, and Data is still sent; Throttled and Unavailable mean that nothing was decided, and the record is tried again.
type Answer struct {
	Data   []byte        // of the reply; {} if empty
	Err    error         // nil: 200
	Cause  refusal.Cause // of a 200 about which the log has something to say
	Detail string        // for the log
	Silent bool          // no reply whatever happened, for topics that have none
	QoS    byte          // of the reply
	// Replies go to the device before the reply proper: what follows from the request. Topics are whole.
	Replies []record.Reply
	// Sessions is for the connector alone: sub-devices that came and went (package device). It is Result.Data.
	Sessions []byte
	// Messages are for the rule engine: what the request has brought about, and is stored. They are handed over before the device hears
	// anything, unless Err says that nothing was decided; those that nobody wants are left out.
	Messages []message.Message
}

// A Server answers one request. It is called from several goroutines, never twice at a time for one device.
type Server func(ctx context.Context, r *Request) Answer

// A Family is how the messages of one family of topics are served.
type Family struct {
	Serve Server
	// Raw: the payload is not an Alink envelope; it is not read, and the server makes the whole reply, in Answer.Replies.
	Raw bool
}

// A Desk serves batches. Families that are missing are answered with "not supported".
type Desk struct {
	Families map[topic.Family]Family
	Log      *slog.Logger
	// Again, if set, has messages that a device sends for the second time taken for the ones that they repeat (package redelivery).
	Again *redelivery.Service
	// Noted, if set, are the families whose messages are noted for Again: those of which a repetition does harm. All of them, if nil.
	Noted []topic.Family
	// Rules, if set, takes the messages of the answers.
	Rules *message.Sender
}

// Serve answers a batch; the results have its order.
func (d *Desk) Serve(ctx context.Context, node string, records []record.Record) []record.Result {
	results := make([]record.Result, len(records))
	if err := d.Rules.Refresh(ctx); err != nil {
		d.Log.LogAttrs(ctx, slog.LevelError, "requests not taken: it is not known what rules want", logs.Err(err))
		for i := range results {
			results[i] = retry(err)
		}
		return results
	}
	told := make([][]message.Message, len(records))
	defer func() { d.handOver(ctx, results, told) }()
	if d.Again != nil {
		d.recognize(ctx, records, results)
	}
	if len(records) == 1 {
		if !results[0].Retry {
			results[0], told[0] = d.one(ctx, node, &records[0])
		}
		return results
	}
	queues := make(map[iot.DeviceRef][]int)
	var order []iot.DeviceRef
	for i := range records {
		ref := records[i].Device
		if queues[ref] == nil {
			order = append(order, ref)
		}
		queues[ref] = append(queues[ref], i)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, workers)
	for _, ref := range order {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			blocked := false
			for _, i := range queues[ref] {
				if blocked { // nothing of a device overtakes what is tried again
					results[i] = retry(iot.Errorf(iot.Unavailable, "after a message that is tried again"))
					continue
				}
				if !results[i].Retry {
					results[i], told[i] = d.one(ctx, node, &records[i])
				}
				blocked = results[i].Retry
			}
		})
	}
	wg.Wait()
	return results
}

// recognize resolves and notes the messages of a batch. Those of which it cannot be known get their results.
func (d *Desk) recognize(ctx context.Context, records []record.Record, results []record.Result) {
	unknown, err := d.Again.Resolve(ctx, records)
	for _, i := range unknown {
		results[i] = retry(err)
	}
	which := make([]int, 0, len(records))
	for i := range records {
		if !results[i].Retry && d.notes(records[i].Topic) {
			which = append(which, i)
		}
	}
	for j, err := range d.Again.Note(ctx, records, which) {
		if err != nil {
			results[which[j]] = retry(err)
		}
	}
}

// notes tells whether messages on a topic are noted.
func (d *Desk) notes(name string) bool {
	if d.Noted == nil {
		return true
	}
	up, err := topic.ParseUplink(name)
	return err == nil && slices.Contains(d.Noted, up.Family)
}

// Invoke is Serve on the wire. An error means that the batch could not be read.
func (d *Desk) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	batch, err := record.DecodeBatch(event)
	if err != nil {
		return nil, err
	}
	return record.AppendResults(nil, d.Serve(ctx, batch.Node, batch.Records)), nil
}

// handOver sends what the answers have for the rule engine. Records of which something may not have been handed over are tried again.
func (d *Desk) handOver(ctx context.Context, results []record.Result, told [][]message.Message) {
	var list []message.Message
	for i := range told {
		if !results[i].Retry {
			list = append(list, told[i]...)
		}
	}
	if len(list) == 0 {
		return
	}
	err := d.Rules.Send(ctx, list)
	if err == nil {
		return
	}
	d.Log.LogAttrs(ctx, slog.LevelError, "messages not handed to the rule engine", slog.Int("records", len(list)), logs.Err(err))
	for i := range told {
		if len(told[i]) > 0 && !results[i].Retry {
			results[i] = retry(err)
		}
	}
}

func (d *Desk) one(ctx context.Context, node string, rec *record.Record) (record.Result, []message.Message) {
	up, err := topic.ParseUplink(rec.Topic)
	if err != nil {
		return record.Result{Code: alink.CodeTopic, Reason: string(refusal.UnknownTopic)}, nil
	}
	family, known := d.Families[up.Family]
	r := Request{Node: node, Record: rec, Up: up, rules: d.Rules}
	reply := ""
	if !family.Raw {
		reply = up.ReplyTopic(rec.Topic)
		if r.Alink, err = alink.Parse(rec.Payload); err != nil {
			return d.result(ctx, &r, reply, Answer{Err: err}), nil
		}
	}
	if !known {
		return d.result(ctx, &r, reply, Answer{Err: errUnknown}), nil
	}
	answer := family.Serve(ctx, &r)
	return d.result(ctx, &r, reply, answer), answer.Messages
}

var errUnknown = &alink.Error{Code: alink.CodeMethodNotDefined, Cause: refusal.NotYetSupported, Message: alink.MessageNotSupported, Kind: iot.InvalidParams}

// result makes the record's result of an answer.
func (d *Desk) result(ctx context.Context, r *Request, reply string, a Answer) record.Result {
	if iot.Is(a.Err, iot.Throttled) && refusal.CauseOf(a.Err) == "" || iot.Is(a.Err, iot.Unavailable) {
		return retry(a.Err)
	}
	code, message := alink.CodeOf(a.Err)
	result := record.Result{Code: int32(code), Reason: string(a.Cause), Detail: a.Detail, Replies: a.Replies, Data: a.Sessions}
	if a.Err != nil {
		result.Reason = string(CauseOf(a.Err))
		switch detail := alink.DetailOf(a.Err); {
		case result.Detail == "" && detail == "":
			result.Detail = message
		case result.Detail == "":
			result.Detail = detail
		case detail != "":
			result.Detail += ": " + detail
		}
		if code == alink.CodeInternal {
			d.Log.LogAttrs(ctx, slog.LevelError, "request not served", logs.Device(r.Record.Device), slog.String(logs.FieldTopic, r.Record.Topic),
				slog.String(logs.FieldMessageID, r.Record.MessageID), logs.Err(a.Err))
		}
	}
	if reply != "" && !a.Silent && r.Alink.Ack {
		result.Replies = append(result.Replies, record.Reply{
			Topic: reply, Payload: alink.AppendReply(nil, code, r.Alink.ID, a.Data, message, r.Up.Method), QoS: a.QoS,
		})
	}
	return result
}

func retry(err error) record.Result {
	cause := CauseOf(err)
	if iot.Is(err, iot.Throttled) {
		cause = refusal.StoreThrottled
	}
	return record.Result{Code: alink.CodeInternal, Reason: string(cause), Retry: true}
}

// kinds are the causes of errors that nobody gave one.
var kinds = map[iot.Kind]refusal.Cause{
	iot.ProductNotFound: refusal.ProductNotFound,
	iot.DeviceNotFound:  refusal.DeviceNotFound,
	iot.DeviceDisabled:  refusal.DeviceDisabled,
	iot.InvalidParams:   refusal.ParamsMalformed,
	iot.ModelNotFound:   refusal.ModelMissing,
}

// CauseOf is the cause of err for the log; never empty unless err is nil.
func CauseOf(err error) refusal.Cause {
	if err == nil {
		return ""
	}
	if cause := refusal.CauseOf(err); cause != "" {
		return cause
	}
	if cause := kinds[iot.KindOf(err)]; cause != "" {
		return cause
	}
	return refusal.FunctionFailed
}
