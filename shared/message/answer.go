package message

import (
	"encoding/json"
	"strconv"

	"relink/shared/alink"
	"relink/shared/iot"
)

// exact is the largest number that every reader of JSON reads exactly.
const exact = 1 << 53

// An Answer is what a device answered to the platform, or why it was not asked ("Downlink reply").
type Answer struct {
	Device    iot.DeviceRef
	IotID     iot.IotID // left out if empty
	RequestID string    // id of the request, which is the MessageId that the application was told
	At        int64     // Unix milliseconds
	Code      int
	Message   string
	Topic     string          // the device's reply topic; the request's if it was not sent
	Data      json.RawMessage // of the device, {} if empty
}

// AppendAnswer appends the body of a downlink reply.
func AppendAnswer(dst []byte, a *Answer) []byte {
	dst = append(dst, `{"gmtCreate":`...)
	dst = strconv.AppendInt(dst, a.At, 10)
	dst = append(dst, ',')
	dst = appendIdentity(dst, a.Device, a.IotID)
	dst = append(dst, `,"requestId":`...)
	if n, err := strconv.ParseUint(a.RequestID, 10, 64); err == nil && n <= exact && strconv.FormatUint(n, 10) == a.RequestID {
		dst = append(dst, a.RequestID...)
	} else {
		dst = alink.AppendString(dst, a.RequestID)
	}
	dst = append(dst, `,"code":`...)
	dst = strconv.AppendInt(dst, int64(a.Code), 10)
	dst = append(dst, `,"message":`...)
	dst = alink.AppendString(dst, a.Message)
	dst = append(dst, `,"topic":`...)
	dst = alink.AppendString(dst, a.Topic)
	dst = append(dst, `,"data":`...)
	if len(a.Data) == 0 {
		dst = append(dst, `{}`...)
	} else {
		dst = append(dst, a.Data...)
	}
	return append(dst, `,"checkFailedData":{}}`...)
}

// NewAnswer makes a downlink reply.
func NewAnswer(id string, a *Answer, qos byte) Message {
	return Message{ID: id, Topic: ThingTopic(a.Device, ReplyTopic), Kind: Reply, Device: a.Device, IotID: a.IotID, GeneratedAt: a.At, QoS: qos,
		Payload: AppendAnswer(nil, a)}
}
