package topic

import "relink/shared/iot"

func underThing(ref iot.DeviceRef, rest string) string {
	return "/sys/" + string(ref.ProductKey) + "/" + string(ref.DeviceName) + "/thing/" + rest
}

// PropertySetTopic is where a device hears which properties to set.
func PropertySetTopic(ref iot.DeviceRef) string { return underThing(ref, "service/property/set") }

// PropertyGetTopic is where a device hears which properties to tell.
func PropertyGetTopic(ref iot.DeviceRef) string { return underThing(ref, "service/property/get") }

// ServiceTopic is where a device hears an asynchronous service, and the second half of an ExtRRPCTopic for a synchronous one.
func ServiceTopic(ref iot.DeviceRef, service string) string {
	return underThing(ref, "service/"+service)
}

// DownRawTopic is where a device of a raw product hears bytes.
func DownRawTopic(ref iot.DeviceRef) string { return underThing(ref, "model/down_raw") }

// RRPCRequestTopic is where a device without ext bit 0 hears a synchronous call. The id is decimal, at most 19 digits.
func RRPCRequestTopic(ref iot.DeviceRef, messageID string) string {
	return "/sys/" + string(ref.ProductKey) + "/" + string(ref.DeviceName) + "/rrpc/request/" + messageID
}

// RRPCResponseTopic is where it answers.
func RRPCResponseTopic(ref iot.DeviceRef, messageID string) string {
	return "/sys/" + string(ref.ProductKey) + "/" + string(ref.DeviceName) + "/rrpc/response/" + messageID
}

// ExtRRPCTopic is where a device with ext bit 0 hears a synchronous call and answers it; topic begins with a slash.
func ExtRRPCTopic(messageID, topic string) string { return "/ext/rrpc/" + messageID + topic }

// CustomTopic is a topic of a product's class: /{pk}/{dn}/{suffix}.
func CustomTopic(ref iot.DeviceRef, suffix string) string {
	return "/" + string(ref.ProductKey) + "/" + string(ref.DeviceName) + "/" + suffix
}

// BroadcastTopic is where a device gets a message for all devices of its product.
func BroadcastTopic(ref iot.DeviceRef, messageID string) string {
	return "/sys/" + string(ref.ProductKey) + "/" + string(ref.DeviceName) + "/broadcast/request/" + messageID
}

// BootstrapNotifyTopic is where a device is told to ask for its endpoint again.
func BootstrapNotifyTopic(ref iot.DeviceRef) string { return underThing(ref, "bootstrap/notify") }

// ConfigPushTopic is where a device hears of a new remote configuration.
func ConfigPushTopic(ref iot.DeviceRef) string { return underThing(ref, "config/push") }

// JobNotifyTopic is where a device hears of a task.
func JobNotifyTopic(ref iot.DeviceRef) string { return underThing(ref, "job/notify") }

// FileDownloadReplyTopic is where a device hears the blocks of a file that it asked for.
func FileDownloadReplyTopic(ref iot.DeviceRef) string { return underThing(ref, "file/download_reply") }
