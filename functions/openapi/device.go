package main

import (
	"context"
	"encoding/base64"
	"net"
	"strconv"

	"relink/shared/device"
	"relink/shared/device/registry"
	"relink/shared/fileupload"
	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/store"
	"relink/shared/topology"
)

// identity is what several answers tell of a device.
type identity struct {
	ProductKey   iot.ProductKey
	DeviceName   iot.DeviceName
	IotID        iot.IotID `json:"IotId"`
	DeviceSecret string
	Nickname     string `json:",omitempty"`
}

func identify(d *store.Device) identity {
	return identity{d.Ref.ProductKey, d.Ref.DeviceName, d.IotID, d.Secret.Reveal(), d.Nickname}
}

type dataAnswer[T any] struct{ Data T }

func (a *api) registerDevice(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	name, nickname := c.Params.String("DeviceName"), c.Params.String("Nickname")
	c.Device.DeviceName = iot.DeviceName(name)
	if name != "" && !iot.ValidNewDeviceName(name) {
		return nil, openapi.Refusef(openapi.CodeBadDeviceName, "a device name has 4 to 32 of A-Z, a-z, 0-9, and _-@.:")
	}
	d, err := a.devices.Register(ctx, registry.Registration{ProductKey: pk, DeviceName: iot.DeviceName(name), Nickname: nickname})
	if err != nil {
		return nil, err
	}
	c.Device = d.Ref
	return dataAnswer[identity]{identify(d)}, nil
}

func (a *api) queryDeviceInfo(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	return dataAnswer[identity]{identify(d)}, nil
}

func (a *api) deleteDevice(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	// The data of its files goes while their rows still name it.
	if err := fileupload.New(a.delivery.stores.Files(), a.delivery.files, 0, a.now).Forget(ctx, d.Ref); err != nil {
		return nil, err
	}
	return nil, a.devices.Delete(ctx, d.Ref)
}

func (a *api) disableThing(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	return nil, a.devices.Disable(ctx, d.Ref)
}

func (a *api) enableThing(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := a.devices.Enable(ctx, d.Ref); err != nil {
		return nil, err
	}
	a.topology.Announce(ctx, d.Ref, topology.Enabled, a.ids.request())
	return nil, nil
}

type listedDevice struct {
	identity
	DeviceID     iot.IotID `json:"DeviceId"` // deprecated alias
	DeviceStatus device.Status
	DeviceType   string `json:",omitempty"`
	GmtCreate    string
	GmtModified  string
	UtcCreate    string
	UtcModified  string
}

type deviceList struct {
	Data      struct{ DeviceInfo []listedDevice }
	NextToken string `json:",omitempty"`
	Page      int
	PageCount int
	PageSize  int
	Total     int
}

// Bounds of "QueryDevice".
const (
	maxListed    = 1_000_000 // devices that can be reached at all
	maxUntokened = 10_000    // devices that can be reached by page number alone
)

func (a *api) queryDevice(ctx context.Context, c *openapi.Call) (any, error) {
	number, size, err := page(c, 10, 50)
	if err != nil {
		return nil, err
	}
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	offset := (number - 1) * size
	if token := c.Params.String("NextToken"); token != "" {
		if offset, err = readToken(token); err != nil {
			return nil, openapi.Refusef(openapi.CodePage, "NextToken is not one that this API gave out")
		}
	} else if number*size > maxUntokened {
		return nil, openapi.Refusef(openapi.CodePage, "beyond %d devices NextToken is required", maxUntokened)
	}
	if offset+size > maxListed {
		return nil, openapi.Refusef(openapi.CodePage, "at most %d devices can be listed", maxListed)
	}
	devices, err := a.rows.List(ctx, p.Key, offset, size)
	if err != nil {
		return nil, err
	}
	states, err := a.devices.States(ctx, devices)
	if err != nil {
		return nil, err
	}
	total, err := a.rows.Count(ctx, p.Key)
	if err != nil {
		return nil, err
	}
	answer := deviceList{Page: number, PageCount: pages(total, size), PageSize: size, Total: total}
	answer.Data.DeviceInfo = list(len(devices), func(i int) listedDevice {
		d := devices[i]
		return listedDevice{identity: identify(d), DeviceID: d.IotID, DeviceStatus: states[i].Status,
			GmtCreate: gmt(d.CreatedAt), GmtModified: gmt(d.UpdatedAt), UtcCreate: utc(d.CreatedAt), UtcModified: utc(d.UpdatedAt)}
	})
	if offset+size < total {
		answer.NextToken = makeToken(offset + size)
	}
	return answer, nil
}

