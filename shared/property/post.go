// Package property takes what devices post of their properties: it checks it against the product's thing model, stores it, and
// says what each device hears. It follows "Property post" and "Validation" of the device protocol.
package property

import (
	"context"
	"log/slog"
	"time"

	"relink/shared/alink"
	"relink/shared/desired"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/message"
	"relink/shared/record"
	"relink/shared/redelivery"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/topic"
	"relink/shared/tsl"
)

// A Service takes property posts. It is safe for concurrent use.
type Service struct {
	products   *store.CachedProducts
	properties store.Properties
	events     store.Events
	devices    store.Devices
	topology   store.Topology
	again      *redelivery.Service
	desk       *exchange.Desk  // for what is no post
	rules      *message.Sender // nil: nobody wants anything
	log        *slog.Logger
}

// Stores is where products, devices and what they post are.
type Stores interface {
	Products() store.Products
	Devices() store.Devices
	Properties() store.Properties
	Events() store.Events
	Receipts() store.Receipts
	DesiredProperties() store.DesiredProperties
	Topology() store.Topology
}

// New makes a service. now is the clock of its product cache, time.Now if nil.
func New(s Stores, log *slog.Logger, now func() time.Time) *Service {
	again := redelivery.NewPosts(s.Receipts(), s.Properties())
	return &Service{
		products: store.NewCachedProducts(s.Products(), now), properties: s.Properties(), events: s.Events(), devices: s.Devices(),
		topology: s.Topology(), log: log, again: again,
		desk: &exchange.Desk{Families: desired.New(s.DesiredProperties()).Families(), Log: log, Again: again, Noted: []topic.Family{topic.DesiredDelete}},
	}
}

// batch is one call of Post on its way.
type batch struct {
	records []record.Record
	results []record.Result
	posts   []store.Post
	waiting []waiting // for each of posts
	values  []store.Value
	replies []record.Reply // one per record at most; results have parts of it
	buffer  []byte         // payloads of replies
	data    []byte
	known   *store.CachedProduct // of the record before: most batches are of few products

	many      []many        // messages that carry several posts and events
	events    []store.Event // of many
	eventOf   []int         // for each of events, the place of its message in many, counted from 1
	relations relations
	others    []int  // records that are no posts
	told      []told // for the rule engine
}

// waiting is an answer that holds once the post is stored.
type waiting struct {
	record int32
	reply  int32 // index in replies, -1 if the device wants none
	code   int32
	many   int32 // the post is one of several of its message: place in batch.many, counted from 1; 0 if it is alone
	reason string
	detail string
}

// noModel stands for the model of products that have none: it has no property.
var noModel = new(tsl.Model)

// Post takes a batch; the results have its order. A record that comes again is stored once and answered alike: what has no
// time of its own has the time of its arrival, and the message id is part of its place.
//
// Of a post of which some was refused, or all of it, the device is told 200 and which ("Effect on the reply"); the result's code
// is then 6332, with the cause of the first refusal as reason, for the log.
func (s *Service) Post(ctx context.Context, records []record.Record) []record.Result {
	n := len(records)
	b := batch{
		records: records, results: make([]record.Result, n), posts: make([]store.Post, 0, n), waiting: make([]waiting, 0, n),
		values: make([]store.Value, 0, 4*n), replies: make([]record.Reply, 0, n), buffer: make([]byte, 0, 160*n),
	}
	if s.unknown(ctx, b.results) {
		return b.results
	}
	unknown, err := s.again.Resolve(ctx, records)
	s.relate(ctx, &b)
	for i := range records {
		if len(unknown) > 0 && unknown[0] == i {
			unknown = unknown[1:]
			b.results[i] = retry(err)
			continue
		}
		s.check(ctx, &b, i)
	}
	s.noteMany(ctx, &b)
	if len(b.posts) > 0 {
		s.store(ctx, &b)
	}
	s.storeEvents(ctx, &b)
	s.settleMany(ctx, &b)
	s.handOver(ctx, &b)
	s.serveOthers(ctx, &b)
	return b.results
}

// store stores what passed and settles the records that are one post.
func (s *Service) store(ctx context.Context, b *batch) {
	for i, err := range s.properties.Post(ctx, b.posts) {
		w := &b.waiting[i]
		if w.many > 0 {
			b.many[w.many-1].note(err)
			continue
		}
		r := &b.results[w.record]
		switch {
		case err == nil:
			*r = record.Result{Code: w.code, Reason: w.reason, Detail: w.detail}
			if w.reply >= 0 {
				r.Replies = b.replies[w.reply : w.reply+1 : w.reply+1]
			}
		case iot.Is(err, iot.Throttled) || iot.Is(err, iot.Unavailable):
			*r = retry(err)
		default:
			s.failed(ctx, b, int(w.record), int(w.reply), err)
		}
	}
}

// serveOthers serves the records that are no posts.
func (s *Service) serveOthers(ctx context.Context, b *batch) {
	if len(b.others) == 0 {
		return
	}
	records := make([]record.Record, 0, len(b.others))
	for _, i := range b.others {
		records = append(records, b.records[i])
	}
	for j, r := range s.desk.Serve(ctx, "", records) {
		b.results[b.others[j]] = r
	}
}

