package message

import (
	"net"
	"strconv"
	"time"

	"relink/shared/alink"
	"relink/shared/iot"
)

// A StatusChange is what a status message says ("Status").
type StatusChange struct {
	Device     iot.DeviceRef
	IotID      iot.IotID // left out if empty
	Online     bool
	At         int64  // when the notice is made, Unix milliseconds
	LastAt     int64  // last communication before the change, Unix milliseconds: what states are ordered by
	RemoteAddr string // host, or host and port, of the client; of a sub-device its gateway's
}

// StatusTopic is the forwarding topic of status messages.
func StatusTopic(dev iot.DeviceRef) string {
	return "/as/mqtt/status/" + string(dev.ProductKey) + "/" + string(dev.DeviceName)
}

// StatusID is the id of the message that says that a session began or ended. Whoever finds out gives it the same one: the connector that
// held the session, or the sweep of a connector that is gone.
func StatusID(dev iot.DeviceRef, epoch int64, online bool) string {
	return IDOf("status", string(dev.ProductKey), string(dev.DeviceName), strconv.FormatInt(epoch, 10), strconv.FormatBool(online))
}

// zone is that of times as text: the platform's region, China Standard Time.
var zone = time.FixedZone("CST", 8*60*60)

// NewStatus makes a status message of a session.
func NewStatus(s *StatusChange, epoch int64) Message {
	return Message{ID: StatusID(s.Device, epoch, s.Online), Topic: StatusTopic(s.Device), Kind: Status, Device: s.Device, IotID: s.IotID, GeneratedAt: s.At, QoS: 1,
		Payload: AppendStatus(nil, s)}
}

// AppendStatus appends the body of a status message.
func AppendStatus(dst []byte, s *StatusChange) []byte {
	status := "offline"
	if s.Online {
		status = "online"
	}
	const local, utc = "2006-01-02 15:04:05.000", "2006-01-02T15:04:05.000Z"
	at, last := time.UnixMilli(s.At).UTC(), time.UnixMilli(s.LastAt).UTC()
	host := s.RemoteAddr
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	dst = append(dst, `{"status":"`...)
	dst = append(dst, status...)
	dst = append(dst, `",`...)
	dst = appendIdentity(dst, s.Device, s.IotID)
	dst = append(dst, `,"time":"`...)
	dst = at.In(zone).AppendFormat(dst, local)
	dst = append(dst, `","utcTime":"`...)
	dst = at.AppendFormat(dst, utc)
	dst = append(dst, `","lastTime":"`...)
	dst = last.In(zone).AppendFormat(dst, local)
	dst = append(dst, `","utcLastTime":"`...)
	dst = last.AppendFormat(dst, utc)
	dst = append(dst, `","clientIp":`...)
	dst = alink.AppendString(dst, host)
	return append(dst, '}')
}

// An Action is what happened to a device or to a relation ("Lifecycle").
type Action string

// The actions.
const (
	Create  Action = "create"
	Delete  Action = "delete"
	Enable  Action = "enable"
	Disable Action = "disable"
)

// A Named is a device with its id.
type Named struct {
	Device iot.DeviceRef
	IotID  iot.IotID
}

// NewLifecycle makes a message of a device's lifecycle. at, Unix milliseconds, and the action make its id: the same thing told twice has
// the same. secret is told only of a device that is created.
func NewLifecycle(action Action, d Named, secret iot.Secret, at int64) Message {
	m := Message{Topic: ThingTopic(d.Device, LifecycleTopic), Kind: Lifecycle, Device: d.Device, IotID: d.IotID, GeneratedAt: at, QoS: 1,
		ID: IDOf("lifecycle", string(action), string(d.Device.ProductKey), string(d.Device.DeviceName), string(d.IotID), strconv.FormatInt(at, 10))}
	told := ""
	if action == Create {
		told = secret.Reveal()
	}
	dst := appendAction(nil, action)
	dst = appendIdentity(dst, d.Device, d.IotID)
	dst = append(dst, `,"deviceSecret":`...)
	dst = alink.AppendString(dst, told)
	m.Payload = appendCreated(dst, at)
	return m
}

