package main

import (
	"context"
	"encoding/json"
	"strings"

	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/topology"
)

// Codes of the gateway topology ("Gateway topology").
const (
	codeTopoQuery  = "iot.device.QueryTopoRelationFailed"
	codeTopoAdd    = "iot.device.AddTopoRelationFailed"
	codeTopoRemove = "iot.device.RemoveTopoRelationFailed"
	codeTopoFull   = "iot.device.TopoRelationCountExceeded"
	codeTopoSign   = "iot.device.VerifyDeviceFailed"
)

// Bounds of these actions.
const (
	maxTopoPage   = 50
	maxTopoRows   = 10_000 // that can be reached at all
	maxTopoAdd    = 10
	maxTopoNotify = 200
	maxPermit     = 3600 // seconds
)

// withTopology adds the actions of gateways to a table.
func withTopology(t openapi.Table, a *api) openapi.Table {
	device := openapi.DeviceCodes
	asking := map[iot.Kind]string{iot.DeviceOffline: codeTopoAdd, iot.SubscriptionNone: codeTopoAdd, iot.InvalidParams: codeTopoAdd,
		iot.NotPermitted: codeTopoAdd, iot.QuotaExceeded: codeTopoAdd, iot.Internal: codeTopoAdd}
	for _, action := range []*openapi.Action{
		{Name: "GetThingTopo", Required: []string{"PageNo", "PageSize"}, Limit: 500, Codes: device, Handle: a.getThingTopo},
		{Name: "NotifyAddThingTopo", Limit: 500, Codes: device, Handle: a.notifyAddThingTopo, Special: asking},
		{Name: "BatchAddThingTopo", Required: []string{"GwDeviceName", "GwProductKey", "TopoAddItem"}, Limit: 10, Codes: device, Handle: a.batchAddThingTopo,
			Special: map[iot.Kind]string{iot.NotPermitted: codeTopoSign, iot.QuotaExceeded: codeTopoFull, iot.InvalidParams: codeTopoAdd,
				iot.DeviceDisabled: codeTopoAdd, iot.Internal: codeTopoAdd}},
		{Name: "RemoveThingTopo", Limit: 500, Codes: device, Handle: a.removeThingTopo, Special: map[iot.Kind]string{iot.Internal: codeTopoRemove}},
		{Name: "GetGatewayBySubDevice", Limit: 50, Codes: device, Handle: a.getGatewayBySubDevice},
		{Name: "RelinkPermitJoin", Required: []string{"JoinProductKey"}, Limit: 50, Codes: device, Handle: a.permitJoin,
			Special: map[iot.Kind]string{iot.InvalidParams: openapi.CodeFormat}},
		{Name: "RelinkListFoundDevices", Limit: 50, Codes: device, Handle: a.listFoundDevices},
	} {
		if t[action.Name] != nil {
			panic("openapi: repeated action " + action.Name)
		}
		t[action.Name] = action
	}
	return t
}

type topoDevice struct {
	IotID      iot.IotID `json:"IotId"`
	ProductKey iot.ProductKey
	DeviceName iot.DeviceName
}

type topoPage struct {
	CurrentPage int
	PageSize    int
	PageCount   int
	Total       int
	List        struct {
		DeviceInfo []topoDevice `json:"deviceInfo"`
	}
}

// topoPageOf reads PageNo and PageSize.
func topoPageOf(c *openapi.Call) (number, size int, err error) {
	if number, err = c.Params.Int("PageNo", 1); err != nil {
		return 0, 0, err
	}
	if size, err = c.Params.Int("PageSize", 10); err != nil {
		return 0, 0, err
	}
	switch {
	case size > maxTopoPage:
		return 0, 0, openapi.Refusef(codeTopoQuery, "PageSize is at most %d", maxTopoPage)
	case number < 1 || size < 1 || number > maxTopoRows/size:
		return 0, 0, openapi.Refusef(openapi.CodePage, "PageNo and PageSize are at least 1, and at most %d devices can be listed", maxTopoRows)
	}
	return number, size, nil
}

func (a *api) getThingTopo(ctx context.Context, c *openapi.Call) (any, error) {
	number, size, err := topoPageOf(c)
	if err != nil {
		return nil, err
	}
	gateway, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	subs, total, err := a.topology.List(ctx, gateway.Ref, (number-1)*size, size)
	if err != nil {
		return nil, err
	}
	devices, err := a.existing(ctx, subs)
	if err != nil {
		return nil, err
	}
	answer := topoPage{CurrentPage: number, PageSize: size, PageCount: pages(total, size), Total: total}
	answer.List.DeviceInfo = list(len(devices), func(i int) topoDevice {
		return topoDevice{devices[i].IotID, devices[i].Ref.ProductKey, devices[i].Ref.DeviceName}
	})
	return dataAnswer[topoPage]{answer}, nil
}

