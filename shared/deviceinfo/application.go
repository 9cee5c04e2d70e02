package deviceinfo

import (
	"context"
	"unicode"

	"relink/shared/iot"
	"relink/shared/store"
)

// Info answers all that is known of a device; empty if nothing is.
func (s *Service) Info(ctx context.Context, dev iot.DeviceRef) (*store.DeviceInfo, error) {
	return s.infos.Get(ctx, dev)
}

// SaveTags is what an application does: each key gets its value, the others stay. Keys and values are the caller's to check with
// ValidKey and ValidValue. The error is QuotaExceeded if the device would have more than 100 tags.
func (s *Service) SaveTags(ctx context.Context, dev iot.DeviceRef, tags []store.Tag) error {
	return s.change(ctx, dev, func(d *store.DeviceInfo) (bool, error) {
		changed := false
		for _, t := range tags {
			changed = put(&d.Tags, t) || changed
		}
		if len(d.Tags) > MaxTags {
			return false, iot.Errorf(iot.QuotaExceeded, "a device has at most %d tags", MaxTags)
		}
		return changed, nil
	})
}

// DeleteTag takes a tag away; that there is none is as good.
func (s *Service) DeleteTag(ctx context.Context, dev iot.DeviceRef, key string) error {
	return s.change(ctx, dev, func(d *store.DeviceInfo) (bool, error) { return drop(&d.Tags, key), nil })
}

// SetLogUpload says whether a device's log is wanted, and reports whether that is news.
func (s *Service) SetLogUpload(ctx context.Context, dev iot.DeviceRef, on bool) (changed bool, err error) {
	err = s.change(ctx, dev, func(d *store.DeviceInfo) (bool, error) {
		changed = d.LogUpload != on
		d.LogUpload = on
		return changed, nil
	})
	return changed, err
}

// ReservedKey is a key that applications may not use ("Identifiers, names, secrets").
const ReservedKey = "abc"

// ValidKey reports whether an application may give a tag this key: 1 to 30 of letters, digits and _-#@%&*.
func ValidKey(s string) bool {
	return s != "" && len(s) <= 30 && s != ReservedKey && only(s, "_-#@%&*.", false)
}

// ValidValue reports whether an application may give a tag this value: at most 128 characters, Chinese and Japanese ones counted twice,
// of those, letters, digits and _-#@%&:.
func ValidValue(s string) bool { return width(s) <= 128 && only(s, "_-#@%&:.", true) }

func only(s, extra string, wide bool) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case wide && double(r):
		default:
			found := false
			for _, x := range extra {
				found = found || x == r
			}
			if !found {
				return false
			}
		}
	}
	return true
}

func double(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || r == 'ー'
}

func width(s string) int {
	n := 0
	for _, r := range s {
		if n++; double(r) {
			n++
		}
	}
	return n
}
