package uplink

import (
	"strconv"
	"time"

	"relink/shared/alink"
	"relink/shared/record"
	"relink/shared/refusal"
)

// maxSendTime bounds what is repeated of a device's own time; firmware keeps twenty characters.
const maxSendTime = 22

// ntp answers a device that asks for the time ("NTP", G-29): the device's own time as it was sent, and the server's, as strings if that
// was a string, as numbers if it was a number. Nothing is stored, so no function is needed.
func ntp(m *Message) record.Result { return ntpAt(m, time.Now().UnixMilli()) }

func ntpAt(m *Message, now int64) record.Result {
	strict, err := alink.Normalize(m.Payload)
	if err != nil {
		code, _ := alink.CodeOf(err)
		return record.Result{Code: int32(code), Reason: string(refusal.PayloadNotJSON)}
	}
	sent := []byte(`"0"`)
	for name, value := range alink.Members(strict) {
		if string(name) == "deviceSendTime" && len(value) <= maxSendTime && value[0] != '{' && value[0] != '[' {
			sent = value
		}
	}
	quote := `"`
	if c := sent[0]; c == '-' || c >= '0' && c <= '9' {
		quote = ""
	}
	payload := append([]byte(`{"deviceSendTime":`), sent...)
	payload = append(append(payload, `,"serverSendTime":`...), quote...)
	payload = append(strconv.AppendInt(payload, now, 10), quote...)
	payload = append(append(payload, `,"serverRecvTime":`...), quote...)
	payload = append(strconv.AppendInt(payload, m.ReceivedAt, 10), quote...)
	return record.Result{Code: alink.CodeOK, Replies: []record.Reply{{Topic: m.Parsed.ReplyTopic(m.Topic), Payload: append(payload, '}')}}}
}
