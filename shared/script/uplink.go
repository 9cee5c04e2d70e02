package script

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/redelivery"
	"relink/shared/refusal"
	"relink/shared/topic"
)

// A Handle serves records of Alink JSON; the results have the order of the records.
type Handle func(ctx context.Context, node string, records []record.Record) []record.Result

// posts are the families whose messages may come as raw data ("Flow for products with data format custom").
var posts = map[topic.Family]bool{
	topic.PropertyPost: true, topic.EventPost: true, topic.PropertyBatchPost: true, topic.PropertyPackPost: true, topic.PropertyHistoryPost: true,
}

// translating bounds the scripts that one batch runs at the same time.
const translating = 4

// Serve serves a batch in which some records may be raw data. What their script makes of them is handled in their place, exactly as if it
// had arrived on its Alink topic, and the reply goes back through the script. A batch without raw data goes on as it is.
//
// The device hears nothing of what goes wrong in the script: it could not be put into its format. The result has the cause.
func (s *Service) Serve(ctx context.Context, node string, records []record.Record, next Handle) []record.Result {
	first := -1
	for i := range records {
		if isRaw(records[i].Topic) {
			first = i
			break
		}
	}
	if first < 0 {
		return next(ctx, node, records)
	}
	b := &rawBatch{records: records, results: make([]record.Result, len(records)), decoded: make([]decoded, len(records))}
	s.decodeAll(ctx, b)
	var index []int
	for i := range b.decoded {
		if b.decoded[i].goesOn {
			index = append(index, i)
		}
	}
	if len(index) == 0 {
		return b.results
	}
	alinks := make([]record.Record, len(index))
	for n, i := range index {
		alinks[n] = b.decoded[i].record
	}
	done := next(ctx, node, alinks)
	parallel(len(index), func(n int) {
		i := index[n]
		if b.results[i] = done[n]; b.decoded[i].raw {
			s.encodeReplies(ctx, &b.records[i], &b.decoded[i], &b.results[i])
		}
	})
	return b.results
}

func isRaw(name string) bool {
	const suffix = "/thing/model/up_raw"
	if i := strings.IndexByte(name, '?'); i >= 0 {
		name = name[:i]
	}
	return strings.HasSuffix(name, suffix) && strings.HasPrefix(name, "/sys/")
}

// A rawBatch is one call of Serve on its way.
type rawBatch struct {
	records []record.Record
	results []record.Result
	decoded []decoded
}

// decoded is what became of a record.
type decoded struct {
	record record.Record // as it goes on
	raw    bool          // it was raw data
	goesOn bool          // otherwise it has its result
}

// decodeAll decodes what is raw. Nothing of a device overtakes what is tried again.
func (s *Service) decodeAll(ctx context.Context, b *rawBatch) {
	parallel(len(b.records), func(i int) {
		d := &b.decoded[i]
		d.record, d.raw, d.goesOn = b.records[i], isRaw(b.records[i].Topic), true
		if !d.raw {
			return
		}
		var result record.Result
		if d.record.Topic, d.record.Payload, result, d.goesOn = s.decode(ctx, &b.records[i]); !d.goesOn {
			b.results[i] = result
		}
		d.record.Sum = redelivery.SumOf(&b.records[i])
	})
	var blocked map[iot.DeviceRef]bool
	for i := range b.records {
		ref := b.records[i].Device
		switch {
		case blocked[ref]:
			b.decoded[i].goesOn = false
			b.results[i] = again(iot.Errorf(iot.Unavailable, "after a message that is tried again"))
		case !b.decoded[i].goesOn && b.results[i].Retry:
			if blocked == nil {
				blocked = make(map[iot.DeviceRef]bool)
			}
			blocked[ref] = true
		}
	}
}

// decode makes an Alink message of raw data, or the result of what cannot be one.
func (s *Service) decode(ctx context.Context, rec *record.Record) (name string, payload []byte, result record.Result, ok bool) {
	refuse := func(err error) (string, []byte, record.Result, bool) { return "", nil, failed(err), false }
	payload, err := s.Decode(ctx, source(rec), rec.Payload)
	if err != nil {
		return refuse(err)
	}
	request, err := alink.Parse(payload)
	if err != nil && request.Method == "" {
		return refuse(err)
	}
	if request.Method == "" {
		if hasCode(payload) { // an answer on the topic of posts
			return "", nil, noted(payload), false
		}
		return refuse(&alink.Error{Code: CodeNoMethod, Cause: refusal.ScriptNoMethod, Message: "no method in what the script returned", Kind: iot.InvalidParams})
	}
	name, ok = postTopic(rec.Device, rec.Topic, request.Method)
	if !ok {
		return refuse(&alink.Error{Code: alink.CodeMethodNotDefined, Cause: refusal.ScriptMethodUnknown, Message: request.Method, Kind: iot.InvalidParams})
	}
	return name, payload, record.Result{}, true
}

