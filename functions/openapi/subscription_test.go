package main

import (
	"context"
	"sync"
	"testing"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/interest"
	"relink/shared/iot"
	"relink/shared/message"
)

// A queueService is the message service of a system; there is none before up.
type queueService struct {
	mu    sync.Mutex
	up    bool
	names map[string]bool
}

func (q *queueService) use(do func()) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.up {
		return iot.Errorf(iot.Unavailable, "no queues")
	}
	if q.names == nil {
		q.names = make(map[string]bool)
	}
	do()
	return nil
}

func (q *queueService) Exists(_ context.Context, queue string) (exists bool, err error) {
	err = q.use(func() { exists = q.names[queue] })
	return exists, err
}

func (q *queueService) Create(_ context.Context, queue string) error {
	return q.use(func() { q.names[queue] = true })
}

func (q *queueService) Delete(_ context.Context, queue string) error {
	return q.use(func() { delete(q.names, queue) })
}

func TestMNSSubscription(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.queues.up = true
	pk := s.emptyProduct(t, "product")
	exists := func() bool {
		there, err := s.queues.Exists(t.Context(), "aliyun-iot-"+pk)
		return there && err == nil
	}
	wants := func(kind message.Kind) bool {
		w := interest.NewWatch(s.store.RuleIndex(), nil)
		if err := w.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		return w.Wants(kind, iot.ProductKey(pk), "/"+pk+"/d/x")
	}
	query := func(kind, want string) {
		t.Helper()
		r := must[*sdk.QuerySubscribeRelationResponse](t)(s.QuerySubscribeRelation(&sdk.QuerySubscribeRelationRequest{ProductKey: &pk, Type: &kind}))
		same(t, r.Body, `{"Success":true,"ProductKey":"`+pk+`","Type":"`+kind+`",`+want+`}`)
	}
	const off = `"DeviceLifeCycleFlag":false,"DeviceTagFlag":false,"DeviceTopoLifeCycleFlag":false,"FoundDeviceListFlag":false,"OtaEventFlag":false,"OtaJobFlag":false,"OtaVersionFlag":false,"ThingHistoryFlag":false`
	query("MNS", off+`,"DeviceDataFlag":false,"DeviceStatusChangeFlag":false`)
	query("AMQP", off+`,"DeviceDataFlag":false,"DeviceStatusChangeFlag":false`)

	conf := `{"themeName":"q","regionName":"cn-shanghai"}`
	create := func() *sdk.CreateSubscribeRelationResponseBody {
		return must[*sdk.CreateSubscribeRelationResponse](t)(s.CreateSubscribeRelation(&sdk.CreateSubscribeRelationRequest{ProductKey: &pk, Type: tea.String("MNS"),
			DeviceDataFlag: tea.Bool(true), MnsConfiguration: &conf})).Body
	}
	same(t, create(), `{"Success":true}`)
	query("MNS", off+`,"DeviceDataFlag":true,"DeviceStatusChangeFlag":false,"MnsConfiguration":"{\"themeName\":\"q\",\"regionName\":\"cn-shanghai\"}"`)
	if !exists() || !wants(message.Property) || wants(message.Status) {
		t.Error("the subscription has no effect")
	}
	if c := tea.StringValue(create().Code); c != "iot.common.InvalidFormattedParameter" {
		t.Errorf("create again: %s", c)
	}
	up := must[*sdk.UpdateSubscribeRelationResponse](t)(s.UpdateSubscribeRelation(&sdk.UpdateSubscribeRelationRequest{ProductKey: &pk, Type: tea.String("MNS"), DeviceStatusChangeFlag: tea.Bool(true)}))
	same(t, up.Body, `{"Success":true}`)
	query("MNS", off+`,"DeviceDataFlag":false,"DeviceStatusChangeFlag":true`)
	if wants(message.Property) || !wants(message.Status) {
		t.Error("the change has no effect")
	}
	for range 2 {
		d := must[*sdk.DeleteSubscribeRelationResponse](t)(s.DeleteSubscribeRelation(&sdk.DeleteSubscribeRelationRequest{ProductKey: &pk, Type: tea.String("MNS")}))
		same(t, d.Body, `{"Success":true}`)
	}
	if exists() || wants(message.Status) {
		t.Error("something is left")
	}

	if err := s.queues.Create(t.Context(), "aliyun-iot-"+pk); err != nil {
		t.Fatal(err)
	}
	same(t, create(), `{"Success":true}`)
	d := must[*sdk.DeleteSubscribeRelationResponse](t)(s.DeleteSubscribeRelation(&sdk.DeleteSubscribeRelationRequest{ProductKey: &pk, Type: tea.String("MNS")}))
	same(t, d.Body, `{"Success":true}`)
	if !exists() {
		t.Error("a queue that the platform did not create was deleted")
	}
}

