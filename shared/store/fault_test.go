package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"relink/localstack/tablestore"
	"relink/shared/iot"
	"relink/shared/store"
)

func faults(t *testing.T, s *tablestore.Server, rules ...tablestore.Fault) {
	t.Helper()
	if err := s.SetFaults(tablestore.Faults{Seed: 7, Rules: rules}); err != nil {
		t.Fatal(err)
	}
}

func lamp(i int) iot.DeviceRef {
	return iot.DeviceRef{ProductKey: "a1faults", DeviceName: iot.DeviceName(fmt.Sprint("lamp", i))}
}

func posts(n int, values string) []store.Post {
	list := make([]store.Post, n)
	for i := range list {
		list[i] = store.Post{Ref: lamp(i % 40), MessageID: fmt.Sprint("m", i), Values: []store.Value{{Identifier: "a", Time: int64(1000 + i), JSON: []byte(values)}}}
	}
	return list
}

// What is answered as stored is stored, whatever happens on the way.
func TestAcknowledgedMeansStored(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string][]tablestore.Fault{
		"throttled_rows":     {{Operation: "BatchWriteRow", Fraction: 0.3, Rows: true, Code: "OTSNotEnoughCapacityUnit"}},
		"throttled_requests": {{Operation: "BatchWriteRow", Fraction: 0.5, Code: "OTSServerBusy"}},
		"lost_responses":     {{Operation: "BatchWriteRow", Fraction: 0.5, LoseResponse: true}},
		"failing_requests":   {{Operation: "BatchWriteRow", Fraction: 0.5, Code: "OTSInternalServerError"}},
		"rows_of_two_kinds": {{Operation: "BatchWriteRow", Fraction: 0.2, Rows: true, Code: "OTSServerBusy"},
			{Operation: "BatchWriteRow", Fraction: 0.1, Rows: true, Code: "OTSParameterInvalid"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, o := start(t)
			s := open(t, o)
			faults(t, server, rules...)
			list := posts(450, "1")
			errs := s.Properties().Post(t.Context(), list)
			faults(t, server)
			stored := 0
			for i, err := range errs {
				if err != nil {
					if k := iot.KindOf(err); name != "rows_of_two_kinds" && k != iot.Throttled && k != iot.Unavailable {
						t.Fatalf("post %d: %v is not for retrying", i, err)
					}
					continue
				}
				stored++
				at := list[i].Values[0].Time
				values, _, err := s.Properties().History(t.Context(), list[i].Ref, "a", at, at, true, 10)
				if err != nil || len(values) != 1 {
					t.Fatalf("post %d was acknowledged, but its history has %d values (%v)", i, len(values), err)
				}
			}
			if stored == 0 && name != "failing_requests" {
				t.Error("nothing was stored at all")
			}
			for i, err := range s.Properties().Post(t.Context(), list) { // the callers' own retry
				if err != nil {
					t.Fatalf("post %d again: %v", i, err)
				}
			}
			values, err := s.Properties().Latest(t.Context(), lamp(0))
			if err != nil || len(values) != 1 || values[0].Time != 1440 {
				t.Errorf("latest %+v, %v", values, err)
			}
		})
	}
}

func TestLostResponses(t *testing.T) {
	t.Parallel()
	server, o := start(t)
	s := open(t, o)
	faults(t, server, tablestore.Fault{Operation: "PutRow", Fraction: 1, Times: 3, LoseResponse: true},
		tablestore.Fault{Operation: "BatchWriteRow", Fraction: 1, Times: 2, LoseResponse: true})
	p := &store.Product{Key: "a1faults"}
	if err := s.Products().Create(t.Context(), p); err != nil {
		t.Errorf("Create of a product: %v", err)
	}
	faults(t, server, tablestore.Fault{Operation: "PutRow", Fraction: 1, Times: 1, LoseResponse: true})
	if err := s.Products().Update(t.Context(), p); err != nil || p.Revision != 2 {
		t.Errorf("Update of a product: %v, revision %d", err, p.Revision)
	}
	faults(t, server, tablestore.Fault{Operation: "PutRow", Fraction: 1, Times: 1, LoseResponse: true})
	if err := s.Devices().Create(t.Context(), &store.Device{Ref: lamp(1), IotID: "i1", CreatedAt: 5}); err != nil {
		t.Errorf("Create of a device: %v", err)
	}
	if list, err := s.Devices().List(t.Context(), "a1faults", 0, 10); err != nil || len(list) != 1 {
		t.Errorf("List after Create: %d, %v", len(list), err)
	}
	_, _, errs := s.Sessions().Take(t.Context(), []store.Take{{Ref: lamp(1), Node: "n1", At: 10}})
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	faults(t, server, tablestore.Fault{Operation: "BatchWriteRow", Fraction: 1, Times: 1, LoseResponse: true})
	now, before, errs := s.Sessions().Take(t.Context(), []store.Take{{Ref: lamp(1), Node: "n2", At: 20}})
	if errs[0] != nil || now[0].Node != "n2" || before[0] == nil || before[0].Node != "n1" || now[0].Epoch != 20 {
		t.Errorf("Take: %+v after %+v, %v", now[0], before[0], errs[0])
	}
}

