package message

import (
	"strconv"

	"relink/shared/alink"
	"relink/shared/iot"
)

// Topics of OTA messages, after /pk/dn/ ("Sources").
const (
	otaResultTopic   = "ota/upgrade"
	otaProgressTopic = "ota/progress/post"
	otaVersionTopic  = "ota/version/post"
	otaJobTopic      = "ota/job/status"
)

func otaTopic(dev iot.DeviceRef, rest string) string {
	return "/" + string(dev.ProductKey) + "/" + string(dev.DeviceName) + "/" + rest
}

// OTAVersionTopic and OTAProgressTopic are the forwarding topics of a device's version and progress.
func OTAVersionTopic(dev iot.DeviceRef) string  { return otaTopic(dev, otaVersionTopic) }
func OTAProgressTopic(dev iot.DeviceRef) string { return otaTopic(dev, otaProgressTopic) }

// OTAResultTopic is the forwarding topic of the end of a device's upgrade.
func OTAResultTopic(dev iot.DeviceRef) string { return otaTopic(dev, otaResultTopic) }

// An Upgrade is a device's part in a batch of upgrades ("OTA result").
type Upgrade struct {
	Device      iot.DeviceRef
	IotID       iot.IotID
	Module      string // left out if empty
	Status      string // SUCCEEDED, FAILED, CANCELED; of a result
	Step        int    // of progress: percent, or a negative number that says what failed
	SrcVersion  string
	DestVersion string
	Desc        string // "success", or what went wrong
	JobID       string
	TaskID      string
	At          int64 // Unix milliseconds
}

// NewOTAResult makes a message of the end of an upgrade.
func NewOTAResult(id string, u *Upgrade) Message {
	return u.message(id, OTAResult, otaResultTopic, func(dst []byte) []byte {
		dst = append(dst, `,"status":`...)
		return alink.AppendString(dst, u.Status)
	})
}

// NewOTAProgress makes a message of the progress of an upgrade.
func NewOTAProgress(id string, u *Upgrade) Message {
	return u.message(id, OTAProgress, otaProgressTopic, func(dst []byte) []byte {
		dst = append(dst, `,"step":`...)
		return strconv.AppendInt(dst, int64(u.Step), 10)
	})
}

func (u *Upgrade) message(id string, kind Kind, topic string, state func([]byte) []byte) Message {
	dst := appendIdentity([]byte{'{'}, u.Device, u.IotID)
	if u.Module != "" {
		dst = append(dst, `,"moduleName":`...)
		dst = alink.AppendString(dst, u.Module)
	}
	dst = state(dst)
	dst = append(dst, `,"messageCreateTime":`...)
	dst = strconv.AppendInt(dst, u.At, 10)
	for _, m := range [...]struct{ name, value string }{
		{`,"srcVersion":`, u.SrcVersion}, {`,"destVersion":`, u.DestVersion}, {`,"desc":`, u.Desc}, {`,"jobId":`, u.JobID}, {`,"taskId":`, u.TaskID},
	} {
		dst = append(dst, m.name...)
		dst = alink.AppendString(dst, m.value)
	}
	return Message{ID: id, Topic: otaTopic(u.Device, topic), Kind: kind, Device: u.Device, IotID: u.IotID, GeneratedAt: u.At, QoS: 1, Payload: append(dst, '}')}
}

// NewOTAVersion makes a message of a module that has another version than before.
func NewOTAVersion(id string, d Named, module, version string, at int64) Message {
	dst := []byte{'{'}
	if d.IotID != "" {
		dst = append(dst, `"iotId":`...)
		dst = alink.AppendString(dst, string(d.IotID))
		dst = append(dst, ',')
	}
	dst = append(dst, `"deviceName":`...)
	dst = alink.AppendString(dst, string(d.Device.DeviceName))
	dst = append(dst, `,"productKey":`...)
	dst = alink.AppendString(dst, string(d.Device.ProductKey))
	dst = append(dst, `,"moduleName":`...)
	dst = alink.AppendString(dst, module)
	dst = append(dst, `,"moduleVersion":`...)
	dst = alink.AppendString(dst, version)
	return Message{ID: id, Topic: otaTopic(d.Device, otaVersionTopic), Kind: OTAVersion, Device: d.Device, IotID: d.IotID, GeneratedAt: at, QoS: 1,
		Payload: appendCreated(dst, at)}
}

// NewOTAJob makes a message of a batch of upgrades of a product that changed its state: PLANNED, IN_PROGRESS, COMPLETED, CANCELED. The
// same state of the same batch has the same id.
func NewOTAJob(pk iot.ProductKey, module, packageID, jobID, status string, at int64) Message {
	dst := []byte(`{"productKey":`)
	dst = alink.AppendString(dst, string(pk))
	for _, m := range [...]struct{ name, value string }{
		{`,"moduleName":`, module}, {`,"packageId":`, packageID}, {`,"jobId":`, jobID}, {`,"status":`, status},
	} {
		dst = append(dst, m.name...)
		dst = alink.AppendString(dst, m.value)
	}
	return Message{ID: IDOf("job", jobID, status), Topic: "/" + string(pk) + "/" + packageID + "/" + jobID + "/" + otaJobTopic, Kind: OTAJob,
		Device: iot.DeviceRef{ProductKey: pk}, GeneratedAt: at, QoS: 1, Payload: appendCreated(dst, at)}
}
