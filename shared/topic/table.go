package topic

import (
	"slices"
	"strings"
)

// A Direction says who publishes on a topic.
type Direction uint8

// The directions.
const (
	Up   Direction = iota // the device publishes
	Down                  // the device receives
)

// String is an arrow, as in the documentation.
func (d Direction) String() string {
	if d == Up {
		return "↑"
	}
	return "↓"
}

// A Reply says where the answer to a request goes ("Reply topic").
type Reply uint8

// The rules.
const (
	NoReply       Reply = iota
	Suffix              // the same topic + _reply
	Same                // the same topic
	ShadowGet           // /shadow/update/… → /shadow/get/…
	Response            // …/request → …/response
	RRPCDirection       // …/rrpc/request/{id} → …/rrpc/response/{id}
)

// A Status says how far this release serves a topic.
type Status uint8

// The states.
const (
	NotYet       Status = iota // known and refused with a cause of its own
	Acknowledged               // answered with 200, and nothing done: the platform has no use for it
	Done                       // served
)

// String is the word for people.
func (s Status) String() string {
	return [...]string{"not yet", "acknowledged", "done"}[s]
}

// An Entry is one line of the master topic table. In Topic and Method, {pk}, {dn} and {id} stand for one level each, {rest}
// for one or more.
type Entry struct {
	Topic     string
	Direction Direction
	Family    Family
	Method    string // Alink method; "" if the payload is not Alink or the method is derived from the topic
	Reply     Reply
	Automatic bool   // ↓: delivered without SUBSCRIBE. Replies to what a device asked always are
	Function  string // ↑: the function that handles it
	Status    Status
}

// Table is the master topic table ("Master topic table", "Topic index"). The slice is the caller's.
func Table() []Entry { return slices.Clone(table) }

const (
	thing = "/sys/{pk}/{dn}/thing/"
	sys   = "/sys/{pk}/{dn}/"
)