func TestErrorsHaveKinds(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]iot.Kind{
		"OTSServerBusy": iot.Throttled, "OTSNotEnoughCapacityUnit": iot.Throttled, "OTSRowOperationConflict": iot.Throttled,
		"OTSPartitionUnavailable": iot.Unavailable, "OTSServerUnavailable": iot.Unavailable, "OTSTableNotReady": iot.Unavailable,
		"OTSAuthFailed": iot.Internal, "OTSParameterInvalid": iot.Internal,
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			server, o := start(t)
			o.RetryFor = 20 * time.Millisecond
			s := open(t, o)
			faults(t, server, tablestore.Fault{Fraction: 1, Code: code})
			_, err := s.Devices().Get(t.Context(), lamp(1))
			if err == nil || iot.KindOf(err) != want {
				t.Errorf("Get: %v, want %s", err, want)
			}
			if err := s.Properties().Post(t.Context(), posts(1, "1"))[0]; err == nil || iot.KindOf(err) != want {
				t.Errorf("Post: %v, want %s", err, want)
			}
			_, _, errs := s.Sessions().Take(t.Context(), []store.Take{{Ref: lamp(1), Node: "n"}})
			if iot.KindOf(errs[0]) != want {
				t.Errorf("Take: %v, want %s", errs[0], want)
			}
		})
	}
}

// A deletion that breaks off anywhere leaves no device that can be found, and can be finished by the next one or by a creation.
func TestBrokenDeletion(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]tablestore.Fault{
		"reading": {Operation: "GetRow", Fraction: 1, Code: "OTSParameterInvalid"}, "index": {Operation: "BatchWriteRow", Fraction: 1, Code: "OTSParameterInvalid"},
		"history": {Operation: "GetRange", Fraction: 1, Code: "OTSParameterInvalid"}, "row": {Operation: "DeleteRow", Fraction: 1, Code: "OTSParameterInvalid"},
	} {
		for _, finish := range []string{"delete", "create"} {
			t.Run(name+"_"+finish, func(t *testing.T) {
				t.Parallel()
				server, o := start(t)
				s := open(t, o)
				ctx, d := t.Context(), s.Devices()
				dev := &store.Device{Ref: lamp(1), IotID: "i1", Secret: "s", CreatedAt: 5}
				if err := d.Create(ctx, dev); err != nil {
					t.Fatal(err)
				}
				for i, err := range s.Properties().Post(ctx, []store.Post{{Ref: lamp(1), MessageID: "m", Values: []store.Value{{Identifier: "a", Time: 7, JSON: []byte("1")}}}}) {
					if err != nil {
						t.Fatalf("post %d: %v", i, err)
					}
				}
				faults(t, server, rule)
				if err := d.Delete(ctx, lamp(1)); err == nil {
					t.Fatal("Delete succeeded")
				}
				faults(t, server)
				if _, err := d.Get(ctx, lamp(1)); !iot.Is(err, iot.DeviceNotFound) {
					t.Errorf("Get after a deletion that broke off: %v", err)
				}
				if list, err := d.List(ctx, lamp(1).ProductKey, 0, 10); err != nil || len(list) != 0 {
					t.Errorf("List after a deletion that broke off: %d, %v", len(list), err)
				}
				want := 0
				if finish == "delete" {
					if err := d.Delete(ctx, lamp(1)); err != nil {
						t.Fatal(err)
					}
				} else {
					want = 1
					if err := d.Create(ctx, &store.Device{Ref: lamp(1), IotID: "i2", Secret: "s", CreatedAt: 9}); err != nil {
						t.Fatal(err)
					}
				}
				values, _, err := s.Properties().History(ctx, lamp(1), "a", 0, 10, true, 10)
				if err != nil || len(values) != 0 {
					t.Errorf("history: %d values, %v", len(values), err)
				}
				if n, err := d.Count(ctx, lamp(1).ProductKey); err != nil || n != want {
					t.Errorf("Count: %d, %v, want %d", n, err, want)
				}
			})
		}
	}
}

