package main

import (
	"context"

	"relink/shared/alink"
	"relink/shared/device/registry"
	"relink/shared/deviceinfo"
	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/store"
)

// maxProps bounds the parameter Props ("SaveDeviceProp").
const maxProps = 5 << 10

func (a *api) saveDeviceProp(ctx context.Context, c *openapi.Call) (any, error) {
	tags, err := readProps(c.Params.String("Props"))
	if err != nil {
		return nil, err
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	return nil, a.infos.SaveTags(ctx, d.Ref, tags)
}

// readProps reads {"key":"value"}; numbers and bools are their own text.
func readProps(props string) ([]store.Tag, error) {
	const prefix = "iot.device."
	switch {
	case props == "":
		return nil, openapi.Refusef(prefix+"NullDevicePropertiesString", "Props is empty")
	case len(props) > maxProps:
		return nil, openapi.Refusef(prefix+"LongDevicePropertiesString", "Props has more than %d bytes", maxProps)
	}
	object, err := alink.Normalize([]byte(props))
	if err != nil || object[0] != '{' {
		return nil, openapi.Refusef(prefix+"InvalidFormattedDevicePropertiesString", "Props is not a JSON object")
	}
	var tags []store.Tag
	for name, value := range alink.Members(object) {
		t := store.Tag{Key: string(name), Value: text(value)}
		switch {
		case !deviceinfo.ValidKey(t.Key):
			return nil, openapi.Refusef(prefix+"InvalidFormattedDevicePropertyKey", "a key has 1 to 30 letters, digits and _-#@%%&*. and is not %s: %q", deviceinfo.ReservedKey, t.Key)
		case value[0] == '{' || value[0] == '[' || value[0] == 'n' || !deviceinfo.ValidValue(t.Value):
			return nil, openapi.Refusef(prefix+"InvalidFormattedDevicePropertiesString", "the value of %s is not a text of at most 128 permitted characters", t.Key)
		case len(tags) == deviceinfo.MaxTags:
			return nil, openapi.Refusef(prefix+"TooManyDevicePropertiesPerTime", "a device has at most %d tags", deviceinfo.MaxTags)
		}
		tags = append(tags, t)
	}
	if len(tags) == 0 {
		return nil, openapi.Refusef(prefix+"NullDevicePropertiesString", "Props names no tag")
	}
	return tags, nil
}

func (a *api) queryDeviceProp(ctx context.Context, c *openapi.Call) (any, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	info, err := a.infos.Info(ctx, d.Ref)
	if err != nil {
		return nil, err
	}
	return struct{ Props string }{tagObject(info.Tags)}, nil
}

// tagObject is tags as a JSON object in their order.
func tagObject(tags []store.Tag) string {
	b := []byte{'{'}
	for i, t := range tags {
		if i > 0 {
			b = append(b, ',')
		}
		b = alink.AppendString(append(alink.AppendString(b, t.Key), ':'), t.Value)
	}
	return string(append(b, '}'))
}

func (a *api) deleteDeviceProp(ctx context.Context, c *openapi.Call) (any, error) {
	key := c.Params.String("PropKey")
	if key == "" {
		return nil, openapi.Refusef("iot.device.NullDevicePropertyKey", "PropKey is empty")
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	return nil, a.infos.DeleteTag(ctx, d.Ref, key)
}

type taggedDevice struct {
	ProductKey  iot.ProductKey
	ProductName string
	DeviceName  iot.DeviceName
	IotID       iot.IotID `json:"IotId"`
}

type taggedDevices struct {
	Data                             struct{ SimpleDeviceInfo []taggedDevice }
	Page, PageCount, PageSize, Total int
}

// Bounds of "QueryDeviceByTags".
const (
	maxTagQuery = 10     // tags in one query
	maxTagged   = 10_000 // devices that one tag is looked up for
)

// queryDeviceByTags finds the devices that have all of the tags.
func (a *api) queryDeviceByTags(ctx context.Context, c *openapi.Call) (any, error) {
	number, size, err := page(c, 10, 50)
	if err != nil {
		return nil, err
	}
	var tags []store.Tag
	for _, o := range c.Params.Objects("Tag") {
		if key := o.String("TagKey"); key != "" && key != deviceinfo.ReservedKey {
			tags = append(tags, store.Tag{Key: key, Value: o.String("TagValue")})
		}
	}
	if len(tags) == 0 || len(tags) > maxTagQuery {
		return nil, openapi.Refusef("iot.device.NoneDeviceProperties", "1 to %d tags are needed", maxTagQuery)
	}
	refs, err := a.tagged(ctx, tags)
	if err != nil {
		return nil, err
	}
	devices, err := a.existing(ctx, refs)
	if err != nil {
		return nil, err
	}
	answer := taggedDevices{Page: number, PageCount: pages(len(devices), size), PageSize: size, Total: len(devices)}
	names := make(map[iot.ProductKey]string)
	shown := devices[min((number-1)*size, len(devices)):min(number*size, len(devices))]
	answer.Data.SimpleDeviceInfo = list(len(shown), func(i int) taggedDevice {
		d := shown[i]
		if _, ok := names[d.Ref.ProductKey]; !ok {
			if p, err := a.cached.Get(ctx, d.Ref.ProductKey); err == nil { // a name that cannot be read is left out
				names[d.Ref.ProductKey] = p.Name
			}
		}
		return taggedDevice{d.Ref.ProductKey, names[d.Ref.ProductKey], d.Ref.DeviceName, d.IotID}
	})
	return answer, nil
}

// tagged are the devices that the index of tags has under every tag, in the order of the first.
func (a *api) tagged(ctx context.Context, tags []store.Tag) ([]iot.DeviceRef, error) {
	var refs []iot.DeviceRef
	for i, tag := range tags {
		found, err := a.tagIndex.Tagged(ctx, tag, maxTagged)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			refs = found
			continue
		}
		has := make(map[iot.DeviceRef]bool, len(found))
		for _, ref := range found {
			has[ref] = true
		}
		kept := refs[:0]
		for _, ref := range refs {
			if has[ref] {
				kept = append(kept, ref)
			}
		}
		refs = kept
	}
	return refs, nil
}

// maxNicknames bounds one call of "BatchUpdateDeviceNickname".
const maxNicknames = 100

func (a *api) batchUpdateDeviceNickname(ctx context.Context, c *openapi.Call) (any, error) {
	entries := c.Params.Objects("DeviceNicknameInfo")
	if len(entries) == 0 {
		return nil, openapi.Missing("DeviceNicknameInfo")
	}
	if len(entries) > maxNicknames {
		return nil, openapi.Refusef(openapi.CodeTooManyDevices, "at most %d devices can be named at once", maxNicknames)
	}
	devices := make([]*store.Device, len(entries))
	for i, e := range entries { // all are looked at before the first is named
		if n := e.String("Nickname"); n != "" && !registry.ValidNickname(n) {
			return nil, openapi.Refusef("iot.device.InvalidDeviceNickNameExisted", "entry %d: a nickname has 4 to 64 Chinese characters (counted twice), letters, digits and _", i+1)
		}
		d, err := a.device(ctx, &openapi.Call{Params: e})
		if err != nil {
			return nil, err
		}
		devices[i] = d
	}
	for i, d := range devices {
		if err := a.rows.SetNickname(ctx, d.Ref, entries[i].String("Nickname"), a.now().UnixMilli()); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
