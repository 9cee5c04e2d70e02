package topic

// A Family is what a topic is for. Each has one direction and one rule for replies; Table has them all.
type Family uint8

// The families that devices publish.
const (
	None                Family = iota
	PropertyPost               // properties, now
	EventPost                  // Uplink.Name is the event, module:event for a custom module
	PropertyBatchPost          // several times of properties and events
	PropertyHistoryPost        // history only
	PropertyPackPost           // a gateway and its sub-devices
	UpRaw                      // binary
	DownRawReply               // binary
	PropertySetReply           // answers a property set
	PropertyGetReply           // answers a property get
	ServiceReply               // answers an asynchronous service; Uplink.Name is the service
	RRPCResponse               // answers a system RRPC; Uplink.Name is the message id in the topic
	ExtRRPC                    // answers an RRPC on its own topic; Uplink.Name is the message id in the topic
	DesiredGet                 // desired values
	DesiredDelete
	DeviceInfoUpdate // tags
	DeviceInfoDelete
	DeviceInfoGet
	DSLTemplateGet // thing model
	DynamicTSLGet
	ConfigGet // remote configuration
	ConfigPushReply
	ConfigLogGet // settings of device logs
	LogPost      // device logs
	DiagPost     // network diagnosis
	OTAInform    // firmware version
	OTAProgress
	OTARequest // legacy; answered on its own topic
	OTAFirmwareGet
	FileDownload // firmware over MQTT
	FileUploadInit
	FileUploadSend // binary
	FileUploadCancel
	JobNotifyReply
	JobGet
	JobUpdate
	ShadowUpdate // answered on /shadow/get/…
	NTPRequest   // answered on …/response
	SubRegister  // gateway: register sub-devices
	SubUnregister
	ProductRegister // gateway: register with the product's secret
	TopoAdd         // gateway: topology
	TopoDelete
	TopoGet
	TopoAddNotifyReply
	TopoChangeReply
	ListFound
	GatewayPermitReply
	CombineLogin // gateway: sessions of sub-devices
	CombineLogout
	CombineBatchLogin
	CombineBatchLogout
	LifecycleReply  // answers disable, enable, delete; Uplink.Name is which
	BootstrapReply  // answers thing/bootstrap/…; Uplink.Name is the topic after thing/bootstrap/, without _reply
	BindNotifyReply // answers _thing/event/notify
	BindPost        // _thing/service/post
	TunnelRequest   // secure_tunnel/proxy/request
	BootRequest     // reset, awss, lan, cipher: answered with 200 and nothing done; Uplink.Name is the topic after thing/
	BootReply       // answers to the same; ignored
	LANPrefixGet    // the key for control in the local network
	Provision       // provisioning of a neighbour: answered with 400
	Custom          // the product's own classes; Uplink.Name is the topic after /{pk}/{dn}/
	UnknownSystem   // under /sys/{pk}/{dn}/, but in no table; Uplink.Name is the rest

	// The families that only the platform sends.

	DownPropertySet // also the first that devices may not publish
	DownPropertyGet
	DownService
	DownRRPC
	DownRaw
	DownModelConfig // gateway: model push
	DownConfigPush
	DownConfigLogPush
	DownOTAUpgrade
	DownJobNotify
	DownTopoAddNotify
	DownTopoChange
	DownGatewayPermit
	DownLifecycle // disable, enable, delete
	DownBootstrap
	DownBindNotify
	DownBoot // awss, lan
	DownTunnel
	DownError          // /ext/error
	DownBroadcast      // to all devices of a product
	DownBroadcastTopic // to subscribers
	DownRegistered     // result of dynamic registration
	FamilyCount        // the number of families
	firstDown          = DownPropertySet
)

// Method is the Alink method of a family whose topics have but one, "" for the others.
func (f Family) Method() string {
	if f < FamilyCount {
		return families[f].Method
	}
	return ""
}

// Uplink reports whether devices publish this family.
func (f Family) Uplink() bool { return f > None && f < firstDown }

// Function is the name of the function that handles what devices publish in this family; "" if the connector settles it alone.
func (f Family) Function() string {
	if f < FamilyCount {
		return families[f].Function
	}
	return ""
}

// Status says whether this release serves the family.
func (f Family) Status() Status {
	if f < FamilyCount {
		return families[f].Status
	}
	return NotYet
}

// String is the family's name in logs: that of its first topic, without the device.
func (f Family) String() string {
	if f < FamilyCount {
		return families[f].name
	}
	return "none"
}
