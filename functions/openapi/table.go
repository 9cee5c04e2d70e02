package main

import (
	"relink/shared/iot"
	"relink/shared/openapi"
)

// actions is the table of what this function serves; what is not in it is answered InvalidAction.NotFound. Limits are the
// documented calls per second.
func (a *api) actions() openapi.Table {
	product, model, device, thing := openapi.ProductCodes, openapi.ModelCodes, openapi.DeviceCodes, openapi.ThingCodes
	pk := []string{"ProductKey"}
	with := func(names ...string) []string { return append(names, "ProductKey") }
	const attrStatus, attrHistory, invoke = "iot.device.QueryDeviceAttrStatusFailed", "iot.device.QueryDeviceAttrDataHistoryFailed", "iot.device.InvokeThingServiceFailed"

	return openapi.NewTable(
		&openapi.Action{Name: "CreateProduct", Required: []string{"NodeType", "ProductName"}, Limit: 50, Codes: product, Handle: a.createProduct},
		&openapi.Action{Name: "UpdateProduct", Required: with("ProductName"), Limit: 10, Codes: product, Handle: a.updateProduct},
		&openapi.Action{Name: "QueryProduct", Required: pk, Limit: 50, Codes: product, Handle: a.queryProduct},
		&openapi.Action{Name: "QueryProductList", Required: []string{"CurrentPage", "PageSize"}, Limit: 50, Codes: product, Handle: a.queryProductList},
		&openapi.Action{Name: "DeleteProduct", Required: pk, Limit: 500, Codes: product, Handle: a.deleteProduct},

		&openapi.Action{Name: "CreateThingModel", Required: pk, Limit: 5, Codes: model, Handle: a.createThingModel},
		&openapi.Action{Name: "UpdateThingModel", Required: pk, Limit: 5, Codes: model, Handle: a.updateThingModel},
		&openapi.Action{Name: "DeleteThingModel", Required: pk, Limit: 5, Codes: model, Handle: a.deleteThingModel,
			Special: map[iot.Kind]string{iot.NotInModel: "iot.prod.QueryProductAbilitiesFailed"}},
		&openapi.Action{Name: "QueryThingModel", Required: pk, Limit: 10, Codes: model, Handle: a.queryThingModel},
		&openapi.Action{Name: "QueryThingModelPublished", Required: pk, Limit: 10, Codes: model, Handle: a.queryThingModelPublished},
		&openapi.Action{Name: "PublishThingModel", Required: pk, Limit: 5, Codes: model, Handle: a.publishThingModel,
			Special: map[iot.Kind]string{iot.InvalidParams: openapi.CodeFormat, iot.AlreadyExists: openapi.CodeFormat}},
		&openapi.Action{Name: "PublishThingModelAsync", Required: pk, Limit: 5, Codes: model, Handle: a.publishThingModel,
			Special: map[iot.Kind]string{iot.InvalidParams: openapi.CodeFormat, iot.AlreadyExists: openapi.CodeFormat}},
		&openapi.Action{Name: "CopyThingModel", Required: []string{"SourceProductKey", "TargetProductKey"}, Limit: 5, Codes: model, Handle: a.copyThingModel},
		&openapi.Action{Name: "CopyThingModelAsync", Required: []string{"SourceProductKey", "TargetProductKey"}, Limit: 5, Codes: model, Handle: a.copyThingModel},
		&openapi.Action{Name: "GetThingModelTsl", Required: pk, Codes: model, Handle: a.getThingModelTSL},
		&openapi.Action{Name: "GetThingModelTslPublished", Required: pk, Limit: 20, Codes: model, Handle: a.getThingModelTSLPublished},
		&openapi.Action{Name: "ImportThingModelTsl", Required: pk, Limit: 5, Codes: model, Handle: a.importThingModelTSL},
		&openapi.Action{Name: "ListThingModelVersion", Required: pk, Limit: 10, Codes: model, Handle: a.listThingModelVersion},

		&openapi.Action{Name: "CreateThingScript", Required: with("ScriptContent", "ScriptType"), Limit: 5, Codes: product, Handle: a.createThingScript},
		&openapi.Action{Name: "UpdateThingScript", Required: with("ScriptContent", "ScriptType"), Limit: 5, Codes: product, Handle: a.updateThingScript},
		&openapi.Action{Name: "GetThingScript", Required: pk, Limit: 10, Codes: product, Handle: a.getThingScript},
		&openapi.Action{Name: "RelinkSaveThingScriptDraft", Required: with("ScriptContent", "ScriptType"), Limit: 5, Codes: product, Handle: a.saveThingScriptDraft},
		&openapi.Action{Name: "RelinkSubmitThingScriptDraft", Required: pk, Limit: 5, Codes: product, Handle: a.submitThingScriptDraft},
		&openapi.Action{Name: "RelinkRunThingScript", Required: with("Input"), Limit: 10, Codes: product, Handle: a.runThingScript},
		&openapi.Action{Name: "RelinkQueryScriptFailures", Required: pk, Limit: 10, Codes: product, Handle: a.queryScriptFailures},

		&openapi.Action{Name: "RegisterDevice", Required: pk, Limit: 30, Codes: device, Handle: a.registerDevice},
		&openapi.Action{Name: "BatchRegisterDevice", Required: with("Count"), Limit: 10, Codes: device, Handle: a.batchRegisterDevice},
		&openapi.Action{Name: "BatchCheckDeviceNames", Required: pk, Limit: 10, Codes: device, Handle: a.batchCheckDeviceNames},
		&openapi.Action{Name: "BatchRegisterDeviceWithApplyId", Required: with("ApplyId"), Limit: 500, Codes: device, Handle: a.batchRegisterDeviceWithApplyID},
		&openapi.Action{Name: "QueryBatchRegisterDeviceStatus", Required: with("ApplyId"), Limit: 30, Codes: device, Handle: a.queryBatchRegisterDeviceStatus},
		&openapi.Action{Name: "QueryPageByApplyId", Required: []string{"ApplyId"}, Limit: 50, Codes: device, Handle: a.queryPageByApplyID},
		&openapi.Action{Name: "QueryDevice", Required: pk, Limit: 50, Codes: device, Handle: a.queryDevice},
		&openapi.Action{Name: "QueryDeviceDetail", Limit: 50, Codes: device, Handle: a.queryDeviceDetail},
		&openapi.Action{Name: "QueryDeviceInfo", Codes: device, Handle: a.queryDeviceInfo},
		&openapi.Action{Name: "BatchQueryDeviceDetail", Required: with("DeviceName"), Limit: 5, Codes: device, Handle: a.batchQueryDeviceDetail},
		&openapi.Action{Name: "GetDeviceStatus", Limit: 500, Codes: device, Handle: a.getDeviceStatus},
		&openapi.Action{Name: "BatchGetDeviceState", Limit: 50, Codes: device, Handle: a.batchGetDeviceState},
		&openapi.Action{Name: "DeleteDevice", Limit: 50, Codes: device, Handle: a.deleteDevice,
			Special: map[iot.Kind]string{iot.Internal: "iot.device.DeleteDeviceFailed"}},
		&openapi.Action{Name: "DisableThing", Limit: 500, Codes: device, Handle: a.disableThing,
			Special: map[iot.Kind]string{iot.Internal: "iot.device.DisableDeviceFailed"}},
		&openapi.Action{Name: "EnableThing", Limit: 500, Codes: device, Handle: a.enableThing,
			Special: map[iot.Kind]string{iot.Internal: "iot.device.EnableDeviceFailed"}},

		&openapi.Action{Name: "ResetThing", Limit: 500, Codes: device, Handle: a.resetThing},
		&openapi.Action{Name: "RelinkRotateDeviceSecret", Limit: 50, Codes: device, Handle: a.rotateDeviceSecret,
			Special: map[iot.Kind]string{iot.AlreadyExists: openapi.CodeFormat}},
		&openapi.Action{Name: "RelinkFinishRotation", Limit: 50, Codes: device, Handle: a.finishRotation},
		&openapi.Action{Name: "RelinkQueryRotations", Limit: 50, Codes: device, Handle: a.queryRotations},
		&openapi.Action{Name: "QueryDeviceCert", Required: with("DeviceName"), Limit: 50, Codes: device, Handle: a.queryDeviceCert},
		&openapi.Action{Name: "RelinkQueryRegistrationCode", Limit: 10, Codes: device, Handle: a.registrationCode},
		&openapi.Action{Name: "RelinkRegisterCA", Required: []string{"Certificate", "VerificationCertificate"}, Limit: 10, Codes: device, Handle: a.registerCA,
			Special: map[iot.Kind]string{iot.AlreadyExists: openapi.CodeFormat, iot.QuotaExceeded: openapi.CodeFormat}},
		&openapi.Action{Name: "RelinkListCA", Limit: 10, Codes: device, Handle: a.listCA},
		&openapi.Action{Name: "RelinkDeleteCA", Required: []string{"CaId"}, Limit: 10, Codes: device, Handle: a.deleteCA},
		&openapi.Action{Name: "RelinkBindCertificate", Required: []string{"Certificate"}, Limit: 50, Codes: device, Handle: a.bindCertificate},
		&openapi.Action{Name: "RelinkRevokeCertificate", Required: []string{"CertSN"}, Limit: 50, Codes: device, Handle: a.revokeCertificate},
		&openapi.Action{Name: "RelinkDynamicRegistration", Required: pk, Limit: 50, Codes: product, Handle: a.dynamicRegistration},

		&openapi.Action{Name: "SetDeviceProperty", Required: []string{"Items"}, Limit: 500, Codes: thing, Handle: a.setDeviceProperty,
			Special: map[iot.Kind]string{iot.QuotaExceeded: openapi.CodePublishFailed}},
		&openapi.Action{Name: "QueryDevicePropertyStatus", Limit: 200, Codes: thing, Handle: a.queryDevicePropertyStatus,
			Special: map[iot.Kind]string{iot.ModelNotFound: attrStatus, iot.NotInModel: attrStatus}},
		&openapi.Action{Name: "QueryDevicePropertyData", Required: []string{"Asc", "EndTime", "Identifier", "PageSize", "StartTime"}, Limit: 50, Codes: thing,
			Handle: a.queryDevicePropertyData, Special: map[iot.Kind]string{iot.ModelNotFound: attrHistory, iot.NotInModel: attrHistory}},
		&openapi.Action{Name: "SetDevicesProperty", Required: with("DeviceName", "Items"), Limit: 10, Codes: thing, Handle: a.setDevicesProperty},
		&openapi.Action{Name: "InvokeThingsService", Required: with("Args", "DeviceName", "Identifier"), Limit: 10, Codes: thing, Handle: a.invokeThingsService,
			Special: map[iot.Kind]string{iot.InvalidParams: invoke, iot.NotInModel: invoke, iot.NotPermitted: invoke, iot.QuotaExceeded: invoke}},
		&openapi.Action{Name: "QueryDevicePropertiesData", Required: []string{"Asc", "EndTime", "Identifier", "PageSize", "StartTime"}, Limit: 10, Codes: thing,
			Handle: a.queryDevicePropertiesData, Special: map[iot.Kind]string{iot.ModelNotFound: attrHistory, iot.NotInModel: attrHistory}},
		&openapi.Action{Name: "SetDeviceDesiredProperty", Required: []string{"Items", "Versions"}, Limit: 50, Codes: thing, Handle: a.setDeviceDesiredProperty,
			Special: map[iot.Kind]string{iot.Conflict: "iot.device.SetDevicePropertyFailed"}},
		&openapi.Action{Name: "QueryDeviceDesiredProperty", Limit: 50, Codes: thing, Handle: a.queryDeviceDesiredProperty},
		&openapi.Action{Name: "ClearDeviceDesiredProperty", Limit: 50, Codes: thing, Handle: a.clearDeviceDesiredProperty},
		&openapi.Action{Name: "QueryDeviceServiceData", Required: []string{"EndTime", "StartTime"}, Limit: 50, Codes: thing, Handle: a.queryDeviceServiceData},
		&openapi.Action{Name: "QueryDeviceEventData", Required: []string{"EndTime", "StartTime"}, Limit: 50, Codes: thing, Handle: a.queryDeviceEventData,
			Special: map[iot.Kind]string{iot.ModelNotFound: "iot.device.QueryDeviceEventHistoryFailed"}},
		&openapi.Action{Name: "InvokeThingService", Required: []string{"Args", "Identifier"}, Limit: 500, Codes: thing, Handle: a.invokeThingService,
			Special: map[iot.Kind]string{iot.InvalidParams: invoke, iot.NotInModel: invoke, iot.NotPermitted: invoke, iot.QuotaExceeded: invoke}},
		&openapi.Action{Name: "BatchUpdateDeviceNickname", Limit: 10, Codes: device, Handle: a.batchUpdateDeviceNickname},
		&openapi.Action{Name: "SaveDeviceProp", Required: []string{"Props"}, Limit: 50, Codes: device, Handle: a.saveDeviceProp,
			Special: map[iot.Kind]string{iot.Internal: "iot.device.SaveOrUpdateDevicePropertiesFailed", iot.QuotaExceeded: "iot.device.TooManyDevicePropertiesPerTime"}},
		&openapi.Action{Name: "QueryDeviceProp", Limit: 50, Codes: device, Handle: a.queryDeviceProp},
		&openapi.Action{Name: "DeleteDeviceProp", Required: []string{"PropKey"}, Limit: 500, Codes: device, Handle: a.deleteDeviceProp,
			Special: map[iot.Kind]string{iot.Internal: "iot.device.DeleteDevicePropertyFailed"}},
		&openapi.Action{Name: "QueryDeviceByTags", Limit: 5, Codes: device, Handle: a.queryDeviceByTags},
		&openapi.Action{Name: "RelinkSetDeviceLogSwitch", Required: []string{"Enabled"}, Limit: 50, Codes: device, Handle: a.relinkSetDeviceLogSwitch},
		&openapi.Action{Name: "RelinkQueryDeviceFacts", Limit: 50, Codes: device, Handle: a.relinkQueryDeviceFacts},
		&openapi.Action{Name: "RelinkQueryDeviceNetworkStatus", Limit: 50, Codes: device, Handle: a.relinkQueryDeviceNetworkStatus},
		&openapi.Action{Name: "GetDeviceShadow", Required: with("DeviceName"), Limit: 500, Codes: device, Handle: a.getDeviceShadow,
			Special: map[iot.Kind]string{iot.Internal: "iot.messagebroker.QueryDeviceShadowActionError"}},
		&openapi.Action{Name: "UpdateDeviceShadow", Required: with("DeviceName"), Limit: 500, Codes: device, Handle: a.updateDeviceShadow,
			Special: map[iot.Kind]string{iot.Internal: "iot.messagebroker.UpdateDeviceShadowMessageFailed"}},
		&openapi.Action{Name: "Pub", Required: with("MessageContent", "TopicFullName"), Limit: 1600, Codes: openapi.MessageCodes, Handle: a.pub,
			Special: map[iot.Kind]string{iot.QuotaExceeded: openapi.CodePublishFailed}},
	)
}
