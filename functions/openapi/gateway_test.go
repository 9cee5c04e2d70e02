package main

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	sdk "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/shared/openapi"
)

func sdkError(t *testing.T, err error) *tea.SDKError {
	t.Helper()
	var e *tea.SDKError
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *tea.SDKError", err)
	}
	return e
}

func TestSDKSignatures(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, algorithm := range []string{"", "ACS3-HMAC-SHA256", "v2"} {
		c := s.client(t, testKeyID, testSecret, algorithm)
		name := "名_signed" + strings.TrimRight("-"+algorithm[max(0, len(algorithm)-2):], "-")
		r := must[*sdk.CreateProductResponse](t)(c.CreateProduct(&sdk.CreateProductRequest{NodeType: tea.Int32(0), ProductName: &name, Description: tea.String("+ / = & * ~ 'x' 设备")}))
		if !tea.BoolValue(r.Body.Success) || tea.StringValue(r.Body.Data.Description) != "+ / = & * ~ 'x' 设备" {
			t.Errorf("%q: %v", algorithm, r.Body)
		}
		pk := tea.StringValue(r.Body.ProductKey)
		b := must[*sdk.BatchCheckDeviceNamesResponse](t)(c.BatchCheckDeviceNames(&sdk.BatchCheckDeviceNamesRequest{ProductKey: &pk, DeviceName: tea.StringSlice([]string{"in-body@1", "in-body:2"})}))
		if !tea.BoolValue(b.Body.Success) {
			t.Errorf("%q: %v", algorithm, b.Body)
		}
	}
}

func TestSDKErrors(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	query := &sdk.QueryProductRequest{ProductKey: tea.String("a1Whatever0")}
	for _, algorithm := range []string{"", "v2"} {
		_, err := s.client(t, testKeyID, "wrong", algorithm).QueryProduct(query)
		if e := sdkError(t, err); tea.StringValue(e.Code) != "SignatureDoesNotMatch" || tea.IntValue(e.StatusCode) != 400 || !strings.Contains(tea.StringValue(e.Message), "server string to sign is:") {
			t.Errorf("%q: %v", algorithm, err)
		}
		_, err = s.client(t, "nobody", testSecret, algorithm).QueryProduct(query)
		if e := sdkError(t, err); tea.StringValue(e.Code) != "InvalidAccessKeyId.NotFound" || tea.IntValue(e.StatusCode) != 404 {
			t.Errorf("%q: %v", algorithm, err)
		}
	}
	_, err := s.QueryProduct(&sdk.QueryProductRequest{})
	if e := sdkError(t, err); tea.StringValue(e.Code) != "MissingProductKey" || !strings.Contains(tea.StringValue(e.Message), "ProductKey is mandatory for this action.") {
		t.Error(err)
	}
	_, err = s.CreateProduct(&sdk.CreateProductRequest{NodeType: tea.Int32(0), ProductName: tea.String("senior"), AliyunCommodityCode: tea.String("iothub_senior")})
	if e := sdkError(t, err); tea.StringValue(e.Code) != "MissingDataFormat" {
		t.Error(err)
	}
	_, err = s.QuerySuperDeviceGroup(&sdk.QuerySuperDeviceGroupRequest{}) // not served
	if e := sdkError(t, err); tea.StringValue(e.Code) != "InvalidAction.NotFound" || tea.IntValue(e.StatusCode) != 404 {
		t.Error(err)
	}
	s.offset.Store(int64(16 * time.Minute))
	_, err = s.QueryProduct(query)
	if e := sdkError(t, err); tea.StringValue(e.Code) != "InvalidTimeStamp.Expired" {
		t.Error(err)
	}
}