// What broke off is finished by the same call made again, and the queue is deleted in the end.
func TestSubscriptionThatBrokeOff(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"rule_index.put", "subscriptions.put", "subscriptions.delete"} {
		s := newSystem(t)
		s.queues.up = true
		pk := s.emptyProduct(t, "product")
		puts := 0
		broken := func(do func() *bool) {
			s.store.Fault = func(name string, _ iot.DeviceRef) error {
				if name == op {
					if puts++; op != "subscriptions.put" || puts > 1 { // the first one reserves
						return iot.Errorf(iot.Unavailable, "no")
					}
				}
				return nil
			}
			do()
			s.store.Fault = nil
		}
		create := func() *bool {
			r, err := s.CreateSubscribeRelation(&sdk.CreateSubscribeRelationRequest{ProductKey: &pk, Type: tea.String("MNS"), DeviceDataFlag: tea.Bool(true)})
			if err != nil {
				return nil
			}
			return r.Body.Success
		}
		remove := func() *bool {
			r, err := s.DeleteSubscribeRelation(&sdk.DeleteSubscribeRelationRequest{ProductKey: &pk, Type: tea.String("MNS")})
			if err != nil {
				return nil
			}
			return r.Body.Success
		}
		broken(create)
		create()
		w := interest.NewWatch(s.store.RuleIndex(), nil)
		if err := w.Refresh(t.Context()); err != nil || !w.Any(iot.ProductKey(pk)) {
			t.Errorf("%s: not subscribed after the second call: %v", op, err)
		}
		broken(remove)
		if !tea.BoolValue(remove()) {
			t.Errorf("%s: cannot be deleted", op)
		}
		if there, _ := s.queues.Exists(t.Context(), "aliyun-iot-"+pk); there {
			t.Errorf("%s: the queue is left", op)
		}
	}
}

func TestSubscriptionIsRefused(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	pk := s.emptyProduct(t, "product")
	for name, c := range map[string]struct {
		request sdk.CreateSubscribeRelationRequest
		code    string
	}{
		"no_flag":         {sdk.CreateSubscribeRelationRequest{Type: tea.String("MNS")}, "iot.consumer.group.CallbackTypeEmpty"},
		"flag_of_amqp":    {sdk.CreateSubscribeRelationRequest{Type: tea.String("MNS"), DeviceTagFlag: tea.Bool(true)}, "iot.consumer.group.CallbackTypeEmpty"},
		"no_type":         {sdk.CreateSubscribeRelationRequest{DeviceDataFlag: tea.Bool(true)}, "iot.consumer.group.InvalidSubscribeType"},
		"amqp":            {sdk.CreateSubscribeRelationRequest{Type: tea.String("AMQP"), DeviceDataFlag: tea.Bool(true)}, "iot.consumer.group.InvalidSubscribeType"},
		"configuration":   {sdk.CreateSubscribeRelationRequest{Type: tea.String("MNS"), DeviceDataFlag: tea.Bool(true), MnsConfiguration: tea.String("x")}, "iot.consumer.group.MnsCheckFailed"},
		"no_such_service": {sdk.CreateSubscribeRelationRequest{Type: tea.String("MNS"), DeviceDataFlag: tea.Bool(true)}, "iot.consumer.group.MnsCheckFailed"},
		"no_product":      {sdk.CreateSubscribeRelationRequest{ProductKey: tea.String("a1missing00"), Type: tea.String("MNS"), DeviceDataFlag: tea.Bool(true)}, "iot.prod.NotExistedProduct"},
	} {
		if c.request.ProductKey == nil {
			c.request.ProductKey = &pk
		}
		r := must[*sdk.CreateSubscribeRelationResponse](t)(s.CreateSubscribeRelation(&c.request))
		if got := tea.StringValue(r.Body.Code); got != c.code {
			t.Errorf("%s: %s, want %s", name, got, c.code)
		}
	}
	u := must[*sdk.UpdateSubscribeRelationResponse](t)(s.UpdateSubscribeRelation(&sdk.UpdateSubscribeRelationRequest{ProductKey: &pk, Type: tea.String("MNS"), DeviceDataFlag: tea.Bool(true)}))
	if c := tea.StringValue(u.Body.Code); c != "iot.common.InvalidFormattedParameter" {
		t.Errorf("update of nothing: %s", c)
	}
	q := must[*sdk.QuerySubscribeRelationResponse](t)(s.QuerySubscribeRelation(&sdk.QuerySubscribeRelationRequest{ProductKey: &pk, Type: tea.String("X")}))
	if c := tea.StringValue(q.Body.Code); c != "iot.consumer.group.InvalidSubscribeType" {
		t.Errorf("query of another type: %s", c)
	}
}
