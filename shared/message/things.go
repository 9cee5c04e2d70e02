package message

import (
	"strconv"

	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/tsl"
)

// An About is what the bodies of thing-model messages begin with.
type About struct {
	Device     iot.DeviceRef
	IotID      iot.IotID // left out if empty
	DeviceType string    // category key of the product; "None" if it has none
	RequestID  string    // the id of the device's request, as text; "null" if it had none
	At         int64     // when the platform had it, Unix milliseconds
}

// Topic makes a forwarding topic of thing-model messages: "/pk/dn/thing/event/property/post" of "event/property/post".
func (a *About) Topic(rest string) string { return ThingTopic(a.Device, rest) }

// ThingTopic is /pk/dn/thing/ and rest.
func ThingTopic(dev iot.DeviceRef, rest string) string {
	return "/" + string(dev.ProductKey) + "/" + string(dev.DeviceName) + "/thing/" + rest
}

// Topics of a device's thing-model messages, after /pk/dn/thing/ ("Sources").
const (
	PropertyTopic        = "event/property/post"
	PropertyHistoryTopic = "event/property/history/post"
	PropertyBatchTopic   = "property/batch/post"
	EventBatchTopic      = "event/batch/post"
	ReplyTopic           = "downlink/reply/message"
	LifecycleTopic       = "lifecycle"
	TopologyTopic        = "topo/lifecycle"
	FoundTopic           = "list/found"
	TagsTopic            = "deviceinfo/update"
)

// EventTopic is what follows /pk/dn/thing/ for an event, of now or of the past.
func EventTopic(identifier string, history bool) string {
	if history {
		return "event/" + identifier + "/history/post"
	}
	return "event/" + identifier + "/post"
}

// AppendProperties appends the body of a property post, or of properties of the past ("Property post"). Of an identifier that is there
// twice the last value counts.
func AppendProperties(dst []byte, a *About, values []tsl.Value, failed []tsl.Failure) []byte {
	dst = a.open(dst)
	dst = append(dst, `"checkFailedData":{`...)
	first := true
	for i := range failed {
		f := &failed[i]
		if later(failed[i+1:], f.Identifier) {
			continue
		}
		dst, first = comma(dst, first), false
		dst = alink.AppendString(dst, f.Identifier)
		dst = append(dst, `:{"code":`...)
		dst = strconv.AppendInt(dst, int64(f.Code), 10)
		dst = append(dst, `,"message":`...)
		dst = alink.AppendString(dst, f.Message)
		dst = appendTimed(append(dst, ','), f.Time, f.JSON)
		dst = append(dst, '}')
	}
	dst = append(dst, `},`...)
	dst = a.middle(dst)
	dst = append(dst, `"items":{`...)
	first = true
	for i := range values {
		v := &values[i]
		if len(values) > 1 && laterValue(values[i+1:], v.Identifier) {
			continue
		}
		dst, first = comma(dst, first), false
		dst = alink.AppendString(dst, v.Identifier)
		dst = append(dst, `:{`...)
		dst = appendTimed(dst, v.Time, v.JSON)
		dst = append(dst, '}')
	}
	return append(dst, `}}`...)
}

func later(rest []tsl.Failure, identifier string) bool {
	for i := range rest {
		if rest[i].Identifier == identifier {
			return true
		}
	}
	return false
}

func laterValue(rest []tsl.Value, identifier string) bool {
	for i := range rest {
		if rest[i].Identifier == identifier {
			return true
		}
	}
	return false
}

// AppendEvent appends the body of an event ("Event post"). An event that was refused carries its failure.
func AppendEvent(dst []byte, a *About, e *tsl.CheckedEvent) []byte {
	dst = append(dst, `{"identifier":`...)
	dst = alink.AppendString(dst, e.Identifier)
	dst = append(dst, `,"name":`...)
	dst = alink.AppendString(dst, e.Name)
	dst = append(dst, `,"type":`...)
	dst = alink.AppendString(dst, e.Type)
	dst = append(dst, ',')
	dst = a.identity(dst)
	dst = append(dst, `"checkFailedData":`...)
	dst = appendFailure(dst, e.Failed)
	dst = append(dst, ',')
	dst = a.middle(dst)
	dst = append(dst, `"deviceType":`...)
	dst = alink.AppendString(dst, a.deviceType())
	dst = append(dst, `,"value":`...)
	dst = appendJSON(dst, e.JSON)
	dst = append(dst, `,"time":`...)
	dst = strconv.AppendInt(dst, e.Time, 10)
	return append(dst, '}')
}

// appendFailure appends a failure as a member checkFailedData of its own; {} if there is none.
func appendFailure(dst []byte, f *tsl.Failure) []byte {
	if f == nil {
		return append(dst, `{}`...)
	}
	dst = append(dst, `{"value":`...)
	dst = appendJSON(dst, f.JSON)
	dst = append(dst, `,"code":`...)
	dst = strconv.AppendInt(dst, int64(f.Code), 10)
	dst = append(dst, `,"message":`...)
	dst = alink.AppendString(dst, f.Message)
	return append(dst, '}')
}