// check reads and checks one record. It either settles its result or adds it to what is to be stored.
func (s *Service) check(ctx context.Context, b *batch, i int) {
	rec := &b.records[i]
	up, err := topic.ParseUplink(rec.Topic)
	if err != nil {
		b.results[i] = record.Result{Code: alink.CodeTopic, Reason: string(refusal.UnknownTopic)}
		return
	}
	switch up.Family {
	case topic.PropertyPost:
	case topic.PropertyBatchPost, topic.PropertyPackPost, topic.PropertyHistoryPost:
		s.checkMany(ctx, b, i, up)
		return
	default:
		b.others = append(b.others, i)
		return
	}
	replyTopic := up.ReplyTopic(rec.Topic)
	req, err := alink.Parse(rec.Payload)
	if !req.Ack {
		replyTopic = ""
	}
	if err != nil {
		b.refuse(i, replyTopic, req.ID, up.Method, err)
		return
	}
	product, err := s.product(ctx, b, rec.Device.ProductKey)
	if err != nil {
		if iot.Is(err, iot.Throttled) || iot.Is(err, iot.Unavailable) {
			b.results[i] = retry(err)
			return
		}
		if !iot.Is(err, iot.ProductNotFound) {
			s.log.LogAttrs(ctx, slog.LevelError, "product not read", logs.Device(rec.Device), slog.String(logs.FieldMessageID, rec.MessageID), logs.Err(err))
		}
		b.refuse(i, replyTopic, req.ID, up.Method, err)
		return
	}
	if product.ThingErr != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "thing model not usable", logs.Device(rec.Device), slog.String(logs.FieldMessageID, rec.MessageID), logs.Err(product.ThingErr))
		b.refuse(i, replyTopic, req.ID, up.Method, alink.ErrValidator)
		return
	}
	model, mode := product.Thing, tsl.Mode(product.ValidateType)
	if model == nil {
		model = noModel
	}
	checked, err := tsl.CheckPost(model, req.Params, mode, rec.ReceivedAt)
	if err != nil {
		b.refuse(i, replyTopic, req.ID, up.Method, err)
		return
	}
	w := waiting{record: int32(i), code: alink.CodeOK}
	if len(checked.Failed) > 0 {
		w.code, w.reason = alink.CodeChecked, string(checked.Failed[0].Cause)
		if product.Thing == nil {
			w.reason = string(refusal.ModelMissing)
		} else {
			w.detail = detailOf(checked.Failed)
		}
	}
	b.data = checked.AppendData(b.data[:0])
	w.reply = int32(b.reply(replyTopic, alink.CodeOK, req.ID, b.data, alink.MessageOK, up.Method))
	b.keep(w, &checked, mode)
	if s.rules.Any(rec.Device.ProductKey) {
		s.tell(b, i, req.ID, product, &checked)
	}
}

// keep adds what passed to what is to be stored. Values that nothing checked are not stored ("Validation", none).
func (b *batch) keep(w waiting, checked *tsl.Checked, mode tsl.Mode) {
	if mode == tsl.None || len(checked.Values) == 0 {
		r := &b.results[w.record]
		*r = record.Result{Code: w.code, Reason: w.reason, Detail: w.detail}
		if w.reply >= 0 {
			r.Replies = b.replies[w.reply : w.reply+1 : w.reply+1]
		}
		return
	}
	start := len(b.values)
	for _, v := range checked.Values {
		b.values = append(b.values, store.Value{Identifier: v.Identifier, Time: v.Time, JSON: v.JSON})
	}
	rec := &b.records[w.record]
	b.posts = append(b.posts, store.Post{Ref: rec.Device, MessageID: rec.MessageID, Values: b.values[start:len(b.values):len(b.values)],
		Receipt: redelivery.ReceiptOf(rec), ReceivedAt: rec.ReceivedAt})
	b.waiting = append(b.waiting, w)
}

func (s *Service) product(ctx context.Context, b *batch, key iot.ProductKey) (*store.CachedProduct, error) {
	if b.known != nil && b.known.Key == key {
		return b.known, nil
	}
	p, err := s.products.Get(ctx, key)
	if err == nil {
		b.known = p
	}
	return p, err
}

// failed answers a post that could not be stored for a reason that will not pass.
func (s *Service) failed(ctx context.Context, b *batch, i, reply int, err error) {
	rec := &b.records[i]
	s.log.LogAttrs(ctx, slog.LevelError, "properties not stored", logs.Device(rec.Device), slog.String(logs.FieldMessageID, rec.MessageID), logs.Err(err))
	replyTopic, id := "", ""
	if reply >= 0 {
		replyTopic = b.replies[reply].Topic
		if req, err := alink.Parse(rec.Payload); err == nil {
			id = req.ID
		}
	}
	code, message := alink.CodeOf(err)
	b.results[i] = record.Result{Code: int32(code), Reason: string(refusal.FunctionFailed)}
	if replyTopic != "" {
		b.results[i].Replies = []record.Reply{{
			Topic: replyTopic, Payload: alink.AppendReply(nil, code, id, nil, message, topic.PropertyPost.Method()),
		}}
	}
}
