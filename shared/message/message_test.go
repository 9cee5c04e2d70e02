package message

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"relink/shared/fc"
	"relink/shared/iot"
)

var sample = Messages{ID: "0123456789abcdef0123456789abcdef", CreatedAt: 1_700_000_000_123, Function: "property", List: []Message{
	{ID: "1", Topic: "/a1B2c3D4e5F/d1/user/x", Kind: Custom, Device: iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "d1"}, IotID: "iot1",
		GeneratedAt: 1_700_000_000_000, QoS: 1, Payload: []byte{0, 1, 2}},
	{ID: "2", Topic: "/a1B2c3D4e5F/p1/j1/ota/job/status", Kind: OTAJob, Device: iot.DeviceRef{ProductKey: "a1B2c3D4e5F"}, Payload: []byte(`{}`)},
	{},
}}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	data := AppendBatch(nil, &sample)
	got, err := DecodeBatch(data)
	if err != nil || !reflect.DeepEqual(got, sample) {
		t.Errorf("got %+v, %v", got, err)
	}
	n := len(appendHead(nil, &sample))
	for i := range sample.List {
		n += sample.List[i].size()
	}
	if n != len(data) {
		t.Errorf("size %d, want %d", n, len(data))
	}
	if !IsBatch(data) || IsBatch([]byte{8, 1}) || IsBatch([]byte("{}")) || IsBatch(nil) {
		t.Error("IsBatch")
	}
	later := append(bytes.Clone(data), 0xa0, 0x06, 1) // field 100
	if got, err = DecodeBatch(later); err != nil || len(got.List) != 3 {
		t.Errorf("a later release's batch: %+v, %v", got, err)
	}
	for _, bad := range []string{"", "{}", "\x78\x02", "\x78\x01\x22\xff", "\x08\x01"} {
		if _, err := DecodeBatch([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(AppendBatch(nil, &sample))
	f.Add([]byte("\x78\x01\x22\x04\x18\xff\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := DecodeBatch(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		again, err := DecodeBatch(AppendBatch(nil, &b))
		if err != nil || len(again.List) != len(b.List) || again.ID != b.ID {
			t.Fatalf("%+v, then %+v, %v", b, again, err)
		}
	})
}

func TestIDs(t *testing.T) {
	t.Parallel()
	if DerivedID("123", 0) != "123" || DerivedID("123", 1) == DerivedID("123", 2) {
		t.Error("derived ids")
	}
	if id := IDOf("a", "b"); len(id) != 19 || id == IDOf("ab", "") || id == IDOf("a", "c") {
		t.Error(id)
	}
}

type fakeInterest struct {
	any, wants bool
	err        error
}

func (f fakeInterest) Refresh(context.Context) error                 { return f.err }
func (f fakeInterest) Any(iot.ProductKey) bool                       { return f.any }
func (f fakeInterest) Wants(k Kind, _ iot.ProductKey, _ string) bool { return f.wants && k != Status }

type fakeFC struct {
	events [][]byte
	sync   int
	err    error
}

func (f *fakeFC) InvokeAsync(_ context.Context, function string, event []byte) error {
	if function != Rule || len(event) > MaxBatch {
		return fmt.Errorf("%s: %d bytes", function, len(event))
	}
	f.events = append(f.events, bytes.Clone(event))
	return f.err
}

func (f *fakeFC) Invoke(_ context.Context, _ string, event []byte) (fc.Result, error) {
	f.sync++
	f.events = append(f.events, bytes.Clone(event))
	return fc.Result{}, f.err
}

func TestSender(t *testing.T) {
	t.Parallel()
	dev := iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "d1"}
	var list []Message
	for i := range 10 {
		size := 30 << 10
		if i == 5 {
			size = 200 << 10
		}
		list = append(list, Message{ID: fmt.Sprint(i), Topic: "/t", Kind: Custom, Device: dev, Payload: make([]byte, size)})
	}
	list = append(list, Message{ID: "no", Topic: "/t", Kind: Status, Device: dev})
	f := new(fakeFC)
	now := func() time.Time { return time.UnixMilli(5) }
	if err := NewSender(fakeInterest{any: true, wants: true}, f, "property", now).Send(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	next, ids := 0, map[string]bool{}
	for _, e := range f.events {
		b, err := DecodeBatch(e)
		if err != nil || ids[b.ID] || len(b.ID) != 32 || b.CreatedAt != 5 || b.Function != "property" {
			t.Errorf("%+v, %v", b, err)
		}
		ids[b.ID] = true
		for _, m := range b.List {
			if m.ID != fmt.Sprint(next) {
				t.Errorf("message %s, want %d", m.ID, next)
			}
			next++
		}
	}
	if next != 10 || f.sync != 1 || len(f.events) != 5 {
		t.Errorf("%d messages in %d events, %d of them alone", next, len(f.events), f.sync)
	}
	for name, c := range map[string]struct {
		i    fakeInterest
		err  error
		kind iot.Kind
	}{
		"throttled":     {fakeInterest{any: true, wants: true}, &fc.Error{Status: 429}, iot.Throttled},
		"unreachable":   {fakeInterest{any: true, wants: true}, &fc.Error{Status: 503}, iot.Unavailable},
		"nothing known": {fakeInterest{err: errors.New("x")}, nil, iot.Unavailable},
		"unwanted":      {fakeInterest{wants: true}, &fc.Error{Status: 503}, 0},
	} {
		err := NewSender(c.i, &fakeFC{err: c.err}, "f", nil).Send(t.Context(), list)
		if iot.KindOf(err) != c.kind || (err == nil) != (c.kind == 0) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingWanted(t *testing.T) {
	t.Parallel()
	var none *Sender
	if none.Any("a") || none.Wants(Custom, "a", "b") || none.Send(t.Context(), sample.List) != nil || none.Refresh(t.Context()) != nil {
		t.Error("the nil sender does something")
	}
}