// asked is the answer of an action that sends a request to a gateway.
type asked struct {
	MessageID string `json:"MessageId"`
}

// gateway gets the device that the call names with GwIotId, or else GwProductKey and GwDeviceName.
func (a *api) gateway(ctx context.Context, c *openapi.Call) (*store.Device, error) {
	id, key, name := c.Params.String("GwIotId"), c.Params.String("GwProductKey"), c.Params.String("GwDeviceName")
	if id == "" && (!iot.ValidProductKey(key) || !iot.ValidDeviceName(name)) {
		return nil, openapi.Refusef(openapi.CodeNoDevice, "neither GwIotId nor GwProductKey and GwDeviceName name a device")
	}
	d, err := a.devices.Find(ctx, iot.IotID(id), iot.DeviceRef{ProductKey: iot.ProductKey(key), DeviceName: iot.DeviceName(name)})
	if err != nil {
		return nil, err
	}
	c.Device = d.Ref
	return d, nil
}

func (a *api) notifyAddThingTopo(ctx context.Context, c *openapi.Call) (any, error) {
	gateway, err := a.gateway(ctx, c)
	if err != nil {
		return nil, err
	}
	subs, err := a.namedInJSON(ctx, c.Params.String("DeviceListStr"))
	if err != nil {
		return nil, err
	}
	id := a.ids.request()
	if err := a.topology.NotifyAdd(ctx, gateway.Ref, subs, id); err != nil {
		return nil, err
	}
	return dataAnswer[asked]{asked{id}}, nil
}

// namedInJSON reads [{"productKey","deviceName"}, {"IotId"} …]; every device must exist.
func (a *api) namedInJSON(ctx context.Context, text string) ([]iot.DeviceRef, error) {
	var items []struct {
		ProductKey iot.ProductKey `json:"productKey"`
		DeviceName iot.DeviceName `json:"deviceName"`
		IotID      iot.IotID      `json:"IotId"`
	}
	if json.Unmarshal([]byte(text), &items) != nil || len(items) == 0 || len(items) > maxTopoNotify {
		return nil, openapi.Refusef(codeTopoAdd, "DeviceListStr is a JSON array of 1 to %d devices", maxTopoNotify)
	}
	refs := make([]iot.DeviceRef, len(items))
	for i, item := range items {
		refs[i] = iot.DeviceRef{ProductKey: item.ProductKey, DeviceName: item.DeviceName}
		if item.IotID == "" {
			continue
		}
		ref, err := a.rows.Resolve(ctx, item.IotID)
		if err != nil {
			return nil, err
		}
		refs[i] = ref
	}
	found, err := a.rows.GetMany(ctx, refs)
	if err != nil {
		return nil, err
	}
	for i, d := range found {
		if d == nil {
			return nil, iot.Errorf(iot.DeviceNotFound, "no device %s", refs[i])
		}
	}
	return refs, nil
}

func (a *api) batchAddThingTopo(ctx context.Context, c *openapi.Call) (any, error) {
	gateway, err := a.gateway(ctx, c)
	if err != nil {
		return nil, err
	}
	objects := c.Params.Objects("TopoAddItem")
	if len(objects) == 0 || len(objects) > maxTopoAdd {
		return nil, openapi.Refusef(codeTopoAdd, "TopoAddItem has 1 to %d elements", maxTopoAdd)
	}
	items := make([]topology.Presented, len(objects))
	for i, o := range objects {
		items[i] = topology.Presented{
			Device:   iot.DeviceRef{ProductKey: iot.ProductKey(o.String("ProductKey")), DeviceName: iot.DeviceName(o.String("DeviceName"))},
			ClientID: o.String("ClientId"), Timestamp: o.String("Timestamp"), Sign: o.String("Sign"), SignMethod: o.String("SignMethod"),
		}
	}
	err = a.topology.Attach(ctx, gateway.Ref, items, a.ids.request())
	if refusal.CauseOf(err) == refusal.SignMethodUnknown { // nothing is wrong with the relation: the signature cannot be checked
		return nil, openapi.Refusef(codeTopoSign, "SignMethod is hmacMd5, hmacSha1 or hmacSha256")
	}
	return nil, err
}

func (a *api) removeThingTopo(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := a.topology.Detach(ctx, d.Ref, a.ids.request()); err != nil {
		return nil, err
	}
	return dataAnswer[bool]{true}, nil
}

