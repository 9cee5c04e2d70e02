package store

import (
	"context"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// A File is one file that a device has uploaded: a row of the table `device_file`. The data is an object.
type File struct {
	Ref       iot.DeviceRef `json:"-"`
	Name      string        `json:"-"`
	ID        string        `json:"id"` // of the upload that made it
	Object    string        `json:"object"`
	Size      int64         `json:"size"`
	CreatedAt int64         `json:"createdAt"`
	Revision  int64         `json:"-"` // of the row; 0 before the first Put
}

// An Upload is a transfer of a file that was begun: a row of the table `file_upload`. What has arrived is the length of its object.
type Upload struct {
	Ref       iot.DeviceRef `json:"-"`
	ID        string        `json:"-"`
	Name      string        `json:"name"`
	Object    string        `json:"object"`
	FileSize  int64         `json:"fileSize"` // announced, all together; -1: not known
	Base      int64         `json:"base,omitempty"`
	Strategy  string        `json:"strategy"`
	FICMode   string        `json:"ficMode,omitempty"`
	FICValue  string        `json:"ficValue,omitempty"`
	State     string        `json:"state,omitempty"`
	Size      int64         `json:"size,omitempty"`     // once it has ended
	CRC       uint64        `json:"crc,omitempty"`      // once it has ended
	Replaces  string        `json:"replaces,omitempty"` // object of the file that it takes the place of, until that is deleted
	BeganAt   int64         `json:"beganAt"`
	ExpiresAt int64         `json:"expiresAt"`
	Revision  int64         `json:"-"`
}

// Files is the tables `device_file`, `file_upload` and `file_usage`. Puts write over the revision that was read, 0 for none, and advance
// it; Conflict if somebody else did.
type Files interface {
	Get(ctx context.Context, ref iot.DeviceRef, name string) (*File, error) // nil without an error if there is none
	Put(ctx context.Context, f *File) error
	Delete(ctx context.Context, ref iot.DeviceRef, name string) error
	List(ctx context.Context, ref iot.DeviceRef) ([]*File, error) // in the order of names

	GetUpload(ctx context.Context, ref iot.DeviceRef, id string) (*Upload, error) // nil without an error if there is none
	PutUpload(ctx context.Context, u *Upload) error
	DeleteUpload(ctx context.Context, ref iot.DeviceRef, id string) error
	ListUploads(ctx context.Context, ref iot.DeviceRef) ([]*Upload, error)

	// SetUsage notes how many bytes a device's files and unfinished uploads have together; TotalUsage adds up what all devices have.
	SetUsage(ctx context.Context, ref iot.DeviceRef, bytes int64) error
	TotalUsage(ctx context.Context) (int64, error)
}

const (
	tableFile   = "device_file" // keys: device, name
	tableUpload = "file_upload" // keys: device, upload
	tableUsage  = "file_usage"  // key: device
)

type files struct{ client *client }

// Files is the tables of files that devices upload.
func (s *Store) Files() Files { return files{s.client} }

func (f files) Get(ctx context.Context, ref iot.DeviceRef, name string) (*File, error) {
	file := &File{Ref: ref, Name: name}
	var err error
	file.Revision, err = getDocument(ctx, f.client, tableFile, underDevice(ref, "name", name), file)
	if err != nil || file.Revision == 0 {
		return nil, err
	}
	return file, nil
}

func (f files) Put(ctx context.Context, file *File) error {
	return putDocument(ctx, f.client, tableFile, underDevice(file.Ref, "name", file.Name), file, &file.Revision)
}

func (f files) Delete(ctx context.Context, ref iot.DeviceRef, name string) error {
	return deleteRow(ctx, f.client, tableFile, underDevice(ref, "name", name))
}

func (f files) List(ctx context.Context, ref iot.DeviceRef) ([]*File, error) {
	var list []*File
	err := eachDocument(ctx, f.client, ofFirst(tableFile, "device", deviceKey(ref), "name"), func(name string, file File, revision int64) bool {
		file.Ref, file.Name, file.Revision = ref, name, revision
		list = append(list, &file)
		return true
	})
	return list, err
}

func (f files) GetUpload(ctx context.Context, ref iot.DeviceRef, id string) (*Upload, error) {
	u := &Upload{Ref: ref, ID: id}
	var err error
	u.Revision, err = getDocument(ctx, f.client, tableUpload, underDevice(ref, "upload", id), u)
	if err != nil || u.Revision == 0 {
		return nil, err
	}
	return u, nil
}

func (f files) PutUpload(ctx context.Context, u *Upload) error {
	return putDocument(ctx, f.client, tableUpload, underDevice(u.Ref, "upload", u.ID), u, &u.Revision)
}

func (f files) DeleteUpload(ctx context.Context, ref iot.DeviceRef, id string) error {
	return deleteRow(ctx, f.client, tableUpload, underDevice(ref, "upload", id))
}

func (f files) ListUploads(ctx context.Context, ref iot.DeviceRef) ([]*Upload, error) {
	var list []*Upload
	err := eachDocument(ctx, f.client, ofFirst(tableUpload, "device", deviceKey(ref), "upload"), func(id string, u Upload, revision int64) bool {
		u.Ref, u.ID, u.Revision = ref, id, revision
		list = append(list, &u)
		return true
	})
	return list, err
}

func (f files) SetUsage(ctx context.Context, ref iot.DeviceRef, bytes int64) error {
	var c columns
	c.add("bytes", bytes)
	return f.client.put(ctx, &tablestore.PutRowChange{TableName: tableUsage, PrimaryKey: deviceRowKey(ref), Columns: c, Condition: always})
}

func (f files) TotalUsage(ctx context.Context) (int64, error) {
	start, end := new(tablestore.PrimaryKey), new(tablestore.PrimaryKey)
	start.AddPrimaryKeyColumnWithMinValue("device")
	end.AddPrimaryKeyColumnWithMaxValue("device")
	total := int64(0)
	err := f.client.scan(ctx, tablestore.RangeRowQueryCriteria{TableName: tableUsage, StartPrimaryKey: start, EndPrimaryKey: end}, func(row *tablestore.Row) bool {
		total += newCells(row.Columns).int("bytes")
		return true
	})
	return total, err
}
