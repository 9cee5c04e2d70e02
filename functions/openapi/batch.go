package main

import (
	"context"

	"relink/shared/device/registry"
	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/store"
)

type applied struct {
	ApplyID int64 `json:"ApplyId"`
}

func (a *api) batchRegisterDevice(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	count, err := c.Params.Int("Count", 0)
	if err != nil {
		return nil, err
	}
	app, err := a.devices.RegisterBatch(ctx, pk, count)
	if err != nil {
		return nil, err
	}
	return dataAnswer[applied]{applied{app.ID}}, nil
}

type invalidDetail struct {
	DeviceName string
	NickName   string `json:",omitempty"`
	ErrorMsg   string
}

// nameFaults are what is wrong with a list of names; the spelling of its members is the vendor's.
type nameFaults struct {
	InvalidDetailList         struct{ InvalidDetailList []invalidDetail }
	InvalidDeviceNameList     struct{ InvalidDeviceName []string }
	InvalidDeviceNicknameList struct{ InvalidDeviceNickname []string }
	RepeatedDeviceNameList    struct{ RepeatDevieNameList []string }
}

func (a *api) batchCheckDeviceNames(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	names, nicknames := c.Params.Strings("DeviceName"), []string(nil)
	if len(names) == 0 {
		for _, o := range c.Params.Objects("DeviceNameList") {
			names = append(names, o.String("DeviceName"))
			nicknames = append(nicknames, o.String("DeviceNickname"))
		}
	}
	if len(names) == 0 {
		return nil, openapi.Refusef(openapi.CodeNoDeviceNames, "neither DeviceName nor DeviceNameList has an element")
	}
	if len(names) > registry.MaxBatch {
		return nil, openapi.Refusef(openapi.CodeTooManyDevices, "at most %d names can be checked at once", registry.MaxBatch)
	}
	if err := checkNames(names, nicknames); err != nil {
		return nil, err
	}
	chosen := list(len(names), func(i int) iot.DeviceName { return iot.DeviceName(names[i]) })
	app, err := a.devices.CheckNames(ctx, pk, chosen)
	if err != nil {
		return nil, err
	}
	return dataAnswer[applied]{applied{app.ID}}, nil
}

// checkNames refuses malformed and repeated names with the lists of them. Nicknames are refused altogether: an application
// keeps names only, and to drop what somebody chose in silence would be worse.
func checkNames(names, nicknames []string) error {
	var f nameFaults
	f.InvalidDetailList.InvalidDetailList = []invalidDetail{}
	f.InvalidDeviceNameList.InvalidDeviceName = []string{}
	f.InvalidDeviceNicknameList.InvalidDeviceNickname = []string{}
	f.RepeatedDeviceNameList.RepeatDevieNameList = []string{}
	details := &f.InvalidDetailList.InvalidDetailList
	seen := make(map[string]int, len(names))
	code := ""
	for i, name := range names {
		nickname := ""
		if nicknames != nil {
			nickname = nicknames[i]
		}
		if nickname != "" {
			f.InvalidDeviceNicknameList.InvalidDeviceNickname = append(f.InvalidDeviceNicknameList.InvalidDeviceNickname, nickname)
			*details = append(*details, invalidDetail{name, nickname, "nicknames are not supported in batch registration; register the device by itself"})
			code = "iot.device.InvalidDeviceNickNameExisted"
		}
		if seen[name]++; seen[name] == 2 {
			f.RepeatedDeviceNameList.RepeatDevieNameList = append(f.RepeatedDeviceNameList.RepeatDevieNameList, name)
		}
		if !iot.ValidNewDeviceName(name) {
			f.InvalidDeviceNameList.InvalidDeviceName = append(f.InvalidDeviceNameList.InvalidDeviceName, name)
			*details = append(*details, invalidDetail{name, nickname, "a device name has 4 to 32 of A-Z, a-z, 0-9, and _-@.:"})
		}
	}
	if len(f.InvalidDeviceNameList.InvalidDeviceName)+len(f.RepeatedDeviceNameList.RepeatDevieNameList) > 0 {
		code = openapi.CodeBadDeviceName
	}
	if code == "" {
		return nil
	}
	return &openapi.Refusal{Code: code, Message: "some names are malformed or repeated", Data: dataAnswer[nameFaults]{f}}
}

