package uplink

import (
	"errors"
	"strconv"

	"relink/shared/alink"
	"relink/shared/record"
	"relink/shared/refusal"
)

// provision answers a device that found a neighbour to be provisioned, or asks for a cipher to do so, that the platform does not do that
// ("Reset, bind and provisioning").
func provision(m *Message) record.Result {
	return answer(m, alink.CodeFailed, refusal.NotOffered, alink.MessageNotSupported)
}

// tunnel answers a device that asks for the data of a remote-login tunnel: there is no tunnel service, which is "processing failed", the
// one code that says no more than that. The envelope has the members that this topic's reply has ("Secure tunnel", G-34).
func tunnel(m *Message) record.Result {
	code, message, cause := alink.CodeFailed, alink.MessageNotSupported, refusal.NotOffered
	request, err := alink.Parse(m.Payload)
	if err != nil && !errors.Is(err, alink.ErrParamsMalformed) {
		code, message = alink.CodeOf(err)
		cause = refusal.CauseOf(err)
	}
	result := record.Result{Code: int32(code), Reason: string(cause)}
	if request.Ack {
		payload := strconv.AppendInt([]byte(`{"code":`), int64(code), 10)
		payload = alink.AppendString(append(payload, `,"data":{},"id":`...), request.ID)
		payload = alink.AppendString(append(payload, `,"message":`...), message)
		result.Replies = []record.Reply{{Topic: m.Parsed.ReplyTopic(m.Topic), Payload: append(payload, '}'), QoS: m.QoS}}
	}
	return result
}
