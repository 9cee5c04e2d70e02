package oss

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// A blob is one file of data. Files are never changed after they have a name.
type blob struct {
	ID   string `json:"id"` // 32 hex digits; the file is data/ID[:2]/ID
	Size int64  `json:"size"`
}

// written is a new blob and its checksums.
type written struct {
	blob
	md5 []byte
	crc uint64
}

// blobStore keeps the data files of a directory. A file in use by a reader is
// removed when the last reader is done.
type blobStore struct {
	dir     string
	durable bool // sync files and directories
	buffers sync.Pool

	mu     sync.Mutex
	pins   map[string]int
	doomed map[string]bool
}

// openBlobs makes the directories and drops uploads that a crash cut off.
func openBlobs(dir string, durable bool) (*blobStore, error) {
	b := &blobStore{dir: dir, durable: durable, pins: make(map[string]int), doomed: make(map[string]bool)}
	b.buffers.New = func() any { buf := make([]byte, 128<<10); return &buf }
	if err := os.RemoveAll(filepath.Join(dir, "tmp")); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o755); err != nil {
		return nil, err
	}
	return b, os.MkdirAll(filepath.Join(dir, "data"), 0o755)
}

func (b *blobStore) path(id string) string { return filepath.Join(b.dir, "data", id[:2], id) }

func newID() string {
	var x [16]byte
	rand.Read(x[:]) // never fails
	return hex.EncodeToString(x[:])
}

// write streams r into a new file, which is durable when write returns. The
// caller names it in the metadata or drops it.
func (b *blobStore) write(r io.Reader) (w written, err error) {
	w.ID = newID()
	tmp := filepath.Join(b.dir, "tmp", w.ID)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return w, fmt.Errorf("create object file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreAbsent(os.Remove(tmp)))
		}
	}()
	sum, crc := md5.New(), crc64.New(crcTable)
	buf := b.buffers.Get().(*[]byte)
	w.Size, err = io.CopyBuffer(onlyWriter{io.MultiWriter(f, sum, crc)}, onlyReader{r}, *buf)
	b.buffers.Put(buf)
	if err == nil && b.durable {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return w, err
	}
	w.md5, w.crc = sum.Sum(nil), crc.Sum64()
	return w, b.place(w.ID, func(path string) error { return os.Rename(tmp, path) })
}

// onlyReader and onlyWriter hide ReadFrom and WriteTo, which would not use the
// pooled buffer.
type onlyReader struct{ io.Reader }
type onlyWriter struct{ io.Writer }

// place calls put with the path of a blob and makes the name durable. The folder
// is made when it is first needed.
func (b *blobStore) place(id string, put func(path string) error) error {
	path := b.path(id)
	folder := filepath.Dir(path)
	err := put(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := b.syncDir(filepath.Dir(folder)); err != nil {
			return err
		}
		err = put(path)
	}
	if err != nil {
		return err
	}
	return b.syncDir(folder)
}

func (b *blobStore) syncDir(dir string) error {
	if !b.durable {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// link gives the data of blobs second names, so that a copy costs no space and
// neither original nor copy depends on the other.
func (b *blobStore) link(from []blob) (to []blob, err error) {
	for _, f := range from {
		to = append(to, blob{newID(), f.Size})
		err := b.place(to[len(to)-1].ID, func(path string) error { return os.Link(b.path(f.ID), path) })
		if err != nil {
			b.drop(to)
			return nil, fmt.Errorf("copy object file: %w", err)
		}
	}
	return to, nil
}

// pin keeps blobs from being removed until unpin.
func (b *blobStore) pin(blobs []blob) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range blobs {
		b.pins[x.ID]++
	}
}

func (b *blobStore) unpin(blobs []blob) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range blobs {
		if b.pins[x.ID]--; b.pins[x.ID] > 0 {
			continue
		}
		delete(b.pins, x.ID)
		if b.doomed[x.ID] {
			delete(b.doomed, x.ID)
			b.remove(x.ID)
		}
	}
}

// drop removes blobs that no metadata names any more, now or after their last
// reader.
func (b *blobStore) drop(blobs []blob) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range blobs {
		if b.pins[x.ID] > 0 {
			b.doomed[x.ID] = true
		} else {
			b.remove(x.ID)
		}
	}
}

// remove deletes a file. One that cannot be deleted is an orphan, which the next
// start removes.
func (b *blobStore) remove(id string) { _ = os.Remove(b.path(id)) }

// sweep removes the files that are not in keep.
func (b *blobStore) sweep(keep map[string]bool) error {
	return filepath.WalkDir(filepath.Join(b.dir, "data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || keep[d.Name()] {
			return err
		}
		return ignoreAbsent(os.Remove(path))
	})
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// copyRange writes a range of the concatenation of blobs to w.
func (b *blobStore) copyRange(w io.Writer, blobs []blob, r byteRange) error {
	buf := b.buffers.Get().(*[]byte)
	defer b.buffers.Put(buf)
	for _, x := range blobs {
		if r.length == 0 {
			return nil
		}
		if r.offset >= x.Size {
			r.offset -= x.Size
			continue
		}
		n := min(r.length, x.Size-r.offset)
		if err := b.copyFile(w, x, byteRange{r.offset, n}, *buf); err != nil {
			return err
		}
		r.offset, r.length = 0, r.length-n
	}
	if r.length > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (b *blobStore) copyFile(w io.Writer, x blob, r byteRange, buf []byte) error {
	f, err := os.Open(b.path(x.ID))
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(onlyWriter{w}, io.NewSectionReader(f, r.offset, r.length), buf)
	if err == nil && n < r.length {
		err = io.ErrUnexpectedEOF
	}
	return errors.Join(err, f.Close())
}