// application gets the batch that the call names.
func (a *api) application(ctx context.Context, c *openapi.Call, pk iot.ProductKey) (*store.Application, error) {
	id, err := applyID(c)
	if err != nil {
		return nil, err
	}
	app, err := a.devices.Application(ctx, pk, id)
	if err != nil {
		return nil, err
	}
	if app == nil {
		return nil, openapi.Refusef("iot.device.DeviceApplyIsNotFound", "there is no application with this ApplyId")
	}
	c.Device.ProductKey = app.ProductKey
	return app, nil
}

func applyID(c *openapi.Call) (int64, error) {
	if c.Params.String("ApplyId") == "" {
		return 0, openapi.Refusef("iot.device.NullApplyId", "ApplyId is empty")
	}
	id, err := c.Params.Int64("ApplyId", 0)
	if err != nil {
		return 0, openapi.Refusef("iot.device.InvalidFormattedApplyId", "ApplyId is not a number")
	}
	return id, nil
}

func (a *api) batchRegisterDeviceWithApplyID(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	app, err := a.application(ctx, c, pk)
	if err != nil {
		return nil, err
	}
	switch app.Status {
	case registry.CheckSuccess:
	case registry.Creating:
		return nil, openapi.Refusef("iot.device.CreateDeviceTaskIsRunning", "the devices are being created; ask for the status")
	default:
		return nil, openapi.Refusef("iot.device.IncorrentDeviceApplyInfo", "the application's status is %s", app.Status)
	}
	if err := a.devices.RegisterChecked(ctx, app); err != nil {
		return nil, err
	}
	return dataAnswer[applied]{applied{app.ID}}, nil
}

type batchStatus struct {
	InvalidDetailList struct {
		InvalidDetailList []invalidDetail `json:"invalidDetailList"`
	}
	InvalidList struct{ Name []iot.DeviceName }
	Status      string
	ValidList   struct{ Name []iot.DeviceName }
}

func (a *api) queryBatchRegisterDeviceStatus(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	app, err := a.application(ctx, c, pk)
	if err != nil {
		return nil, err
	}
	s := batchStatus{Status: app.Status}
	s.InvalidList.Name, s.ValidList.Name = []iot.DeviceName{}, []iot.DeviceName{}
	s.InvalidDetailList.InvalidDetailList = []invalidDetail{}
	if len(app.Invalid) > 0 { // on success both lists are empty
		invalid := make(map[iot.DeviceName]bool, len(app.Invalid))
		for _, name := range app.Invalid {
			invalid[name] = true
			s.InvalidDetailList.InvalidDetailList = append(s.InvalidDetailList.InvalidDetailList, invalidDetail{string(name), "", "the name is taken"})
		}
		s.InvalidList.Name = app.Invalid
		for _, name := range app.Names {
			if !invalid[name] {
				s.ValidList.Name = append(s.ValidList.Name, name)
			}
		}
	}
	return dataAnswer[batchStatus]{s}, nil
}

type appliedDevice struct {
	DeviceID     iot.IotID `json:"DeviceId"`
	DeviceName   iot.DeviceName
	DeviceSecret string
	IotID        iot.IotID `json:"IotId"`
}

type applicationPage struct {
	ApplyDeviceList struct{ ApplyDeviceInfo []appliedDevice }
	Page            int
	PageCount       int
	PageSize        int
	Total           int
}

func (a *api) queryPageByApplyID(ctx context.Context, c *openapi.Call) (any, error) {
	number, size, err := page(c, 10, 50)
	if err != nil {
		return nil, err
	}
	app, err := a.application(ctx, c, "") // this action has no ProductKey
	if err != nil {
		return nil, err
	}
	devices, err := a.devices.Registered(ctx, app, (number-1)*size, size)
	if err != nil {
		return nil, err
	}
	total := 0
	if app.Status == registry.CreateSuccess || app.Status == registry.CreateFailed {
		total = len(app.Names) - len(app.Invalid)
	}
	answer := applicationPage{Page: number, PageCount: pages(total, size), PageSize: size, Total: total}
	answer.ApplyDeviceList.ApplyDeviceInfo = list(len(devices), func(i int) appliedDevice {
		d := devices[i]
		return appliedDevice{d.IotID, d.Ref.DeviceName, d.Secret.Reveal(), d.IotID}
	})
	return answer, nil
}
