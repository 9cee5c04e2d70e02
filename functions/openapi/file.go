package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"relink/shared/fileupload"
	"relink/shared/openapi"
	"relink/shared/store"
)

// downloadFor is how long the URL of a device's file holds.
const downloadFor = time.Hour

// codeNoFile refuses a FileId that the device does not have.
const codeNoFile = "iot.device.FileNotExist"

type fileSummary struct {
	FileId       string //nolint:revive // the API's spelling
	Name         string
	Size         string
	UtcCreatedOn string
}

func summarize(f *store.File) fileSummary {
	return fileSummary{f.ID, f.Name, strconv.FormatInt(f.Size, 10), utc(f.CreatedAt)}
}

// queryDeviceFileList lists what a device has sent over file upload, newest first.
func (a *api) queryDeviceFileList(ctx context.Context, c *openapi.Call) (any, error) {
	number, size, err := page(c, 10, 200)
	if err != nil {
		return nil, err
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	files, err := a.delivery.stores.Files().List(ctx, d.Ref)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(files, func(x, y *store.File) int { return cmp.Compare(y.CreatedAt, x.CreatedAt) })
	from := min((number-1)*size, len(files))
	shown := files[from:min(from+size, len(files))]
	answer := struct {
		CurrentPage, PageCount, PageSize, Total int
		Data                                    struct{ FileSummary []fileSummary }
	}{CurrentPage: number, PageCount: pages(len(files), size), PageSize: size, Total: len(files)}
	answer.Data.FileSummary = list(len(shown), func(i int) fileSummary { return summarize(shown[i]) })
	return answer, nil
}

// file finds the file that the call names.
func (a *api) file(ctx context.Context, c *openapi.Call) (*store.File, error) {
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	files, err := a.delivery.stores.Files().List(ctx, d.Ref)
	if err != nil {
		return nil, err
	}
	id := c.Params.String("FileId")
	if i := slices.IndexFunc(files, func(f *store.File) bool { return f.ID == id }); i >= 0 {
		return files[i], nil
	}
	return nil, openapi.Refusef(codeNoFile, "the device has no such file")
}

func (a *api) queryDeviceFile(ctx context.Context, c *openapi.Call) (any, error) {
	f, err := a.file(ctx, c)
	if err != nil {
		return nil, err
	}
	url, err := a.delivery.urls.URL(f.Object, downloadFor)
	if err != nil {
		return nil, err
	}
	type file struct {
		DownloadUrl string //nolint:revive // the API's spelling
		fileSummary
	}
	return dataAnswer[file]{file{url, summarize(f)}}, nil
}

func (a *api) deleteDeviceFile(ctx context.Context, c *openapi.Call) (any, error) {
	f, err := a.file(ctx, c)
	if err != nil {
		return nil, err
	}
	return nil, fileupload.New(a.delivery.stores.Files(), a.delivery.files, 0, a.now).Delete(ctx, f)
}
