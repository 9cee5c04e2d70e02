package memory

import (
	"context"

	"relink/shared/iot"
	"relink/shared/store"
)

// Files is the tables of files that devices upload.
func (s *Store) Files() store.Files { return files{s} }

type files struct{ s *Store }

const (
	tableFile   = "device_file"
	tableUpload = "file_upload"
	tableUsage  = "file_usage"
)

func (f files) Get(ctx context.Context, ref iot.DeviceRef, name string) (*store.File, error) {
	end, err := f.s.begin(ctx, "files.get", ref)
	if err != nil {
		return nil, err
	}
	defer end()
	file := &store.File{Ref: ref, Name: name}
	if file.Revision, err = f.s.documents.get(ofDevice(tableFile, ref, name), file); err != nil || file.Revision == 0 {
		return nil, err
	}
	return file, nil
}

func (f files) Put(ctx context.Context, file *store.File) error {
	end, err := f.s.begin(ctx, "files.put", file.Ref)
	if err != nil {
		return err
	}
	defer end()
	return f.s.documents.put(ofDevice(tableFile, file.Ref, file.Name), file, &file.Revision)
}

func (f files) Delete(ctx context.Context, ref iot.DeviceRef, name string) error {
	end, err := f.s.begin(ctx, "files.delete", ref)
	if err != nil {
		return err
	}
	defer end()
	delete(f.s.documents.rows, ofDevice(tableFile, ref, name))
	return nil
}

func (f files) List(ctx context.Context, ref iot.DeviceRef) ([]*store.File, error) {
	end, err := f.s.begin(ctx, "files.list", ref)
	if err != nil {
		return nil, err
	}
	defer end()
	var list []*store.File
	for _, k := range f.s.documents.keys(tableFile, ref.String()) {
		file := &store.File{Ref: ref, Name: k.second}
		if file.Revision, err = f.s.documents.get(k, file); err != nil {
			return nil, err
		}
		list = append(list, file)
	}
	return list, nil
}

func (f files) GetUpload(ctx context.Context, ref iot.DeviceRef, id string) (*store.Upload, error) {
	end, err := f.s.begin(ctx, "files.get_upload", ref)
	if err != nil {
		return nil, err
	}
	defer end()
	u := &store.Upload{Ref: ref, ID: id}
	if u.Revision, err = f.s.documents.get(ofDevice(tableUpload, ref, id), u); err != nil || u.Revision == 0 {
		return nil, err
	}
	return u, nil
}

func (f files) PutUpload(ctx context.Context, u *store.Upload) error {
	end, err := f.s.begin(ctx, "files.put_upload", u.Ref)
	if err != nil {
		return err
	}
	defer end()
	return f.s.documents.put(ofDevice(tableUpload, u.Ref, u.ID), u, &u.Revision)
}

func (f files) DeleteUpload(ctx context.Context, ref iot.DeviceRef, id string) error {
	end, err := f.s.begin(ctx, "files.delete_upload", ref)
	if err != nil {
		return err
	}
	defer end()
	delete(f.s.documents.rows, ofDevice(tableUpload, ref, id))
	return nil
}

func (f files) ListUploads(ctx context.Context, ref iot.DeviceRef) ([]*store.Upload, error) {
	end, err := f.s.begin(ctx, "files.list_uploads", ref)
	if err != nil {
		return nil, err
	}
	defer end()
	var list []*store.Upload
	for _, k := range f.s.documents.keys(tableUpload, ref.String()) {
		u := &store.Upload{Ref: ref, ID: k.second}
		if u.Revision, err = f.s.documents.get(k, u); err != nil {
			return nil, err
		}
		list = append(list, u)
	}
	return list, nil
}

func (f files) SetUsage(ctx context.Context, ref iot.DeviceRef, bytes int64) error {
	end, err := f.s.begin(ctx, "files.set_usage", ref)
	if err != nil {
		return err
	}
	defer end()
	revision := f.s.documents.rows[ofDevice(tableUsage, ref, "")].revision
	return f.s.documents.put(ofDevice(tableUsage, ref, ""), bytes, &revision)
}

func (f files) TotalUsage(ctx context.Context) (int64, error) {
	end, err := f.s.begin(ctx, "files.total_usage", iot.DeviceRef{})
	if err != nil {
		return 0, err
	}
	defer end()
	total := int64(0)
	for _, k := range f.s.documents.keys(tableUsage, "") {
		var n int64
		if _, err := f.s.documents.get(k, &n); err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}