// NewTopology makes a message of relations of a gateway that were made, removed, enabled or disabled.
func NewTopology(id string, action Action, gateway Named, devices []Named, at int64) Message {
	dst := appendAction(nil, action)
	dst = appendGateway(dst, gateway)
	dst = appendDevices(dst, devices)
	return Message{ID: id, Topic: ThingTopic(gateway.Device, TopologyTopic), Kind: Topology, Device: gateway.Device, IotID: gateway.IotID,
		GeneratedAt: at, QoS: 1, Payload: appendCreated(dst, at)}
}

// NewFound makes a message of sub-devices that a gateway found.
func NewFound(id string, gateway Named, devices []Named, at int64, qos byte) Message {
	dst := appendGateway([]byte{'{'}, gateway)
	dst = appendDevices(dst, devices)
	return Message{ID: id, Topic: ThingTopic(gateway.Device, FoundTopic), Kind: Found, Device: gateway.Device, IotID: gateway.IotID,
		GeneratedAt: at, QoS: qos, Payload: append(dst, '}')}
}

// A Tag is one attribute that a device reported.
type Tag struct{ Key, Value string }

// NewTags makes a message of tags that a device reported.
func NewTags(id string, d Named, tags []Tag, at int64, qos byte) Message {
	dst := appendIdentity([]byte{'{'}, d.Device, d.IotID)
	dst = append(dst, `,"value":[`...)
	for i, tag := range tags {
		dst = comma(dst, i == 0)
		dst = append(dst, `{"attrKey":`...)
		dst = alink.AppendString(dst, tag.Key)
		dst = append(dst, `,"attrValue":`...)
		dst = alink.AppendString(dst, tag.Value)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	return Message{ID: id, Topic: ThingTopic(d.Device, TagsTopic), Kind: Tags, Device: d.Device, IotID: d.IotID, GeneratedAt: at, QoS: qos,
		Payload: appendCreated(dst, at)}
}

func appendAction(dst []byte, action Action) []byte {
	dst = append(dst, `{"action":"`...)
	dst = append(dst, action...)
	return append(dst, `",`...)
}

func appendIdentity(dst []byte, dev iot.DeviceRef, id iot.IotID) []byte {
	if id != "" {
		dst = append(dst, `"iotId":`...)
		dst = alink.AppendString(dst, string(id))
		dst = append(dst, ',')
	}
	dst = append(dst, `"productKey":`...)
	dst = alink.AppendString(dst, string(dev.ProductKey))
	dst = append(dst, `,"deviceName":`...)
	return alink.AppendString(dst, string(dev.DeviceName))
}

func appendGateway(dst []byte, g Named) []byte {
	if g.IotID != "" {
		dst = append(dst, `"gwIotId":`...)
		dst = alink.AppendString(dst, string(g.IotID))
		dst = append(dst, ',')
	}
	dst = append(dst, `"gwProductKey":`...)
	dst = alink.AppendString(dst, string(g.Device.ProductKey))
	dst = append(dst, `,"gwDeviceName":`...)
	dst = alink.AppendString(dst, string(g.Device.DeviceName))
	return append(dst, ',')
}

func appendDevices(dst []byte, devices []Named) []byte {
	dst = append(dst, `"devices":[`...)
	for i, d := range devices {
		dst = comma(dst, i == 0)
		dst = appendIdentity(append(dst, '{'), d.Device, d.IotID)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

// appendCreated appends messageCreateTime and closes the body.
func appendCreated(dst []byte, at int64) []byte {
	dst = append(dst, `,"messageCreateTime":`...)
	dst = strconv.AppendInt(dst, at, 10)
	return append(dst, '}')
}
