package main

import (
	"encoding/json"
	"fmt"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/scripts/load"
)

// registerMany registers devices with random names, 1,000 per call, and returns their identities.
func (a *app) registerMany(productKey string, count int) ([]load.Device, error) {
	api, err := a.api()
	if err != nil {
		return nil, err
	}
	var devices []load.Device
	for len(devices) < count {
		resp, err := patiently(api.BatchRegisterDevice, &iotapi.BatchRegisterDeviceRequest{ProductKey: &productKey, Count: tea.Int32(int32(min(1000, count-len(devices))))})
		if err != nil {
			return nil, err
		}
		made, err := a.applied(api, productKey, resp.Body.Data.ApplyId)
		if err != nil {
			return nil, err
		}
		if len(made) == 0 {
			return nil, fmt.Errorf("batch %d registered nothing", tea.Int64Value(resp.Body.Data.ApplyId))
		}
		devices = append(devices, made...)
	}
	return devices, nil
}

// applied waits for a batch registration and lists its devices.
func (a *app) applied(api *iotapi.Client, productKey string, applyID *int64) ([]load.Device, error) {
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		status, err := patiently(api.QueryBatchRegisterDeviceStatus, &iotapi.QueryBatchRegisterDeviceStatusRequest{ProductKey: &productKey, ApplyId: applyID})
		if err != nil {
			return nil, err
		}
		switch s := str(status.Body.Data.Status); {
		case s == "CREATE_SUCCESS":
			return a.appliedPages(api, productKey, applyID)
		case s == "CREATE_FAILED" || s == "CHECK_FAILED":
			return nil, fmt.Errorf("batch registration %d: %s", tea.Int64Value(applyID), s)
		case time.Now().After(deadline):
			return nil, fmt.Errorf("batch registration %d is still %s after two minutes", tea.Int64Value(applyID), s)
		}
	}
}

func (a *app) appliedPages(api *iotapi.Client, productKey string, applyID *int64) ([]load.Device, error) {
	var devices []load.Device
	for page := int32(1); ; page++ {
		resp, err := patiently(api.QueryPageByApplyId, &iotapi.QueryPageByApplyIdRequest{ApplyId: applyID, CurrentPage: &page, PageSize: tea.Int32(50)})
		if err != nil {
			return nil, err
		}
		for _, d := range resp.Body.ApplyDeviceList.ApplyDeviceInfo {
			devices = append(devices, load.Device{ProductKey: productKey, DeviceName: str(d.DeviceName), DeviceSecret: str(d.DeviceSecret)})
		}
		if page >= tea.Int32Value(resp.Body.PageCount) {
			return devices, nil
		}
	}
}

// fleet finds or makes a product for simulated devices, with its thing model and with at least count devices; it is kept for the next run.
func (a *app) fleet(name, tsl string, count int) ([]load.Device, error) {
	api, err := a.api()
	if err != nil {
		return nil, err
	}
	productKey, err := a.productByName(api, name)
	if err != nil {
		return nil, err
	}
	if productKey == "" {
		p, err := a.createProduct(name, "simulated devices", false, false, false, 1)
		if err != nil {
			return nil, err
		}
		productKey = str(p.ProductKey)
	}
	// A run that was broken off left a product without a thing model: it gets one now.
	published, err := patiently(api.GetThingModelTslPublished, &iotapi.GetThingModelTslPublishedRequest{ProductKey: &productKey})
	if err != nil {
		return nil, err
	}
	if none, err := emptyModel(str(published.Body.Data.TslStr)); err != nil {
		return nil, err
	} else if none {
		if err := a.importModel(productKey, tsl, module{}); err != nil {
			return nil, err
		}
		if err := a.publishModel(productKey, "", "simulated devices"); err != nil {
			return nil, err
		}
	}
	var devices []load.Device
	var next *string // page numbers alone reach 10,000 devices
	for page := int32(1); len(devices) < count; page++ {
		resp, err := patiently(api.QueryDevice, &iotapi.QueryDeviceRequest{ProductKey: &productKey, CurrentPage: &page, PageSize: tea.Int32(50), NextToken: next})
		if err != nil {
			return nil, err
		}
		for _, d := range resp.Body.Data.DeviceInfo {
			devices = append(devices, load.Device{ProductKey: productKey, DeviceName: str(d.DeviceName), DeviceSecret: str(d.DeviceSecret)})
		}
		if next = resp.Body.NextToken; str(next) == "" {
			break
		}
	}
	if len(devices) < count {
		more, err := a.registerMany(productKey, count-len(devices))
		if err != nil {
			return nil, err
		}
		devices = append(devices, more...)
	}
	return devices[:count], nil
}

// emptyModel reports whether a TSL has no feature: that is what a product without a published model answers.
func emptyModel(tsl string) (bool, error) {
	var m struct{ Properties, Events, Services []json.RawMessage }
	if tsl == "" {
		return true, nil
	}
	if err := json.Unmarshal([]byte(tsl), &m); err != nil {
		return false, fmt.Errorf("the published TSL is not understood: %w", err)
	}
	return len(m.Properties)+len(m.Events)+len(m.Services) == 0, nil
}

// productByName answers the key of the product with that name, or nothing.
func (a *app) productByName(api *iotapi.Client, name string) (string, error) {
	for page := int32(1); ; page++ {
		resp, err := patiently(api.QueryProductList, &iotapi.QueryProductListRequest{CurrentPage: &page, PageSize: tea.Int32(200)})
		if err != nil {
			return "", err
		}
		for _, p := range resp.Body.Data.List.ProductInfo {
			if str(p.ProductName) == name {
				return str(p.ProductKey), nil
			}
		}
		if page >= tea.Int32Value(resp.Body.Data.PageCount) {
			return "", nil
		}
	}
}