func TestSDKSeesLimits(t *testing.T) {
	t.Parallel()
	s := newLimitedSystem(t, openapi.LimitsDocumented)
	list := &sdk.QueryDeviceRequest{ProductKey: tea.String("a1Whatever0")}
	s.stopped.Store(time.Now().UnixNano())
	var err error
	calls := 0
	for ; err == nil && calls < 100; calls++ {
		_, err = s.QueryDevice(list)
	}
	if e := sdkError(t, err); tea.StringValue(e.Code) != "Throttling.User" || tea.IntValue(e.StatusCode) != 400 || calls != 51 {
		t.Fatalf("call %d: %v", calls, err)
	}
	if _, err := s.QueryProduct(&sdk.QueryProductRequest{ProductKey: tea.String("a1Whatever0")}); err != nil {
		t.Errorf("another action: %v", err)
	}
	if last := s.sink.last(); last["action"] != "QueryProduct" {
		t.Errorf("audit line %v", last)
	}
	s.stopped.Add(int64(time.Second))
	if _, err := s.QueryDevice(list); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

// recorder keeps the last request that went through it.
type recorder struct{ last *http.Request }

func (r *recorder) Call(request *http.Request, transport *http.Transport) (*http.Response, error) {
	r.last = request.Clone(request.Context())
	return transport.RoundTrip(request)
}

func TestReplayedRequest(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	rec := new(recorder)
	c := s.client(t, testKeyID, testSecret, "")
	c.HttpClient = rec
	same(t, must[*sdk.QueryProductListResponse](t)(c.QueryProductList(&sdk.QueryProductListRequest{CurrentPage: tea.Int32(1), PageSize: tea.Int32(10)})).Body,
		`{"Success":true,"Data":{"CurrentPage":1,"List":{},"PageCount":0,"PageSize":10,"Total":0}}`)
	again := rec.last
	again.Body, again.RequestURI = http.NoBody, ""
	resp, err := http.DefaultTransport.RoundTrip(again)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 400 || !strings.Contains(string(body), `"SignatureNonceUsed"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// What is on the wire, byte for byte: the SDK leaves out what is empty, other clients do not.
func TestGoldenAnswers(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	rec := new(bodyRecorder)
	c := s.client(t, testKeyID, testSecret, "")
	c.HttpClient = rec
	pk := s.emptyProduct(t, "golden")
	must[*sdk.QueryDeviceResponse](t)(c.QueryDevice(&sdk.QueryDeviceRequest{ProductKey: &pk}))
	rec.is(t, `"Success":true,"Data":{"DeviceInfo":[]},"Page":1,"PageCount":0,"PageSize":10,"Total":0}`)
	must[*sdk.QueryProductListResponse](t)(c.QueryProductList(&sdk.QueryProductListRequest{CurrentPage: tea.Int32(5), PageSize: tea.Int32(10)}))
	rec.is(t, `"Success":true,"Data":{"CurrentPage":5,"List":{"ProductInfo":[]},"PageCount":1,"PageSize":10,"Total":1}}`)
	must[*sdk.GetDeviceStatusResponse](t)(c.GetDeviceStatus(&sdk.GetDeviceStatusRequest{ProductKey: &pk, DeviceName: tea.String("absent")}))
	rec.is(t, `"Success":false,"Code":"iot.device.NotExistedDevice","ErrorMessage":"no device `+pk+`/absent"}`)
	must[*sdk.BatchRegisterDeviceResponse](t)(c.BatchRegisterDevice(&sdk.BatchRegisterDeviceRequest{ProductKey: &pk, Count: tea.Int32(1)}))
	id := strings.TrimSuffix(rec.body[strings.Index(rec.body, `"ApplyId":`)+10:], "}}")
	must[*sdk.QueryBatchRegisterDeviceStatusResponse](t)(c.QueryBatchRegisterDeviceStatus(&sdk.QueryBatchRegisterDeviceStatusRequest{ProductKey: &pk, ApplyId: tea.Int64(atoi(t, id))}))
	rec.is(t, `"Success":true,"Data":{"InvalidDetailList":{"invalidDetailList":[]},"InvalidList":{"Name":[]},"Status":"CREATE_SUCCESS","ValidList":{"Name":[]}}}`)
	must[*sdk.UpdateProductResponse](t)(c.UpdateProduct(&sdk.UpdateProductRequest{ProductKey: &pk, ProductName: tea.String("golden2")}))
	rec.is(t, `"Success":true}`)
}

type bodyRecorder struct{ body string }

func (r *bodyRecorder) Call(request *http.Request, transport *http.Transport) (*http.Response, error) {
	resp, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(resp.Body)
	r.body = string(b)
	resp.Body = io.NopCloser(strings.NewReader(r.body))
	return resp, err
}

func (r *bodyRecorder) is(t *testing.T, want string) {
	t.Helper()
	const id = len(`{"RequestId":"00000000-0000-0000-0000-000000000000",`)
	if len(r.body) < id || r.body[id:] != want {
		t.Errorf("answer %s\nwant      {…%s", r.body, want)
	}
}

func TestUnsignedCallsCannotFillTheLog(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for range 3 * refusedBurst {
		resp, err := http.Get(s.url + "/?Action=QueryProduct&ProductKey=" + url.QueryEscape(strings.Repeat("x", 100)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	s.sink.mu.Lock()
	n := len(s.sink.lines)
	s.sink.mu.Unlock()
	if n < refusedBurst || n > 2*refusedBurst {
		t.Errorf("%d lines of %d calls", n, 3*refusedBurst)
	}
	must[*sdk.QueryProductListResponse](t)(s.QueryProductList(&sdk.QueryProductListRequest{CurrentPage: tea.Int32(1), PageSize: tea.Int32(10)}))
	if got := s.sink.last(); got["action"] != "QueryProductList" || got["code"] != "OK" {
		t.Errorf("a signed call has no line: %v", got)
	}
}

func TestLostAuditLineDoesNotFailTheCall(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.sink.err = errors.New("log service is down")
	r := must[*sdk.QueryProductListResponse](t)(s.QueryProductList(&sdk.QueryProductListRequest{CurrentPage: tea.Int32(1), PageSize: tea.Int32(10)}))
	if !tea.BoolValue(r.Body.Success) {
		t.Error(r.Body)
	}
	if out := s.console.String(); !strings.Contains(out, `"audit line not stored"`) || !strings.Contains(out, `"openapi call"`) {
		t.Errorf("console: %s", out)
	}
}
