package uplink

import "relink/shared/topic"

// NeedsConnection reports whether a family makes sense only over a connection that lasts: a gateway that logs sub-devices in lends them
// its own, and answers are of who was asked. Protocols without connections refuse it.
func NeedsConnection(f topic.Family) bool {
	switch f {
	case topic.CombineLogin, topic.CombineLogout, topic.CombineBatchLogin, topic.CombineBatchLogout, topic.RRPCResponse, topic.ExtRRPC, topic.ListFound:
		return true
	}
	return false
}

// Asks reports whether a device sends messages of a family for the sake of the reply. The others are posts: what they say is what matters.
func Asks(f topic.Family) bool {
	switch f {
	case topic.DesiredGet, topic.DeviceInfoGet, topic.DSLTemplateGet, topic.DynamicTSLGet, topic.ConfigGet, topic.ConfigLogGet, topic.OTARequest,
		topic.OTAFirmwareGet, topic.FileDownload, topic.FileUploadInit, topic.FileUploadSend, topic.FileUploadCancel, topic.JobGet, topic.ShadowUpdate,
		topic.NTPRequest, topic.SubRegister, topic.ProductRegister, topic.TopoGet, topic.LANPrefixGet:
		return true
	}
	return false
}
