package main

import (
	"context"
	"time"

	"relink/shared/iot"
	"relink/shared/objects"
	"relink/shared/openapi"
	"relink/shared/ota"
	"relink/shared/remoteconfig"
	"relink/shared/store"
)

// deliveryStores are where configurations, files, versions and jobs are; *store.Store has them, and so has the one in memory.
type deliveryStores interface {
	RemoteConfigs() store.RemoteConfigs
	DeviceVersions() store.DeviceVersions
	ProductDevices() store.ProductDevices
	Files() store.Files
	Jobs() store.Jobs
}

// A delivery is what the actions about configurations, files, versions and jobs work with.
type delivery struct {
	stores deliveryStores
	files  objects.Bucket
	urls   urls

	configs *remoteconfig.Service
}

// urls makes URLs at which objects are fetched; *download.Signer is one.
type urls interface {
	URL(key string, valid time.Duration) (string, error)
}

func newDelivery(stores deliveryStores, files objects.Bucket, u urls, now func() time.Time) *delivery {
	return &delivery{stores: stores, files: files, urls: u, configs: remoteconfig.New(stores.RemoteConfigs(), files, u, now)}
}

// withDelivery adds the actions about configurations, files and jobs to a table.
func withDelivery(t openapi.Table, a *api) openapi.Table {
	product, device := openapi.ProductCodes, openapi.DeviceCodes
	pk, job := []string{"ProductKey"}, []string{"JobId"}
	for _, action := range []*openapi.Action{
		{Name: "RelinkPublishRemoteConfig", Required: pk, Codes: product, Handle: a.relinkPublishRemoteConfig},
		{Name: "RelinkGetRemoteConfig", Required: pk, Codes: product, Handle: a.relinkGetRemoteConfig},
		{Name: "RelinkListRemoteConfigVersions", Required: pk, Codes: product, Handle: a.relinkListRemoteConfigVersions},
		{Name: "RelinkSwitchRemoteConfig", Required: append(pk, "Enabled"), Codes: product, Handle: a.relinkSwitchRemoteConfig},
		{Name: "RelinkPushRemoteConfig", Required: pk, Codes: product, Handle: a.relinkPushRemoteConfig},

		{Name: "QueryDeviceFileList", Codes: device, Handle: a.queryDeviceFileList},
		{Name: "QueryDeviceFile", Required: []string{"FileId"}, Codes: device, Handle: a.queryDeviceFile},
		{Name: "DeleteDeviceFile", Required: []string{"FileId"}, Codes: device, Handle: a.deleteDeviceFile},

		{Name: "RelinkUploadJobFile", Required: []string{"Content"}, Codes: device, Handle: a.relinkUploadJobFile},
		{Name: "CreateJob", Required: []string{"JobDocument", "JobName", "TargetConfig", "Type"}, Codes: device, Handle: a.createJob},
		{Name: "UpdateJob", Required: job, Codes: device, Handle: a.updateJob},
		{Name: "QueryJob", Required: job, Codes: device, Handle: a.queryJob},
		{Name: "ListJob", Required: []string{"CurrentPage", "PageSize"}, Codes: device, Handle: a.listJob},
		{Name: "CancelJob", Required: job, Codes: device, Handle: a.cancelJob},
		{Name: "DeleteJob", Required: job, Codes: device, Handle: a.deleteJob},
		{Name: "QueryJobStatistics", Required: job, Codes: device, Handle: a.queryJobStatistics},
		{Name: "ListTask", Codes: device, Handle: a.listTask},
		{Name: "QueryTask", Required: []string{"TaskId"}, Codes: device, Handle: a.queryTask},
	} {
		if t[action.Name] != nil {
			panic("openapi: repeated action " + action.Name)
		}
		t[action.Name] = action
	}
	return t
}

// firmware gives the versions that devices reported of their firmware as a whole, "" where none did.
func (a *api) firmware(ctx context.Context, devices ...*store.Device) ([]string, error) {
	refs := make([]iot.DeviceRef, len(devices))
	for i, d := range devices {
		refs[i] = d.Ref
	}
	found, err := a.delivery.stores.DeviceVersions().Of(ctx, refs, ota.DefaultModule)
	if err != nil {
		return nil, err
	}
	versions := make([]string, len(devices))
	for i, v := range found {
		if v != nil {
			versions[i] = v.Version
		}
	}
	return versions, nil
}