// A cached product that has not changed costs one capacity unit, however large its models are.
func TestCachedProductIsCheap(t *testing.T) {
	t.Parallel()
	server, o := start(t)
	s := open(t, o)
	p := &store.Product{Key: "a1faults"}
	for i := range 4 {
		p.Models = append(p.Models, store.Model{Version: fmt.Sprint(i), TSL: []byte(`{"properties":[],"x":"` + strings.Repeat("y", 200<<10) + `"}`)})
	}
	if err := s.Products().Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := store.NewCachedProducts(s.Products(), func() time.Time { return now })
	get := func() (*store.CachedProduct, int64) {
		t.Helper()
		before := server.Stats().ReadCU
		got, err := c.Get(t.Context(), p.Key)
		if err != nil {
			t.Fatal(err)
		}
		return got, server.Stats().ReadCU - before
	}
	if got, _ := get(); got.Thing == nil || got.Models != nil {
		t.Errorf("model %v, its text kept: %v", got.Thing, got.Models != nil)
	}
	now = now.Add(time.Minute)
	if _, cost := get(); cost != 1 {
		t.Errorf("refreshing an unchanged product cost %d read units", cost)
	}
	if err := s.Products().Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Minute)
	if got, _ := get(); got.Revision != 2 {
		t.Errorf("after Update: revision %d", got.Revision)
	}
}

func TestSetCredentials(t *testing.T) {
	t.Parallel()
	_, o := start(t)
	id, secret := o.AccessKeyID, o.AccessKeySecret
	o.AccessKeyID, o.AccessKeySecret = "expired", "expired"
	s := open(t, o)
	if _, err := s.Nodes().Get(t.Context(), "n1"); err == nil {
		t.Error("expired credentials are let in")
	}
	s.SetCredentials(id, secret, "")
	if _, err := s.Nodes().Get(t.Context(), "n1"); err != nil {
		t.Errorf("fresh credentials: %v", err)
	}
}

func TestServiceGone(t *testing.T) {
	t.Parallel()
	s := open(t, store.Options{Endpoint: "http://127.0.0.1:1", Instance: "relink", Key: [32]byte{1}, RetryFor: time.Millisecond})
	if _, err := s.Products().Get(t.Context(), "a1"); !iot.Is(err, iot.Unavailable) {
		t.Errorf("Get: %v, want unavailable", err)
	}
	if err := s.Properties().Post(t.Context(), posts(1, "1"))[0]; !iot.Is(err, iot.Unavailable) {
		t.Errorf("Post: %v, want unavailable", err)
	}
}

func TestOpenWithoutKey(t *testing.T) {
	t.Parallel()
	if _, err := store.Open(store.Options{Endpoint: "http://127.0.0.1:1", Instance: "relink"}); err == nil {
		t.Error("a store without a key for secrets was opened")
	}
}

// A registration that breaks off after its index rows leaves nothing that stays: not a device that is counted for ever, nor a
// session that a late login of a deleted device has left.
func TestBrokenOffRegistration(t *testing.T) {
	t.Parallel()
	server, o := start(t)
	s := open(t, o)
	dev := &store.Device{Ref: lamp(1), IotID: "iot-1", CreatedAt: time.Now().Add(-time.Hour).UnixMilli()}
	faults(t, server, tablestore.Fault{Operation: "PutRow", Fraction: 1, Code: "OTSParameterInvalid"})
	if err := s.Devices().Create(t.Context(), dev); err == nil {
		t.Fatal("created, though its row could not be written")
	}
	faults(t, server)
	count := func(want int) {
		t.Helper()
		if n, err := s.Devices().Count(t.Context(), dev.Ref.ProductKey); err != nil || n != want {
			t.Errorf("count %d (%v), want %d", n, err, want)
		}
	}
	count(1)
	if list, err := s.Devices().List(t.Context(), dev.Ref.ProductKey, 0, 10); err != nil || len(list) != 0 {
		t.Errorf("listed %d (%v), want none", len(list), err)
	}
	count(0)
	if _, _, errs := s.Sessions().Take(t.Context(), []store.Take{{Ref: dev.Ref, Node: "n1", At: 1000}}); errs[0] != nil {
		t.Fatal(errs[0])
	}
	if err := s.Devices().Create(t.Context(), dev); err != nil {
		t.Fatal(err)
	}
	count(1)
	if session, err := s.Sessions().Get(t.Context(), dev.Ref); err != nil || session != nil {
		t.Errorf("the new device has session %+v (%v)", session, err)
	}
}
