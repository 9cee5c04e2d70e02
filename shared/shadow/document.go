package shadow

import (
	"fmt"
	"math"
	"strconv"

	"relink/shared/iot"
	"relink/shared/store"
)

// A document is a shadow that is worked on.
type document struct {
	row               *store.Shadow
	reported, desired node
}

func open(row *store.Shadow) (*document, error) {
	d := &document{row: row}
	var err error
	if d.reported, err = load(row.Reported, row.ReportedAt); err == nil {
		d.desired, err = load(row.Desired, row.DesiredAt)
	}
	if err != nil {
		return nil, iot.Wrap(iot.Internal, fmt.Errorf("shadow of %s: %w", row.Ref, err), "")
	}
	return d, nil
}

// close puts the sections back into the row and checks that they may be so large.
func (d *document) close(at int64) error {
	r := d.row
	r.Reported, r.ReportedAt, r.Desired, r.DesiredAt = nil, nil, nil, nil
	if !d.reported.empty() {
		r.Reported, r.ReportedAt = d.reported.appendState(nil), d.reported.times(nil)
	}
	if !d.desired.empty() {
		r.Desired, r.DesiredAt = d.desired.appendState(nil), d.desired.times(nil)
		r.ClearedAt = 0
	}
	r.UpdatedAt = at
	if len(r.ReportedAt) > MaxAttributes {
		return problem(codeTooMany, "more than 128 attributes in reported")
	}
	if len(r.Reported)+len(r.Desired) > MaxDocument {
		return problem(codeNotJSON, "shadow document is larger than 16 KB")
	}
	return nil
}

// clear takes everything away, the version included.
func (d *document) clear() {
	d.reported, d.desired = node{}, node{}
	d.row.ClearedAt = 0
}

// advance takes a version, or counts up if there is none; -1 clears the document and leaves version 0 ("Rules", 1).
func (d *document) advance(version int64, given bool) bool {
	switch {
	case given && version == -1:
		d.clear()
		d.row.Version = 0
	case given && version > d.row.Version:
		d.row.Version = version
	case !given && d.row.Version < math.MaxInt64:
		d.row.Version++
	default:
		return false
	}
	return true
}

// appendContent appends "state":…,"metadata":… as they were captured: desired, which is left out if it is empty, then reported.
func (d *document) appendContent(dst []byte) []byte {
	dst = append(dst, `"state":{`...)
	if !d.desired.empty() {
		dst = append(d.desired.appendState(append(dst, `"desired":`...)), ',')
	}
	dst = d.reported.appendState(append(dst, `"reported":`...))
	dst = append(dst, `},"metadata":{`...)
	if !d.desired.empty() {
		dst = append(d.desired.appendTimes(append(dst, `"desired":`...)), ',')
	} else if d.row.ClearedAt != 0 {
		dst = append(appendTime(append(dst, `"desired":`...), d.row.ClearedAt), ',')
	}
	dst = d.reported.appendTimes(append(dst, `"reported":`...))
	return append(dst, '}')
}

// appendControl is what a connected device hears when an application has changed what it desires.
//
//	{"method":"control","payload":{"state":{…},"metadata":{…}},"timestamp":1767225700,"version":2}
func (d *document) appendControl(dst []byte, at int64) []byte {
	dst = append(dst, `{"method":"control","payload":{`...)
	dst = d.appendContent(dst)
	dst = append(dst, `},"timestamp":`...)
	dst = strconv.AppendInt(dst, at, 10)
	dst = append(dst, `,"version":`...)
	dst = strconv.AppendInt(dst, d.row.Version, 10)
	return append(dst, '}')
}
