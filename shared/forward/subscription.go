package forward

import (
	"encoding/base64"
	"strconv"

	"relink/shared/alink"
	"relink/shared/message"
)

// queueTypes are the message types of a subscription's queue ("Message kinds"); kinds without one do not go there.
var queueTypes = [message.KindCount]string{
	message.Custom: "upload", message.Property: "upload", message.Event: "upload", message.Batch: "upload", message.Reply: "upload",
	message.Status: "status", message.Found: "topo_listfound", message.Topology: "topo_lifecycle", message.Lifecycle: "device_lifecycle",
	message.History: "thing_history", message.OTAResult: "ota_event", message.OTAProgress: "ota_event",
}

// AppendQueueMessage appends what a subscription's queue gets of a message ("MNS subscription"); false if its kind does not go there.
func AppendQueueMessage(dst []byte, m *message.Message) ([]byte, bool) {
	if m.Kind >= message.KindCount || queueTypes[m.Kind] == "" {
		return dst, false
	}
	dst = append(dst, `{"messageid":`...)
	if _, err := strconv.ParseUint(m.ID, 10, 64); err == nil {
		dst = append(dst, m.ID...)
	} else {
		dst = alink.AppendString(dst, m.ID)
	}
	dst = append(dst, `,"messagetype":"`...)
	dst = append(dst, queueTypes[m.Kind]...)
	dst = append(dst, `","topic":`...)
	dst = alink.AppendString(dst, m.Topic)
	dst = append(dst, `,"payload":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, m.Payload)
	dst = append(dst, `","timestamp":`...)
	dst = strconv.AppendInt(dst, m.GeneratedAt/1000, 10)
	return append(dst, '}'), true
}
