// Package custom takes what devices publish on topics of their products' own and somebody wants to see (rule engine reference, "What
// happens to a message"): a connector hands it to the function `rule` as a batch of records, and acknowledges it to the device once this
// package has sent it on, which makes it durable. With ?_sn=default behind its topic the product's script makes JSON of it first
// ("Custom-topic parsing" of the device protocol); rules see the topic without that.
package custom

import (
	"context"
	"log/slog"
	"strings"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/message"
	"relink/shared/record"
	"relink/shared/redelivery"
	"relink/shared/refusal"
	"relink/shared/script"
	"relink/shared/topic"
)

// A Transformer runs scripts; *script.Service is one.
type Transformer interface {
	Transform(ctx context.Context, from script.Source, topic string, payload []byte) ([]byte, error)
}

// A Desk takes batches. It is safe for concurrent use.
type Desk struct {
	Rules   *message.Sender
	Scripts Transformer
	Log     *slog.Logger
	// Again, if set, has messages that a device sends for the second time taken for the ones that they repeat.
	Again *redelivery.Service
}

// Serve sends a batch on. The results have its order: 200 once a message is durable or nobody wants it any more, the cause of a script
// that failed, which drops the message, or that it is to be tried again.
func (d *Desk) Serve(ctx context.Context, records []record.Record) []record.Result {
	results := make([]record.Result, len(records))
	list := make([]message.Message, 0, len(records))
	var open []int // records of list
	unknown, err := d.resolve(ctx, records)
	for _, i := range unknown {
		results[i] = retry(err)
	}
	for i := range records {
		if results[i].Retry {
			continue
		}
		rec := &records[i]
		m := message.Message{ID: rec.MessageID, Topic: topic.Cut(rec.Topic), Kind: message.Custom, Device: rec.Device, IotID: rec.IotID,
			GeneratedAt: rec.ReceivedAt, QoS: rec.QoS, Payload: rec.Payload}
		results[i].Code = alink.CodeOK
		if parsed(rec.Topic) && d.Rules.Any(rec.Device.ProductKey) {
			payload, err := d.Scripts.Transform(ctx, script.Source{Device: rec.Device, MessageID: rec.MessageID}, m.Topic, rec.Payload)
			if err != nil {
				results[i] = d.failed(ctx, rec, err)
				continue
			}
			m.Payload = payload
		}
		list, open = append(list, m), append(open, i)
	}
	if err := d.Rules.Send(ctx, list); err != nil {
		d.Log.LogAttrs(ctx, slog.LevelError, "messages not handed to the rule engine", slog.Int("records", len(list)), logs.Err(err))
		for _, i := range open {
			results[i] = retry(err)
		}
	}
	return results
}

// resolve recognizes repetitions, and notes what is new.
func (d *Desk) resolve(ctx context.Context, records []record.Record) (unknown []int, err error) {
	if d.Again == nil {
		return nil, nil
	}
	unknown, err = d.Again.Resolve(ctx, records)
	lost := make(map[int]bool, len(unknown))
	for _, i := range unknown {
		lost[i] = true
	}
	which := make([]int, 0, len(records))
	for i := range records {
		if !lost[i] {
			which = append(which, i)
		}
	}
	for j, e := range d.Again.Note(ctx, records, which) {
		if e != nil {
			unknown, err = append(unknown, which[j]), e
		}
	}
	return unknown, err
}

// Invoke is Serve on the wire. An error means that the batch could not be read.
func (d *Desk) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	batch, err := record.DecodeBatch(event)
	if err != nil {
		return nil, err
	}
	return record.AppendResults(nil, d.Serve(ctx, batch.Records)), nil
}

// parsed tells whether the publisher wants its message parsed.
func parsed(name string) bool {
	_, query, _ := strings.Cut(name, "?")
	for part := range strings.SplitSeq(query, "&") {
		if part == "_sn=default" {
			return true
		}
	}
	return false
}

func (d *Desk) failed(ctx context.Context, rec *record.Record, err error) record.Result {
	if iot.Is(err, iot.Unavailable) || iot.Is(err, iot.Throttled) && refusal.CauseOf(err) == "" {
		return retry(err)
	}
	d.Log.LogAttrs(ctx, slog.LevelWarn, "message dropped by its script", logs.Device(rec.Device), slog.String(logs.FieldMessageID, rec.MessageID), logs.Err(err))
	code, text := alink.CodeOf(err)
	return record.Result{Code: int32(code), Reason: string(exchange.CauseOf(err)), Detail: text}
}

func retry(err error) record.Result {
	reason := refusal.FunctionFailed
	if iot.Is(err, iot.Throttled) {
		reason = refusal.StoreThrottled
	}
	return record.Result{Code: alink.CodeInternal, Reason: string(reason), Retry: true}
}
