package uplink

import (
	"strconv"
	"time"

	"relink/shared/alink"
	"relink/shared/record"
	"relink/shared/refusal"
)

// ntp answers a device that asks for the time ("NTP"): all three as JSON strings, the device's own time as it was sent. Nothing
// is stored, so no function is needed.
func ntp(m *Message) record.Result {
	sent := []byte(`"0"`)
	strict, err := alink.Normalize(m.Payload)
	if err != nil {
		code, _ := alink.CodeOf(err)
		return record.Result{Code: int32(code), Reason: string(refusal.PayloadNotJSON)}
	}
	for name, value := range alink.Members(strict) {
		if string(name) == "deviceSendTime" && len(value) <= 22 {
			sent = value
		}
	}
	payload := append([]byte(`{"deviceSendTime":`), sent...)
	payload = append(payload, `,"serverRecvTime":"`...)
	payload = strconv.AppendInt(payload, m.ReceivedAt, 10)
	payload = append(payload, `","serverSendTime":"`...)
	payload = strconv.AppendInt(payload, time.Now().UnixMilli(), 10)
	payload = append(payload, `"}`...)
	return record.Result{Code: alink.CodeOK, Replies: []record.Reply{{Topic: m.Parsed.ReplyTopic(m.Topic), Payload: payload}}}
}
