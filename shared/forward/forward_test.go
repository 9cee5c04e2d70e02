package forward

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"relink/shared/downlink"
	"relink/shared/iot"
	"relink/shared/message"
	"relink/shared/rule"
	"relink/shared/rulesql"
)

var dev = iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "dev1"}

func document(t testing.TB, text string) *rulesql.Document {
	t.Helper()
	d, err := rulesql.ParseDocument([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func configuration(t testing.TB, text string) *rule.Configuration {
	t.Helper()
	c := new(rule.Configuration)
	if err := json.Unmarshal([]byte(text), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_000_000)
	b := &Breakers{Slow: 2 * time.Second, Now: func() time.Time { return at }}
	try := func(ok bool) bool {
		if !b.Allow("p") {
			return false
		}
		b.Done("p", at, ok)
		return true
	}
	for range 3 { // a success in between begins the count anew
		for range maxFailures - 1 {
			if !try(false) {
				t.Fatal("open too soon")
			}
		}
		try(true)
	}
	for range maxFailures {
		try(false)
	}
	if try(true) || !b.Allow("q") {
		t.Error("five failures in a row open the breaker, and of no other place")
	}
	at = at.Add(openFor)
	if !b.Allow("p") || b.Allow("p") {
		t.Error("half open lets exactly one through")
	}
	b.Done("p", at, false)
	if try(true) {
		t.Error("a failed probe opens it again")
	}
	at = at.Add(openFor)
	if !try(true) || !try(false) || !try(true) {
		t.Error("a probe that succeeds closes it")
	}
	if !b.Allow("p") {
		t.Fatal("closed")
	}
	began := at
	at = at.Add(2 * time.Second)
	b.Done("p", began, true)
	if b.Allow("p") {
		t.Error("a slow attempt opens it")
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	result := document(t, `{"target":"dev2","n":7,"o":{"k":"v"},"nothing":null}`)
	for name, c := range map[string]struct {
		kind, configuration, want string
		wrong                     string
	}{
		"custom":   {Republish, `{"topic":"/a1B2c3D4e5F/${target}/user/x","topicType":1}`, `{"type":"REPUBLISH","resource":"/a1B2c3D4e5F/dev2/user/x","topicType":1}`, ""},
		"missing":  {Republish, `{"topic":"/a/${none}/user/x","topicType":1}`, "", "none"},
		"table":    {OTS, `{"instanceName":"i","tableName":"t","regionName":"r","primaryKeys":[{"columnType":"INTEGER","columnName":"n","columnValue":"${n}"},{"columnType":"STRING","columnName":"k","columnValue":"x-${o.k}"},{"columnType":"INTEGER","columnName":"a","option":"AUTO_INCREMENT"}]}`, `{"type":"OTS","region":"r","resource":"t","instance":"i","keys":[{"name":"n","type":"INTEGER","value":"7"},{"name":"k","type":"STRING","value":"x-v"},{"name":"a","type":"INTEGER","auto":true}]}`, ""},
		"null key": {OTS, `{"instanceName":"i","tableName":"t","primaryKeys":[{"columnType":"STRING","columnName":"k","columnValue":"${nothing}"}]}`, "", "primary key k"},
		"function": {FC, `{"functionName":"f","serviceName":"s"}`, `{"type":"FC","resource":"f"}`, ""},
		"unknown":  {"ONS", `{"topic":"t"}`, "", "not supported"},
		"nowhere":  {MNS, `{}`, "", "where to"},
	} {
		target, err := Compile(c.kind, configuration(t, c.configuration)).Fill(result)
		if c.wrong != "" {
			var e *Error
			if !errors.As(err, &e) || !e.Final || !strings.Contains(e.Reason, c.wrong) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		text, _ := json.Marshal(target)
		if err != nil || string(text) != c.want {
			t.Errorf("%s: %s, %v, want %s", name, text, err, c.want)
		}
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	item := func(kind, resource, reason string) *Item {
		return &Item{RuleName: "r1", Message: Message{ID: "1234567890123456789", Topic: "/a1B2c3D4e5F/dev1/user/update", Device: dev},
			Original: []byte(`{"a":1}`), Target: Target{Type: kind, Region: "cn-shanghai", Resource: resource}, Reason: reason}
	}
	got, err := Failure([]*Item{item(OTS, "table1", "no such table"), item(FC, "f", "gone")})
	want := `{"ruleName":"r1","topic":"/a1B2c3D4e5F/dev1/user/update","productKey":"a1B2c3D4e5F","deviceName":"dev1","messageId":"1234567890123456789",` +
		`"base64OriginalPayload":"eyJhIjoxfQ==","failures":[{"actionType":"OTS","actionRegion":"cn-shanghai","actionResource":"table1","errorMessage":"no such table"},` +
		`{"actionType":"FC","actionRegion":"cn-shanghai","actionResource":"f","errorMessage":"gone"}]}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}

func TestQueueMessage(t *testing.T) {
	t.Parallel()
	m := &message.Message{ID: "1324198300680719360", Kind: message.Custom, Topic: "/a1BwAGVabcd/d1/user/update", Payload: []byte(`{"a":1}`), GeneratedAt: 1604545533061}
	got, ok := AppendQueueMessage(nil, m)
	if want := `{"messageid":1324198300680719360,"messagetype":"upload","topic":"/a1BwAGVabcd/d1/user/update","payload":"eyJhIjoxfQ==","timestamp":1604545533}`; !ok || string(got) != want {
		t.Errorf("%s %t", got, ok)
	}
	types := ""
	for k := message.Kind(1); k < message.KindCount; k++ {
		types += queueTypes[k] + " "
	}
	if types != "upload status upload upload upload upload thing_history device_lifecycle topo_lifecycle topo_listfound  ota_event ota_event   " {
		t.Errorf("types %q", types)
	}
	m.Kind = message.Tags
	if _, ok := AppendQueueMessage(nil, m); ok {
		t.Error("tags do not go to queues")
	}
}

type commander struct {
	mu    sync.Mutex
	sent  []*downlink.Publish
	state downlink.State
}

func (c *commander) Command(_ context.Context, d downlink.Command) (downlink.Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, d.Publish)
	return downlink.Outcome{State: c.state}, nil
}

func TestRepublish(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		topic, body string
		topicType   int
		state       downlink.State
		payload     string // expected
		err, final  bool
	}{
		"custom":       {"/a1B2c3D4e5F/dev2/user/x", `{"a":1}`, 1, downlink.Sent, `{"a":1}`, false, false},
		"away":         {"/a1B2c3D4e5F/dev2/user/x", `{"a":1}`, 1, downlink.Offline, `{"a":1}`, false, false},
		"busy":         {"/a1B2c3D4e5F/dev2/user/x", `{"a":1}`, 1, downlink.Busy, `{"a":1}`, true, false},
		"refused":      {"/a1B2c3D4e5F/dev2/user/x", `{"a":1}`, 1, downlink.Refused, `{"a":1}`, true, true},
		"no topic":     {"/a1B2c3D4e5F/+/user/x", `{}`, 1, downlink.Sent, "", true, true},
		"not custom":   {"/sys/a1B2c3D4e5F/dev2/user/x", `{}`, 1, downlink.Sent, "", true, true},
		"set":          {"/sys/a1B2c3D4e5F/dev2/thing/service/property/set", `{"a":1}`, 0, downlink.Sent, `{"method":"thing.service.property.set","id":"ID","params":{"a":1},"version":"1.0.0"}`, false, false},
		"set as it is": {"/sys/a1B2c3D4e5F/dev2/thing/service/property/set", `{"id":"9","method":"m","params":{}}`, 0, downlink.Sent, `{"id":"9","method":"m","params":{}}`, false, false},
		"service":      {"/sys/a1B2c3D4e5F/dev2/thing/service/beep", `{}`, 0, downlink.Sent, `{"method":"thing.service.beep","id":"ID","params":{},"version":"1.0.0"}`, false, false},
		"no service":   {"/sys/a1B2c3D4e5F/dev2/thing/event/x/post", `{}`, 0, downlink.Sent, "", true, true},
	} {
		cmd := &commander{state: c.state}
		i := &Item{Owner: "rule/1", Action: 1, Target: Target{Type: Republish, Resource: c.topic, TopicType: c.topicType}, Message: Message{ID: "5", Device: dev, QoS: 1}, Body: []byte(c.body)}
		err := Devices{cmd}.Deliver(t.Context(), []*Item{i})[0]
		var e *Error
		if (err != nil) != c.err || c.err && (!errors.As(err, &e) || e.Final != c.final) {
			t.Errorf("%s: %v", name, err)
		}
		if c.payload == "" {
			if len(cmd.sent) != 0 {
				t.Errorf("%s: sent", name)
			}
			continue
		}
		p := cmd.sent[0]
		if got := strings.ReplaceAll(string(p.Payload), p.MessageID, "ID"); got != c.payload || p.DeviceName != "dev2" || p.QoS != 1 {
			t.Errorf("%s: %+v %s", name, p, got)
		}
	}
}

func TestPack(t *testing.T) {
	t.Parallel()
	var items []*Item
	for n := range 200 {
		for a := range 2 {
			items = append(items, &Item{Owner: "rule/1", Action: int64(a), Message: Message{ID: fmt.Sprint(n)}, Body: bytes.Repeat([]byte("x"), 1000+n*10)})
		}
	}
	huge := &Item{Owner: "rule/1", Message: Message{ID: "huge"}, Body: make([]byte, MaxBatch)}
	chunks, large, err := Pack("b", 7, append(items, huge))
	if err != nil || len(large) != 1 || large[0] != huge || len(chunks) < 3 {
		t.Fatalf("%d chunks, %d large, %v", len(chunks), len(large), err)
	}
	seen := 0
	for n, c := range chunks {
		e, err := ReadEvent(c.Event)
		if err != nil || e.ID != fmt.Sprintf("b-%d", n) || e.Time != 7 || len(c.Event) > MaxBatch+1024 {
			t.Fatalf("chunk %d of %d bytes: %v", n, len(c.Event), err)
		}
		list, err := e.Decode()
		if err != nil || len(list) != len(c.Items) || len(list)%2 != 0 {
			t.Fatalf("chunk %d: %d items, %v: those of a message stay together", n, len(list), err)
		}
		for _, i := range list {
			if i.Message.ID != items[seen].Message.ID || !bytes.Equal(i.Body, items[seen].Body) {
				t.Fatalf("item %d is another", seen)
			}
			seen++
		}
	}
	if seen != len(items) {
		t.Errorf("%d items", seen)
	}
}

func TestDeadAndAlive(t *testing.T) {
	t.Parallel()
	i := &Item{Owner: "rule/1", Action: 2, Target: Target{Type: FC, Resource: "f"}, Message: Message{ID: "1", Device: dev}, Body: []byte("b"), Attempts: 4, Reason: "r"}
	d, err := i.Dead(9)
	if err != nil || d.Owner != "rule/1" || d.At != 9 || d.Attempts != 4 || d.Reason != "r" || string(d.Body) != "b" {
		t.Fatalf("%+v, %v", d, err)
	}
	again, err := Revive(d)
	if err != nil || again.Attempts != 0 || again.Reason != "" || again.Final || string(again.Body) != "b" || again.Target.Resource != "f" {
		t.Errorf("%+v, %v", again, err)
	}
}

type destination func(ctx context.Context, items []*Item) []error

func (d destination) Deliver(ctx context.Context, items []*Item) []error { return d(ctx, items) }

// A place that hangs, or panics, costs no other place anything.
func TestRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		r := &Router{Patience: 3 * time.Second, Breakers: &Breakers{Slow: 2 * time.Second}, Destinations: map[string]Destination{
			FC: destination(func(context.Context, []*Item) []error { <-hang; return nil }),
			MNS: destination(func(_ context.Context, items []*Item) []error {
				return all(len(items), refused("no such topic"))
			}),
			OTS:   destination(func(context.Context, []*Item) []error { panic("x") }),
			Queue: destination(func(_ context.Context, items []*Item) []error { return make([]error, len(items)) }),
		}}
		var items []*Item
		for n, kind := range []string{FC, MNS, OTS, Queue, Queue, "ONS"} {
			items = append(items, &Item{Action: int64(n), Target: Target{Type: kind, Resource: "r"}})
		}
		began := time.Now()
		delivered, failed := r.Try(t.Context(), items)
		if d := time.Since(began); d != 3*time.Second {
			t.Errorf("took %s", d)
		}
		if len(delivered) != 2 || len(failed) != 4 || failed[0].Final || !failed[1].Final || failed[2].Final || !failed[3].Final || failed[0].Attempts != 1 {
			t.Errorf("%d delivered, failed %+v", len(delivered), failed)
		}
		began = time.Now()
		if _, failed = r.Try(t.Context(), failed[:1]); len(failed) != 1 || failed[0].Attempts != 1 || time.Since(began) != 0 {
			t.Errorf("a slow place is passed over: %+v", failed[0])
		}
		close(hang)
	})
}

func FuzzReadEvent(f *testing.F) {
	f.Add([]byte(`{"id":"b-0","time":1,"items":[{"owner":"rule/1","target":{"type":"FC","resource":"f"},"message":{"id":"1"},"body":"eA=="}]}`))
	f.Add([]byte(`{"replay":{"owner":"rule/1"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ReadEvent(data)
		if err != nil || e.Batch == nil {
			return
		}
		if _, err := e.Decode(); err != nil && !iot.Is(err, iot.InvalidParams) {
			t.Fatal(err)
		}
	})
}
