package store

import (
	"context"
	"sync"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// maxLatestCells bounds the columns of one row that is written at once (Tablestore, "Limits": 1024).
const maxLatestCells = 1024 - receiptSlots

// The change that all rows of a table share. A row of history is put whole, which needs no look at what was there: whoever
// stores the same message again writes the same row.
var (
	latestChange  = tablestore.RowChange(&tablestore.UpdateRowChange{TableName: tableLatest, Condition: always})
	historyChange = tablestore.RowChange(&tablestore.PutRowChange{TableName: tableHistory, Condition: always})
)

// posting is the working memory of one call of Post, reused.
type posting struct {
	enc     rowEncoder
	devices map[iot.DeviceRef]int32 // index of the device's last post so far
	next    []int32                 // for each post the index of the same device's next one, -1 if none
	first   []int32                 // the first post of every device
	key     []byte
	latest  []latestCell
	cell    []byte
	byName  map[string]int // index in latest; used once there are many
	rows    []encodedRow
	ends    []int // where each row ends in enc.buf
	owners  []owner
	changes []tablestore.RowChange
}

// owner says whose row it is: the history of one post, or the latest values of all posts of a device.
type owner struct {
	post   int32
	latest bool
}

type latestCell struct {
	id   string
	time int64
	json []byte
}

var postings = sync.Pool{New: func() any {
	return &posting{devices: make(map[iot.DeviceRef]int32), byName: make(map[string]int)}
}}

// keepBuffer bounds what a posting keeps for the next call.
const keepBuffer = 4 << 20

// Post writes, for a batch of any length, one row of latest values per device and one row of history per post and time.
func (p properties) Post(ctx context.Context, posts []Post) []error {
	errs := make([]error, len(posts))
	if len(posts) == 0 {
		return errs
	}
	w := postings.Get().(*posting)
	w.encode(posts, errs)
	for i, err := range p.client.write(ctx, w.changes) {
		if err == nil {
			continue
		}
		o := w.owners[i]
		if !o.latest {
			errs[o.post] = err
			continue
		}
		for j := o.post; j >= 0; j = w.next[j] {
			if errs[j] == nil {
				errs[j] = err
			}
		}
	}
	w.release()
	return errs
}

func (w *posting) release() {
	clear(w.devices)
	clear(w.byName)
	clear(w.latest[:cap(w.latest)])
	clear(w.rows)
	clear(w.changes)
	w.next, w.first, w.latest, w.rows = w.next[:0], w.first[:0], w.latest[:0], w.rows[:0]
	w.ends, w.owners, w.changes = w.ends[:0], w.owners[:0], w.changes[:0]
	w.enc.buf = w.enc.buf[:0]
	if cap(w.enc.buf) <= keepBuffer {
		postings.Put(w)
	}
}

// encode makes the rows of all posts that can be stored; errs has the reason for the others.
func (w *posting) encode(posts []Post, errs []error) {
	for i := range posts {
		w.next = append(w.next, -1)
		if !storable(&posts[i]) {
			errs[i] = iot.Errorf(iot.InvalidParams, "a property's identifier cannot be stored")
			continue
		}
		if len(posts[i].Values) == 0 {
			continue
		}
		if last, ok := w.devices[posts[i].Ref]; ok {
			w.next[last] = int32(i)
		} else {
			w.first = append(w.first, int32(i))
		}
		w.devices[posts[i].Ref] = int32(i)
	}
	for _, first := range w.first {
		w.key = appendDeviceKey(w.key[:0], posts[first].Ref)
		w.collectLatest(posts, errs, first)
		if len(w.latest) > 0 {
			w.encodeLatest()
			w.receiptCells(posts, errs, first)
			w.row(owner{post: first, latest: true})
		}
		for i := first; i >= 0; i = w.next[i] {
			if errs[i] == nil {
				w.encodeHistory(&posts[i], i)
			}
		}
	}
	// The buffer does not move any more.
	w.rows = append(w.rows, make([]encodedRow, len(w.ends))...)
	start := 0
	for i, end := range w.ends {
		change := historyChange
		if w.owners[i].latest {
			change = latestChange
		}
		w.rows[i] = encodedRow{change, w.enc.buf[start:end]}
		w.changes = append(w.changes, &w.rows[i])
		start = end
	}
}

func storable(p *Post) bool {
	for i := range p.Values {
		if !validIdentifier(p.Values[i].Identifier) {
			return false
		}
	}
	return true
}

func (w *posting) row(o owner) {
	w.enc.end()
	w.ends = append(w.ends, len(w.enc.buf))
	w.owners = append(w.owners, o)
}

// collectLatest finds, over all posts of one device, each property's value with the greatest time, the later post's if equal.
func (w *posting) collectLatest(posts []Post, errs []error, first int32) {
	const many = 24 // properties from which on looking through the list costs more than a map
	w.latest = w.latest[:0]
	clear(w.byName)
	for i := first; i >= 0; i = w.next[i] {
		if posts[i].HistoryOnly {
			continue
		}
		if len(w.latest)+len(posts[i].Values) > maxLatestCells {
			errs[i] = iot.Errorf(iot.Throttled, "too many different properties at once")
			continue
		}
		for j := range posts[i].Values {
			v := &posts[i].Values[j]
			at := -1
			if len(w.latest) < many {
				for k := range w.latest {
					if w.latest[k].id == v.Identifier {
						at = k
						break
					}
				}
			} else {
				if len(w.byName) == 0 {
					for k := range w.latest {
						w.byName[w.latest[k].id] = k
					}
				}
				if k, ok := w.byName[v.Identifier]; ok {
					at = k
				}
			}
			if at < 0 {
				if len(w.latest) >= many {
					w.byName[v.Identifier] = len(w.latest)
				}
				w.latest = append(w.latest, latestCell{v.Identifier, v.Time, v.JSON})
			} else if v.Time >= w.latest[at].time {
				w.latest[at] = latestCell{v.Identifier, v.Time, v.JSON}
			}
		}
	}
}

func (w *posting) encodeLatest() {
	e := &w.enc
	e.begin()
	e.stringCell("device", w.key)
	e.attributes()
	for i := range w.latest {
		c := &w.latest[i]
		e.propertyCell(c.id)
		e.textAt(c.json, max(c.time, 1)) // a version of 0 would mean the service's own clock
	}
}

// encodeHistory makes one row for each time that the post has values of.
func (w *posting) encodeHistory(p *Post, index int32) {
	for i := range p.Values {
		t := p.Values[i].Time
		if hasTime(p.Values[:i], t) {
			continue // it is in the row of the first value with this time
		}
		e := &w.enc
		e.begin()
		e.stringCell("device", w.key)
		e.intCell("time", t)
		e.cell("", "message_id")
		e.textString(p.MessageID)
		e.attributes()
		for j := i; j < len(p.Values); j++ {
			v := &p.Values[j]
			if v.Time == t && !repeated(p.Values[j+1:], v) {
				e.propertyCell(v.Identifier)
				e.text(v.JSON)
			}
		}
		if p.PacketID != 0 && t == p.ReceivedAt {
			e.intCell(columnReceipt, p.mark())
		}
		w.row(owner{post: index})
	}
}

func hasTime(values []Value, t int64) bool {
	for i := range values {
		if values[i].Time == t {
			return true
		}
	}
	return false
}

// repeated reports whether a later value is for the same property and time; the last one counts.
func repeated(later []Value, v *Value) bool {
	for i := range later {
		if later[i].Identifier == v.Identifier && later[i].Time == v.Time {
			return true
		}
	}
	return false
}

// propertyCell begins the cell of a property.
func (e *rowEncoder) propertyCell(id string) {
	for i := 0; i < len(id); i++ {
		if id[i] == ':' {
			e.cell("", columnOf(id))
			return
		}
	}
	e.cell(columnPlain, id)
}
