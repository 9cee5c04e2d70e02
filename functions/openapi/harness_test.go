package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	config "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/downlink"
	"relink/shared/download"
	"relink/shared/iot"
	objects "relink/shared/objects/memory"
	"relink/shared/openapi"
	"relink/shared/script/sandbox"
	"relink/shared/store"
	"relink/shared/store/memory"
	"relink/shared/topology"
)

const (
	testKeyID   = "testid"
	testSecret  = "testsecret"
	testAccount = 1234567890
)

// testScripts runs the scripts of all tests; its processes end with this one.
var testScripts = &sandbox.Pool{Size: 1}

// A system is the function with its tables in memory, behind a socket, and the vendor's SDK in front of it.
type system struct {
	*sdk.Client
	url       string
	store     *memory.Store
	bucket    objects.Bucket
	commands  *fakeCommander
	queues    queueService
	functions functionService
	sink      *fakeSink
	console   *syncBuffer
	offset    atomic.Int64 // of the server's clock, nanoseconds
	stopped   atomic.Int64 // where the server's clock stands, Unix nanoseconds; 0 if it runs
}

// newSystem is a system without limits: tests call as fast as they can.
func newSystem(t *testing.T) *system { return newLimitedSystem(t, openapi.LimitsOff) }

func newLimitedSystem(t *testing.T, limits openapi.LimitPolicy) *system {
	t.Helper()
	keys, err := openapi.ParseKeys(testKeyID + ":" + testSecret)
	if err != nil {
		t.Fatal(err)
	}
	s := &system{store: memory.New(), commands: new(fakeCommander), sink: new(fakeSink), console: new(syncBuffer)}
	m := s.store
	signer, err := download.NewSigner("http://dl.example", testInternalKey, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(assemble(parts{
		tables:    tablesOf(m),
		delivery:  newDelivery(m, &s.bucket, signer, time.Now),
		commander: s.commands, runner: testScripts, sink: s.sink, keys: keys, limits: limits, topology: topology.DefaultLimits(), region: "cn-shanghai", account: testAccount, queues: &s.queues, functions: &s.functions,
		now: func() time.Time {
			if at := s.stopped.Load(); at != 0 {
				return time.Unix(0, at)
			}
			return time.Now().Add(time.Duration(s.offset.Load()))
		},
		log: slog.New(slog.NewJSONHandler(s.console, nil)),
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	s.Client = s.client(t, testKeyID, testSecret, "")
	return s
}

// client makes an SDK client; algorithm is the SDK's SignatureAlgorithm.
func (s *system) client(t *testing.T, id, secret, algorithm string) *sdk.Client {
	t.Helper()
	cfg := &config.Config{AccessKeyId: &id, AccessKeySecret: &secret, Protocol: tea.String("HTTP"),
		Endpoint: tea.String(strings.TrimPrefix(s.url, "http://"))}
	if algorithm != "" {
		cfg.SignatureAlgorithm = &algorithm
	}
	c, err := sdk.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type fakeCommander struct {
	mu       sync.Mutex
	commands []downlink.Command
	outcome  downlink.Outcome // sent, or dropped for a Drop, if it has no state
	err      error
}

func (f *fakeCommander) Command(_ context.Context, c downlink.Command) (downlink.Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commands = append(f.commands, c)
	o := f.outcome
	if o.State == "" && c.Drop != nil {
		o.State = downlink.Dropped
	} else if o.State == "" {
		o.State = downlink.Sent
	}
	return o, f.err
}

// answer sets what commands come to.
func (f *fakeCommander) answer(o downlink.Outcome, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outcome, f.err = o, err
}

// take gives the commands since the last take.
func (f *fakeCommander) take() []downlink.Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.commands
	f.commands = nil
	return c
}

type fakeSink struct {
	mu    sync.Mutex
	lines []line
	err   error
}

func (f *fakeSink) Put(lines []line) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = append(f.lines, lines...)
	return f.err
}

// last is the newest line as a map.
func (f *fakeSink) last() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := make(map[string]string)
	if len(f.lines) > 0 {
		for _, p := range f.lines[len(f.lines)-1].fields {
			m[p[0]] = p[1]
		}
	}
	return m
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// must is for calls of the SDK that have to answer at all; what they answer is checked by the caller.
func must[R any](t *testing.T) func(R, error) R {
	t.Helper()
	return func(r R, err error) R {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// same compares an answer, without its RequestId, with JSON.
func same(t *testing.T, body any, want string) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	var got, wanted map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if id, _ := got["RequestId"].(string); len(id) != 36 {
		t.Errorf("RequestId is %q", id)
	}
	delete(got, "RequestId")
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(wanted)
	if string(g) != string(w) {
		t.Errorf("answer\n %s\nwant\n %s", g, w)
	}
}

// product makes a product with the model of testdata.
func (s *system) product(t *testing.T, name string) string {
	t.Helper()
	pk := s.emptyProduct(t, name)
	r := must[*sdk.CreateThingModelResponse](t)(s.CreateThingModel(&sdk.CreateThingModelRequest{ProductKey: &pk, ThingModelJson: tea.String(thingModelJSON(pk))}))
	same(t, r.Body, `{"Success":true}`)
	p := must[*sdk.PublishThingModelResponse](t)(s.PublishThingModel(&sdk.PublishThingModelRequest{ProductKey: &pk, ModelVersion: tea.String("1.0")}))
	same(t, p.Body, `{"Success":true}`)
	return pk
}

func (s *system) emptyProduct(t *testing.T, name string) string {
	t.Helper()
	r := must[*sdk.CreateProductResponse](t)(s.CreateProduct(&sdk.CreateProductRequest{NodeType: tea.Int32(0), ProductName: &name,
		AliyunCommodityCode: tea.String("iothub_senior"), DataFormat: tea.Int32(1)}))
	if !tea.BoolValue(r.Body.Success) {
		t.Fatal(r.Body)
	}
	return tea.StringValue(r.Body.ProductKey)
}

// thing registers a device and gives its reference.
func (s *system) thing(t *testing.T, pk, name string) iot.DeviceRef {
	t.Helper()
	r := must[*sdk.RegisterDeviceResponse](t)(s.RegisterDevice(&sdk.RegisterDeviceRequest{ProductKey: &pk, DeviceName: &name}))
	if !tea.BoolValue(r.Body.Success) {
		t.Fatal(r.Body)
	}
	return iot.DeviceRef{ProductKey: iot.ProductKey(pk), DeviceName: iot.DeviceName(name)}
}

// connect gives a device's session to a node whose lease lasts a minute.
func (s *system) connect(t *testing.T, dev iot.DeviceRef) {
	t.Helper()
	ctx := context.Background()
	now := time.Now().UnixMilli()
	if err := s.store.Nodes().Renew(ctx, store.Node{ID: "n1", URL: "http://n1", Until: now + 60_000}); err != nil {
		t.Fatal(err)
	}
	_, _, errs := s.store.Sessions().Take(ctx, []store.Take{{Ref: dev, Node: "n1", RemoteAddr: "192.0.2.7:5555", At: now}})
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
}

func thingModelJSON(pk string) string {
	return strings.ReplaceAll(`{"productKey":"PK","properties":[
{"productKey":"PK","identifier":"power","name":"Power","dataType":"BOOL","rwFlag":"READ_WRITE","required":false,"custom":true,"dataSpecsList":[{"dataType":"BOOL","name":"off","value":0,"custom":true},{"dataType":"BOOL","name":"on","value":1,"custom":true}]},
{"productKey":"PK","identifier":"temp","name":"Temperature","dataType":"FLOAT","rwFlag":"READ_ONLY","required":false,"custom":true,"dataSpecs":{"dataType":"FLOAT","min":"-40","max":"120","step":"0.1","unit":"C","unitName":"Celsius","custom":true}},
{"productKey":"PK","identifier":"label","name":"Label","dataType":"TEXT","rwFlag":"READ_WRITE","required":false,"custom":true,"dataSpecs":{"dataType":"TEXT","length":16,"custom":true}}],
"services":[
{"productKey":"PK","identifier":"reboot","serviceName":"reboot","callType":"ASYNC","required":false,"custom":true,"inputParams":[{"identifier":"delay","name":"delay","dataType":"INT","direction":"PARAM_INPUT","paraOrder":0,"custom":true,"dataSpecs":{"dataType":"INT","min":"0","max":"60","step":"1","custom":true}}],"outputParams":[]},
{"productKey":"PK","identifier":"add","serviceName":"add","callType":"SYNC","required":false,"custom":true,"inputParams":[],"outputParams":[]}],
"events":[
{"productKey":"PK","identifier":"alarm","eventName":"Alarm","eventType":"ALERT_EVENT_TYPE","required":false,"custom":true,"outputdata":[{"identifier":"code","name":"code","dataType":"INT","direction":"PARAM_OUTPUT","paraOrder":0,"custom":true,"dataSpecs":{"dataType":"INT","min":"0","max":"99","step":"1","custom":true}}]}]}`, "PK", pk)
}
