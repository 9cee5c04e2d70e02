package mns

import (
	"bytes"
	"encoding/xml"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func FuzzParseXML(f *testing.F) {
	for _, seed := range []string{
		`<?xml version="1.0" encoding="utf-8"?><Message xmlns="http://mns.aliyuncs.com/doc/v1/"><MessageBody>a &lt;&#xA;</MessageBody><DelaySeconds>0</DelaySeconds></Message>`,
		`<Messages><Message><MessageBody><![CDATA[<x>]]></MessageBody></Message></Messages>`, `<ReceiptHandles><ReceiptHandle>1-YQ==</ReceiptHandle></ReceiptHandles>`,
		`<Queue/>`, `<a><b></a></b>`, `<a>`, ``, `x`, `<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`, `<?xml version="1.0" encoding="gbk"?><a/>`, `<a/><b/>`, strings.Repeat("<a>", 50),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseXML(b)
		if err != nil {
			return
		}
		// What is read and written again reads the same.
		var d document
		rewrite(&d, e)
		again, err := parseXML(d.bytes())
		if err != nil {
			t.Fatalf("%q: written again as %q: %v", b, d.bytes(), err)
		}
		if !same(e, again) {
			t.Errorf("%q: written again as %q", b, d.bytes())
		}
		if err := xml.Unmarshal(d.bytes(), new(struct{ XMLName xml.Name })); err != nil {
			t.Errorf("%q: %v", d.bytes(), err)
		}
	})
}

func rewrite(d *document, e *element) {
	if len(e.children) == 0 && d.b.Len() > 0 {
		d.leaf(e.name, e.text)
		return
	}
	d.open(e.name)
	if len(e.children) == 0 {
		_ = xml.EscapeText(&d.b, []byte(e.text)) // a buffer takes everything
	}
	for _, c := range e.children {
		rewrite(d, c)
	}
	d.close(e.name)
}

func same(a, b *element) bool {
	if a.name != b.name || a.text != b.text || len(a.children) != len(b.children) {
		return false
	}
	for i := range a.children {
		if !same(a.children[i], b.children[i]) {
			return false
		}
	}
	return true
}

func FuzzParseReceipt(f *testing.F) {
	f.Add(receipt{priority: 8, id: 1, visible: 1, token: 1}.String())
	f.Add(receipt{priority: 16, id: math.MaxUint64, visible: math.MaxInt64, token: math.MaxUint64}.String())
	for _, seed := range []string{"", "1-", "-", "1-YQ==", "0-MS0xLTE=", "17-MS0xLTE=", "1-MS0xLTA=", "1-LTEtLTEtLTE=", "01-MS0xLTE=", "1-MDEtMS0x", strings.Repeat("1", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := parseReceipt(s)
		if ok && (r.String() != s || r.priority < 1 || r.priority > maxPriority || r.token == 0) {
			t.Errorf("%q reads as %+v", s, r)
		}
	})
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	r := receipt{priority: 8, id: 1764016800123456789, visible: 1764016830123, token: 42}
	if got, ok := parseReceipt(r.String()); !ok || got != r {
		t.Errorf("%s reads as %+v", r, got)
	}
}

func FuzzState(f *testing.F) {
	f.Add((&state{class: inactive, priority: 8, size: 5, enqueued: 1, visible: 2, first: 3, count: 4, token: 5}).encode())
	f.Add([]byte{})
	f.Add(make([]byte, stateSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := decodeState(b)
		if err == nil && !bytes.Equal(st.encode(), b) {
			t.Errorf("%x reads as %+v", b, st)
		}
	})
}

// FuzzRequest sends bodies and queries to operations, signed or not being beside the point: no answer is an internal error, and
// what is in the queue adds up.
func FuzzRequest(f *testing.F) {
	s, err := Open(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Error(err)
		}
	})
	if _, err := s.createQueue("q", defaultAttributes); err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(3), "", `<Message><MessageBody>x</MessageBody><Priority>3</Priority></Message>`)
	f.Add(uint8(4), "numOfMessages=16", "")
	f.Add(uint8(5), "ReceiptHandle=8-MS0xLTE%3D", "")
	f.Add(uint8(5), "", `<ReceiptHandles><ReceiptHandle>8-MS0xLTE=</ReceiptHandle></ReceiptHandles>`)
	f.Add(uint8(6), "ReceiptHandle=8-MS0xLTE%3D&VisibilityTimeout=5", "")
	f.Add(uint8(8), "", `<Topic><MaximumMessageSize>2048</MaximumMessageSize></Topic>`)
	f.Add(uint8(14), "", `<Subscription><Endpoint>acs:mns:r:a:queues/q</Endpoint></Subscription>`)
	f.Add(uint8(12), "", `<Message><MessageBody>x</MessageBody><MessageTag>t</MessageTag></Message>`)
	f.Fuzz(func(t *testing.T, which uint8, rawQuery, body string) {
		op := &operations[int(which)%len(operations)]
		if strings.Contains(rawQuery, "waitseconds") || op.Name == "DeleteQueue" || strings.Contains(body, "PollingWait") || strings.Contains(body, "http") {
			t.Skip("would wait, delete or call somebody")
		}
		query, err := url.ParseQuery(rawQuery)
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		rq := &request{w: w, r: httptest.NewRequest(op.Method, "/", nil), op: op, name: "q", subscription: "s", query: query, body: []byte(body)}
		if err := op.handle(s, rq); err != nil && asError(err).Status() >= http.StatusInternalServerError {
			t.Fatalf("%s ?%s %q: %v", op.Name, rawQuery, body, err)
		}
		if q := s.queues["q"]; q != nil {
			q.mu.Lock()
			defer q.mu.Unlock()
			sum := int64(0)
			for _, n := range q.active {
				sum += n
			}
			if min(q.counts[0], q.counts[1], q.counts[2], q.bytes) < 0 || sum != q.counts[active] {
				t.Errorf("counts %v, by priority %v, %d bytes", q.counts, q.active, q.bytes)
			}
		}
	})
}

// What messages wait in, by receivers' own hints, is what a walk over the store finds: at random, against a simple model.
func TestHints(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, err := Open(Options{Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	a := defaultAttributes
	a.Retention = 200
	if _, err := s.createQueue("q", a); err != nil {
		t.Fatal(err)
	}
	testHints(t, s, &now)
}