// AppendPropertyBatch appends the body of properties of several times ("Batch post"), in the order in which they are first named.
func AppendPropertyBatch(dst []byte, a *About, values []tsl.Value) []byte {
	dst = a.openBatch(dst)
	first := true
	for i := range values {
		id := values[i].Identifier
		if firstValue(values, id) != i {
			continue
		}
		dst, first = comma(dst, first), false
		dst = alink.AppendString(dst, id)
		dst = append(dst, `:[`...)
		firstItem := true
		for j := i; j < len(values); j++ {
			if values[j].Identifier != id {
				continue
			}
			dst, firstItem = comma(dst, firstItem), false
			dst = appendItem(dst, values[j].JSON, values[j].Time)
		}
		dst = append(dst, ']')
	}
	return append(dst, `}}`...)
}

func firstValue(values []tsl.Value, identifier string) int {
	for i := range values {
		if values[i].Identifier == identifier {
			return i
		}
	}
	return -1
}

// AppendEventBatch appends the body of events of several times ("Batch post"). Those that were refused are left out.
func AppendEventBatch(dst []byte, a *About, events []tsl.CheckedEvent) []byte {
	dst = a.openBatch(dst)
	first := true
	for i := range events {
		id := events[i].Identifier
		if events[i].Failed != nil || firstEvent(events, id) != i {
			continue
		}
		dst, first = comma(dst, first), false
		dst = alink.AppendString(dst, id)
		dst = append(dst, `:[`...)
		firstItem := true
		for j := i; j < len(events); j++ {
			if e := &events[j]; e.Identifier == id && e.Failed == nil {
				dst, firstItem = comma(dst, firstItem), false
				dst = appendItem(dst, e.JSON, e.Time)
			}
		}
		dst = append(dst, ']')
	}
	return append(dst, `}}`...)
}

func firstEvent(events []tsl.CheckedEvent, identifier string) int {
	for i := range events {
		if events[i].Identifier == identifier && events[i].Failed == nil {
			return i
		}
	}
	return -1
}

func (a *About) deviceType() string {
	if a.DeviceType == "" {
		return "None"
	}
	return a.DeviceType
}

func (a *About) requestID() string {
	if a.RequestID == "" {
		return "null"
	}
	return a.RequestID
}

// open appends what a property post begins with, up to checkFailedData.
func (a *About) open(dst []byte) []byte {
	dst = append(dst, `{"deviceType":`...)
	dst = alink.AppendString(dst, a.deviceType())
	return a.identity(append(dst, ','))
}

// identity appends iotId and requestId.
func (a *About) identity(dst []byte) []byte {
	if a.IotID != "" {
		dst = append(dst, `"iotId":`...)
		dst = alink.AppendString(dst, string(a.IotID))
		dst = append(dst, ',')
	}
	dst = append(dst, `"requestId":`...)
	dst = alink.AppendString(dst, a.requestID())
	return append(dst, ',')
}

// middle appends productKey, gmtCreate and deviceName.
func (a *About) middle(dst []byte) []byte {
	dst = append(dst, `"productKey":`...)
	dst = alink.AppendString(dst, string(a.Device.ProductKey))
	dst = append(dst, `,"gmtCreate":`...)
	dst = strconv.AppendInt(dst, a.At, 10)
	dst = append(dst, `,"deviceName":`...)
	dst = alink.AppendString(dst, string(a.Device.DeviceName))
	return append(dst, ',')
}

func (a *About) openBatch(dst []byte) []byte {
	dst = a.open(dst)
	dst = append(dst, `"checkFailedData":{},`...)
	dst = a.middle(dst)
	return append(dst, `"payload":{`...)
}

// appendItem appends {"value":…,"time":…}.
func appendItem(dst []byte, value []byte, at int64) []byte {
	dst = append(dst, `{"value":`...)
	dst = appendJSON(dst, value)
	dst = append(dst, `,"time":`...)
	dst = strconv.AppendInt(dst, at, 10)
	return append(dst, '}')
}

// appendTimed appends "time":…,"value":… without braces.
func appendTimed(dst []byte, at int64, value []byte) []byte {
	dst = append(dst, `"time":`...)
	dst = strconv.AppendInt(dst, at, 10)
	dst = append(dst, `,"value":`...)
	return appendJSON(dst, value)
}

func appendJSON(dst, value []byte) []byte {
	if len(value) == 0 {
		return append(dst, `null`...)
	}
	return append(dst, value...)
}

func comma(dst []byte, first bool) []byte {
	if first {
		return dst
	}
	return append(dst, ',')
}
