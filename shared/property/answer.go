package property

import (
	"fmt"
	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
	"relink/shared/tsl"
	"strings"
)

// retry is the result of a record about which nothing was decided.
func retry(err error) record.Result {
	reason := refusal.FunctionFailed
	if iot.Is(err, iot.Throttled) {
		reason = refusal.StoreThrottled
	}
	return record.Result{Code: alink.CodeInternal, Reason: string(reason), Retry: true}
}

// refuse settles a record that is not taken at all.
func (b *batch) refuse(i int, replyTopic, id, method string, err error) {
	code, message := alink.CodeOf(err)
	r := &b.results[i]
	*r = record.Result{Code: int32(code), Reason: string(exchange.CauseOf(err)), Detail: alink.DetailOf(err)}
	if at := b.reply(replyTopic, code, id, nil, message, method); at >= 0 {
		r.Replies = b.replies[at : at+1 : at+1]
	}
}

// reply adds what the device hears and answers its index, -1 if the device wants to hear nothing. Replies go with QoS 0
// ("QoS" of the envelope).
func (b *batch) reply(topic string, code int, id string, data []byte, message, method string) int {
	if topic == "" {
		return -1
	}
	start := len(b.buffer)
	b.buffer = alink.AppendReply(b.buffer, code, id, data, message, method)
	b.replies = append(b.replies, record.Reply{Topic: topic, Payload: b.buffer[start:len(b.buffer):len(b.buffer)]})
	return len(b.replies) - 1
}

// maxNamed bounds how many refused properties one line of the log names.
const maxNamed = 10

// detailOf names what was refused, and why: "humidity: property not found; temperature: tsl parse: …".
func detailOf(failed []tsl.Failure) string {
	var b strings.Builder
	for i := range failed {
		if i > 0 {
			b.WriteString("; ")
		}
		if i == maxNamed {
			fmt.Fprintf(&b, "and %d more", len(failed)-i)
			break
		}
		b.WriteString(failed[i].Identifier)
		b.WriteString(": ")
		b.WriteString(failed[i].Message)
	}
	return b.String()
}