type gatewayDetail struct {
	IotID           string `json:"iotId"`
	Region          string `json:"region"`
	ProductKey      iot.ProductKey
	ProductName     string
	DeviceName      iot.DeviceName
	DeviceSecret    string
	FirmwareVersion string
	GmtActive       string
	GmtCreate       string
	GmtOnline       string
	IPAddress       string `json:"IpAddress"`
	NodeType        string
	Status          string
	UtcActive       string
	UtcCreate       string
	UtcOnline       string
}

func (a *api) getGatewayBySubDevice(ctx context.Context, c *openapi.Call) (any, error) {
	sub, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	ref, err := a.topology.GatewayOf(ctx, sub.Ref)
	if err != nil {
		return nil, err
	}
	if ref.IsZero() {
		return nil, openapi.Refusef(codeTopoQuery, "the device belongs to no gateway")
	}
	d, err := a.devices.Find(ctx, "", ref)
	if err != nil {
		return nil, err
	}
	p, err := a.products.Get(ctx, ref.ProductKey)
	if err != nil {
		return nil, err
	}
	s, err := a.devices.State(ctx, d)
	if err != nil {
		return nil, err
	}
	t := a.detail(p, d, s)
	return dataAnswer[gatewayDetail]{gatewayDetail{
		IotID: string(t.IotID), Region: t.Region, ProductKey: t.ProductKey, ProductName: t.ProductName, DeviceName: t.DeviceName,
		DeviceSecret: t.DeviceSecret, FirmwareVersion: t.FirmwareVersion, GmtActive: t.GmtActive, GmtCreate: t.GmtCreate, GmtOnline: t.GmtOnline,
		IPAddress: t.IPAddress, NodeType: "GATEWAY", Status: strings.ToLower(string(t.Status)), UtcActive: t.UtcActive, UtcCreate: t.UtcCreate, UtcOnline: t.UtcOnline,
	}}, nil
}

// permitJoin is ours: the vendor has the message to the gateway, and no action that sends it.
func (a *api) permitJoin(ctx context.Context, c *openapi.Call) (any, error) {
	seconds, err := c.Params.Int("Time", 60)
	if err != nil {
		return nil, err
	}
	if seconds < 1 || seconds > maxPermit {
		return nil, openapi.Refusef(openapi.CodeFormat, "Time is 1 to %d seconds", maxPermit)
	}
	key := c.Params.String("JoinProductKey")
	if !iot.ValidProductKey(key) {
		return nil, openapi.Refusef(openapi.CodeBadProductKey, "JoinProductKey is malformed")
	}
	gateway, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	if _, err := a.products.Get(ctx, iot.ProductKey(key)); err != nil {
		return nil, err
	}
	id := a.ids.request()
	if err := a.topology.PermitJoin(ctx, gateway.Ref, seconds, iot.ProductKey(key), id); err != nil {
		return nil, err
	}
	return dataAnswer[asked]{asked{id}}, nil
}

type foundDevice struct {
	topoDevice
	FoundAt int64
}

// listFoundDevices is ours: the registered devices that a gateway has found (thing/list/found) and that are not its own yet.
func (a *api) listFoundDevices(ctx context.Context, c *openapi.Call) (any, error) {
	number, size, err := topoPageOf(c)
	if err != nil {
		return nil, err
	}
	gateway, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	found, err := a.topology.Found(ctx, gateway.Ref, (number-1)*size, size)
	if err != nil {
		return nil, err
	}
	refs := make([]iot.DeviceRef, len(found))
	for i := range found {
		refs[i] = found[i].Device
	}
	devices, err := a.rows.GetMany(ctx, refs)
	if err != nil {
		return nil, err
	}
	return dataAnswer[[]foundDevice]{list(len(found), func(i int) foundDevice {
		f := foundDevice{topoDevice: topoDevice{ProductKey: refs[i].ProductKey, DeviceName: refs[i].DeviceName}, FoundAt: found[i].At}
		if devices[i] != nil {
			f.IotID = devices[i].IotID
		}
		return f
	})}, nil
}

// An announcer tells devices what is done to them before their connection ends.
type announcer struct {
	dropper
	topology *topology.Service
	ids      *ids
}

// Drop announces why, and ends the device's live connection.
func (n announcer) Drop(ctx context.Context, dev iot.DeviceRef, reason string) error {
	switch refusal.Cause(reason) {
	case refusal.Disabled:
		n.topology.Announce(ctx, dev, topology.Disabled, n.ids.request())
	case refusal.Deleted:
		n.topology.Announce(ctx, dev, topology.Deleted, n.ids.request())
	}
	return n.dropper.Drop(ctx, dev, reason)
}