// postTopic is where a message with this method would have arrived.
func postTopic(dev iot.DeviceRef, raw, method string) (string, bool) {
	rest, ok := strings.CutPrefix(method, "thing.")
	if !ok || len(method) > topic.MaxLength {
		return "", false
	}
	// The device that the topic names, which for a sub-device is not the connection's.
	base, _, _ := strings.Cut(raw, "/thing/")
	name := base + "/thing/" + strings.ReplaceAll(rest, ".", "/")
	up, err := topic.ParseUplink(name)
	return name, err == nil && posts[up.Family] && up.Method == method && up.Device.ProductKey == dev.ProductKey
}

// encodeReplies makes bytes of the reply that the handling gave.
func (s *Service) encodeReplies(ctx context.Context, rec *record.Record, d *decoded, result *record.Result) {
	if result.Retry {
		return
	}
	mine := topic.Cut(d.record.Topic) + "_reply"
	kept := make([]record.Reply, 0, len(result.Replies))
	for _, reply := range result.Replies {
		if reply.Topic != mine {
			kept = append(kept, reply)
			continue
		}
		bytes, err := s.Encode(ctx, source(rec), reply.Payload)
		if err != nil {
			if result.Reason == "" {
				result.Reason = string(refusal.ReplyNotRendered)
			}
			result.Detail = strings.TrimPrefix(result.Detail+"; ", "; ") + "the reply was not rendered: " + describe(err)
			continue
		}
		if len(bytes) > 0 {
			kept = append(kept, record.Reply{Topic: topic.Cut(rec.Topic) + "_reply", Payload: bytes, QoS: reply.QoS})
		}
	}
	result.Replies = kept
}

func source(rec *record.Record) Source { return Source{Device: rec.Device, MessageID: rec.MessageID} }

func hasCode(payload []byte) bool {
	for name := range alink.Members(payload) {
		if string(name) == "code" {
			return true
		}
	}
	return false
}

// failed is the result of a message that its script could not make sense of.
func failed(err error) record.Result {
	if iot.Is(err, iot.Throttled) && refusal.CauseOf(err) == "" || iot.Is(err, iot.Unavailable) {
		return again(err)
	}
	code, _ := alink.CodeOf(err)
	return record.Result{Code: int32(code), Reason: string(exchange.CauseOf(err)), Detail: describe(err)}
}

func again(err error) record.Result {
	cause := exchange.CauseOf(err)
	if iot.Is(err, iot.Throttled) {
		cause = refusal.StoreThrottled
	}
	return record.Result{Code: alink.CodeInternal, Reason: string(cause), Retry: true}
}

// noted is the result of a device's answer that nobody waits for.
func noted(payload []byte) record.Result {
	reply, err := alink.ParseReply(payload)
	if err != nil {
		return failed(err)
	}
	return record.Result{Code: alink.CodeOK, Detail: answered(reply)}
}

// answered says for the log what a device answered.
func answered(reply alink.Reply) string {
	return "the device's own code " + strconv.Itoa(reply.Code) + ", to request " + reply.ID
}

// DecodeReply reads a device's raw answer ("down_raw_reply", or to a synchronous call): what the script made of it, whole, and what it says.
func (s *Service) DecodeReply(ctx context.Context, from Source, payload []byte) ([]byte, alink.Reply, error) {
	text, err := s.Decode(ctx, from, payload)
	if err != nil {
		return nil, alink.Reply{}, err
	}
	reply, err := alink.ParseReply(text)
	return text, reply, err
}

// A Replier takes a device's answer, an Alink reply, to a request that is not known to be of a certain service.
type Replier func(ctx context.Context, rec *record.Record, identifier string, payload []byte) exchange.Answer

// Families are the topics on which devices of raw products answer. What the script makes of an answer goes to replied.
func (s *Service) Families(replied Replier) map[topic.Family]exchange.Family {
	serve := func(ctx context.Context, r *exchange.Request) exchange.Answer {
		text, err := s.Decode(ctx, Source{Device: r.Ref(), MessageID: r.Record.MessageID}, r.Record.Payload)
		if err != nil {
			return exchange.Answer{Err: err, Detail: describe(err)}
		}
		return replied(ctx, r.Record, "", text)
	}
	return map[topic.Family]exchange.Family{topic.DownRawReply: {Serve: serve, Raw: true}}
}

// parallel calls f(0) … f(n-1), some at the same time.
func parallel(n int, f func(i int)) {
	if n == 1 {
		f(0)
		return
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, translating)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}