// A token tells where the next page begins.
func makeToken(offset int) string {
	return base64.RawURLEncoding.EncodeToString([]byte("offset:" + strconv.Itoa(offset)))
}

func readToken(token string) (int, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < 8 || string(b[:7]) != "offset:" {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(string(b[7:]), 10, 31)
	return int(n), err
}

type deviceDetail struct {
	identity
	ProductName     string
	NodeType        int
	Region          string
	Status          device.Status
	FirmwareVersion string
	GmtCreate       string
	UtcCreate       string
	GmtActive       string
	UtcActive       string
	GmtOnline       string `json:",omitempty"`
	UtcOnline       string `json:",omitempty"`
	IPAddress       string `json:"IpAddress,omitempty"`
	Owner           *bool  `json:",omitempty"`
}

func (a *api) detail(p *store.Product, d *store.Device, s registry.State) deviceDetail {
	t := deviceDetail{identity: identify(d), ProductName: p.Name, NodeType: p.NodeType, Region: a.region, Status: s.Status,
		GmtCreate: local(d.CreatedAt), UtcCreate: utc(d.CreatedAt)}
	if s.Session != nil {
		t.GmtActive, t.UtcActive = local(s.Session.ActiveAt), utc(s.Session.ActiveAt)
		t.GmtOnline, t.UtcOnline = local(s.Session.LastActive()), utc(s.Session.LastActive())
		t.IPAddress = s.Session.LastAddr()
		if host, _, err := net.SplitHostPort(t.IPAddress); err == nil {
			t.IPAddress = host
		}
	}
	return t
}

func (a *api) queryDeviceDetail(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	p, err := a.products.Get(ctx, d.Ref.ProductKey)
	if err != nil {
		return nil, err
	}
	s, err := a.devices.State(ctx, d)
	if err != nil {
		return nil, err
	}
	firmware, err := a.firmware(ctx, d)
	if err != nil {
		return nil, err
	}
	t := a.detail(p, d, s)
	t.FirmwareVersion = firmware[0]
	owner := true
	t.Owner = &owner
	return dataAnswer[deviceDetail]{t}, nil
}

func (a *api) batchQueryDeviceDetail(ctx context.Context, c *openapi.Call) (any, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	devices, err := a.named(ctx, c, p.Key, 100)
	if err != nil {
		return nil, err
	}
	states, err := a.devices.States(ctx, devices)
	if err != nil {
		return nil, err
	}
	firmware, err := a.firmware(ctx, devices...)
	if err != nil {
		return nil, err
	}
	var answer dataAnswer[dataAnswer[[]deviceDetail]]
	answer.Data.Data = list(len(devices), func(i int) deviceDetail {
		t := a.detail(p, devices[i], states[i])
		t.FirmwareVersion = firmware[i]
		t.GmtOnline, t.UtcOnline, t.IPAddress = "", "", "" // this answer has no such members
		return t
	})
	return answer, nil
}

// named gets the devices of the list DeviceName; unknown ones are left out.
func (a *api) named(ctx context.Context, c *openapi.Call, pk iot.ProductKey, most int) ([]*store.Device, error) {
	names := c.Params.Strings("DeviceName")
	if len(names) == 0 {
		return nil, openapi.Refusef(openapi.CodeNoDeviceNames, "the list DeviceName is empty")
	}
	if len(names) > most {
		return nil, openapi.Refusef(openapi.CodeTooManyDevices, "at most %d devices can be asked for at once", most)
	}
	refs := make([]iot.DeviceRef, len(names))
	for i, name := range names {
		refs[i] = iot.DeviceRef{ProductKey: pk, DeviceName: iot.DeviceName(name)}
	}
	return a.existing(ctx, refs)
}

func (a *api) existing(ctx context.Context, refs []iot.DeviceRef) ([]*store.Device, error) {
	found, err := a.rows.GetMany(ctx, refs)
	if err != nil {
		return nil, err
	}
	devices := found[:0]
	for _, d := range found {
		if d != nil {
			devices = append(devices, d)
		}
	}
	return devices, nil
}