// table is the only place that knows topics: parsing, rights, replies and automatic delivery are derived from it.
var table = []Entry{
	{thing + "event/property/post", Up, PropertyPost, "thing.event.property.post", Suffix, false, "property", Done},
	{thing + "event/{id}/post", Up, EventPost, "", Suffix, false, "event", Done},
	{thing + "event/property/batch/post", Up, PropertyBatchPost, "thing.event.property.batch.post", Suffix, false, "property", Done},
	{thing + "event/property/history/post", Up, PropertyHistoryPost, "thing.event.property.history.post", Suffix, false, "property", Done},
	{thing + "event/property/pack/post", Up, PropertyPackPost, "thing.event.property.pack.post", Suffix, false, "property", Done},
	{thing + "model/up_raw", Up, UpRaw, "thing.model.up_raw", Suffix, false, "property", Done},
	{thing + "model/down_raw", Down, DownRaw, "thing.model.down_raw", Suffix, true, "", Done},
	{thing + "model/down_raw_reply", Up, DownRawReply, "", NoReply, false, "command", Done},

	{thing + "service/property/set", Down, DownPropertySet, "thing.service.property.set", Suffix, true, "", Done},
	{thing + "service/property/set_reply", Up, PropertySetReply, "thing.service.property.set", NoReply, false, "command", Done},
	{thing + "service/property/get", Down, DownPropertyGet, "thing.service.property.get", Suffix, true, "", Done},
	{thing + "service/property/get_reply", Up, PropertyGetReply, "thing.service.property.get", NoReply, false, "command", Done},
	{thing + "service/{id}", Down, DownService, "", Suffix, true, "", Done},
	{thing + "service/{id}_reply", Up, ServiceReply, "", NoReply, false, "command", Done},
	{sys + "rrpc/request/{id}", Down, DownRRPC, "", RRPCDirection, true, "", Done},
	{sys + "rrpc/response/{id}", Up, RRPCResponse, "", NoReply, false, "", Done},
	{"/ext/rrpc/{id}/{rest}", Up, ExtRRPC, "", NoReply, true, "", Done},

	{thing + "property/desired/get", Up, DesiredGet, "thing.property.desired.get", Suffix, false, "property", Done},
	{thing + "property/desired/delete", Up, DesiredDelete, "thing.property.desired.delete", Suffix, false, "property", Done},
	{thing + "deviceinfo/update", Up, DeviceInfoUpdate, "thing.deviceinfo.update", Suffix, false, "deviceinfo", Done},
	{thing + "deviceinfo/delete", Up, DeviceInfoDelete, "thing.deviceinfo.delete", Suffix, false, "deviceinfo", Done},
	{thing + "deviceinfo/get", Up, DeviceInfoGet, "thing.deviceinfo.get", Suffix, false, "deviceinfo", Done},
	{thing + "dsltemplate/get", Up, DSLTemplateGet, "thing.dsltemplate.get", Suffix, false, "deviceinfo", Done},
	{thing + "dynamicTsl/get", Up, DynamicTSLGet, "thing.dynamicTsl.get", Suffix, false, "deviceinfo", Done},
	{thing + "model/config/push", Down, DownModelConfig, "thing.model.config.push", NoReply, false, "", NotYet},

	{thing + "config/get", Up, ConfigGet, "thing.config.get", Suffix, false, "deviceinfo", Done},
	{thing + "config/push", Down, DownConfigPush, "thing.config.push", Suffix, true, "", Done},
	{thing + "config/push_reply", Up, ConfigPushReply, "thing.config.push", NoReply, false, "deviceinfo", Done},
	{thing + "config/log/get", Up, ConfigLogGet, "thing.config.log.get", Suffix, false, "deviceinfo", Done},
	{thing + "config/log/push", Down, DownConfigLogPush, "thing.config.log.push", NoReply, true, "", Done},
	{thing + "log/post", Up, LogPost, "thing.log.post", Suffix, false, "deviceinfo", Done},
	{thing + "config/log/post", Up, LogPost, "thing.config.log.post", Suffix, false, "deviceinfo", Done}, // an SDK's mistake
	{sys + "_thing/diag/post", Up, DiagPost, "_thing.diag.post", Suffix, false, "deviceinfo", Done},

	{"/ota/device/inform/{pk}/{dn}", Up, OTAInform, "", NoReply, false, "ota", Done},
	{"/ota/device/progress/{pk}/{dn}", Up, OTAProgress, "", NoReply, false, "ota", Done},
	{"/ota/device/request/{pk}/{dn}", Up, OTARequest, "", Same, true, "ota", Done},
	{"/ota/device/upgrade/{pk}/{dn}", Down, DownOTAUpgrade, "", NoReply, true, "", NotYet},
	{thing + "ota/firmware/get", Up, OTAFirmwareGet, "thing.ota.firmware.get", Suffix, false, "ota", Done},
	{thing + "file/download", Up, FileDownload, "thing.file.download", Suffix, false, "ota", Done},
	{thing + "file/upload/mqtt/init", Up, FileUploadInit, "thing.file.upload.mqtt.init", Suffix, false, "deviceinfo", Done},
	{thing + "file/upload/mqtt/send", Up, FileUploadSend, "thing.file.upload.mqtt.send", Suffix, false, "deviceinfo", Done},
	{thing + "file/upload/mqtt/cancel", Up, FileUploadCancel, "thing.file.upload.mqtt.cancel", Suffix, false, "deviceinfo", Done},

	{thing + "job/notify", Down, DownJobNotify, "thing.job.notify", Suffix, true, "", Done},
	{thing + "job/notify_reply", Up, JobNotifyReply, "thing.job.notify", NoReply, false, "ota", Done},
	{thing + "job/get", Up, JobGet, "thing.job.get", Suffix, false, "ota", Done},
	{thing + "job/update", Up, JobUpdate, "thing.job.update", Suffix, false, "ota", Done},

	{"/shadow/update/{pk}/{dn}", Up, ShadowUpdate, "", ShadowGet, false, "shadow", Done},
	{"/ext/ntp/{pk}/{dn}/request", Up, NTPRequest, "", Response, false, "", Done},

	{thing + "sub/register", Up, SubRegister, "thing.sub.register", Suffix, false, "topology", Done},
	{thing + "sub/unregister", Up, SubUnregister, "thing.sub.unregister", Suffix, false, "topology", Done},
	{thing + "proxy/provisioning/product_register", Up, ProductRegister, "thing.proxy.provisioning.product_register", Suffix, false, "topology", Done},
	{thing + "topo/add", Up, TopoAdd, "thing.topo.add", Suffix, false, "topology", Done},
	{thing + "topo/delete", Up, TopoDelete, "thing.topo.delete", Suffix, false, "topology", Done},
	{thing + "topo/get", Up, TopoGet, "thing.topo.get", Suffix, false, "topology", Done},
	{thing + "topo/add/notify", Down, DownTopoAddNotify, "thing.topo.add.notify", Suffix, true, "", Done},
	{thing + "topo/add/notify_reply", Up, TopoAddNotifyReply, "thing.topo.add.notify", NoReply, false, "topology", Done},
	{thing + "topo/change", Down, DownTopoChange, "thing.topo.change", Suffix, true, "", Done},
	{thing + "topo/change_reply", Up, TopoChangeReply, "thing.topo.change", NoReply, false, "topology", Done},
	{thing + "list/found", Up, ListFound, "thing.list.found", Suffix, false, "topology", Done},
	{thing + "gateway/permit", Down, DownGatewayPermit, "thing.gateway.permit", Suffix, true, "", Done},
	{thing + "gateway/permit_reply", Up, GatewayPermitReply, "thing.gateway.permit", NoReply, false, "topology", Done},
	{"/ext/session/{pk}/{dn}/combine/login", Up, CombineLogin, "combine.login", Suffix, false, "topology", Done},
	{"/ext/session/{pk}/{dn}/combine/logout", Up, CombineLogout, "combine.logout", Suffix, false, "topology", Done},
	{"/ext/session/{pk}/{dn}/combine/batch_login", Up, CombineBatchLogin, "combine.batch_login", Suffix, false, "topology", Done},
	{"/ext/session/{pk}/{dn}/combine/batch_logout", Up, CombineBatchLogout, "combine.batch_logout", Suffix, false, "topology", Done},
	{"/ext/error/{pk}/{dn}", Down, DownError, "", NoReply, true, "", Done},

	{thing + "disable", Down, DownLifecycle, "thing.disable", Suffix, true, "", Done},
	{thing + "enable", Down, DownLifecycle, "thing.enable", Suffix, true, "", Done},
	{thing + "delete", Down, DownLifecycle, "thing.delete", Suffix, true, "", Done},
	{thing + "disable_reply", Up, LifecycleReply, "", NoReply, true, "topology", Done},
	{thing + "enable_reply", Up, LifecycleReply, "", NoReply, false, "topology", Done},
	{thing + "delete_reply", Up, LifecycleReply, "", NoReply, false, "topology", Done},
	{thing + "bootstrap/notify", Down, DownBootstrap, "thing.bootstrap.notify", Suffix, true, "", Done},
	{thing + "bootstrap/config/push", Down, DownBootstrap, "thing.bootstrap.config.push", Suffix, true, "", NotYet},
	{thing + "bootstrap/notify_reply", Up, BootstrapReply, "", NoReply, false, "", Acknowledged},
	{thing + "bootstrap/config/push_reply", Up, BootstrapReply, "", NoReply, false, "", Acknowledged},

	{sys + "_thing/event/notify", Down, DownBindNotify, "_thing.event.notify", Suffix, true, "", NotYet},
	{sys + "_thing/event/notify_reply", Up, BindNotifyReply, "", NoReply, false, "", Acknowledged},
	{sys + "_thing/service/post", Up, BindPost, "_thing.service.post", Suffix, false, "", Acknowledged},
	{sys + "secure_tunnel/notify", Down, DownTunnel, "", NoReply, true, "", NotYet},
	{sys + "secure_tunnel/proxy/request", Up, TunnelRequest, "", Suffix, false, "", Acknowledged},

	{thing + "reset", Up, BootRequest, "", Suffix, true, "deviceinfo", Acknowledged},
	{thing + "reset_reply", Up, BootReply, "", NoReply, true, "", Acknowledged},
	{thing + "lan/prefix/update", Down, DownBoot, "", Suffix, true, "", NotYet},
	{thing + "lan/blacklist/update", Down, DownBoot, "", Suffix, true, "", NotYet},
	{thing + "awss/enrollee/checkin", Down, DownBoot, "", Suffix, true, "", NotYet},
	{thing + "awss/device/switchap", Down, DownBoot, "", Suffix, true, "", NotYet},
	{thing + "lan/prefix/get", Up, LANPrefixGet, "thing.lan.prefix.get", Suffix, false, "deviceinfo", Done},
	{thing + "awss/enrollee/found", Up, Provision, "thing.awss.enrollee.found", Suffix, false, "", Acknowledged},
	{thing + "cipher/get", Up, Provision, "thing.cipher.get", Suffix, false, "", Acknowledged},
	{thing + "lan/{rest}", Up, BootRequest, "", Suffix, false, "deviceinfo", Acknowledged},
	{thing + "awss/{rest}", Up, BootRequest, "", Suffix, false, "deviceinfo", Acknowledged},
	{thing + "cipher/{rest}", Up, BootRequest, "", Suffix, false, "deviceinfo", Acknowledged},

	{sys + "broadcast/request/{id}", Down, DownBroadcast, "", NoReply, true, "", Done},
	{"/broadcast/{pk}/{rest}", Down, DownBroadcastTopic, "", NoReply, false, "", Done},
	{"/ext/register", Down, DownRegistered, "", NoReply, true, "", Done},
	{"/ext/regnwl", Down, DownRegistered, "", NoReply, true, "", Done},
	{"/ext/auth/identity/response", Down, DownRegistered, "", NoReply, true, "", Done},

	{"/{pk}/{dn}/{rest}", Up, Custom, "", NoReply, false, "", Done},
	{thing + "{rest}", Up, UnknownSystem, "", Suffix, false, "", NotYet},
	{sys + "{rest}", Up, UnknownSystem, "", NoReply, false, "", NotYet},
}

// What is derived from the table. Read-only after init.
var (
	families [FamilyCount]familyInfo
	fixed    = map[string]*Entry{} // by what follows /sys/{pk}/{dn}/, for lines without a variable
	scoped   = map[string]*Entry{} // by the topic without /{pk}/{dn}, for lines of other prefixes: "/ota/device/inform"
	global   = map[string]*Entry{} // whole topics that name no device
)

type familyInfo struct {
	*Entry
	name string
}

func init() {
	none := &Entry{}
	for i := range families {
		families[i] = familyInfo{none, "none"}
	}
	for i := range table {
		e := &table[i]
		rest, isSys := strings.CutPrefix(e.Topic, sys)
		bare := strings.Replace(e.Topic, "/{pk}/{dn}", "", 1)
		if families[e.Family].Entry == none {
			families[e.Family] = familyInfo{e, strings.TrimPrefix(rest, "/")}
			if !isSys {
				families[e.Family].name = strings.TrimPrefix(bare, "/")
			}
		}
		switch {
		case strings.Contains(rest, "{id}") || strings.Contains(rest, "{rest}"): // told apart in parse.go
		case isSys:
			fixed[rest] = e
		case bare != e.Topic:
			scoped[bare] = e
		default:
			global[bare] = e
		}
	}
}
