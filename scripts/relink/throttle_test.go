package main

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
)

func throttled(code string) error {
	return &tea.SDKError{StatusCode: tea.Int(400), Code: &code, Message: tea.String("Request was denied due to user flow control.")}
}

func TestPatiently(t *testing.T) {
	t.Parallel()
	other := errors.New("no route to host")
	fine := &iotapi.QueryDeviceResponse{Body: &iotapi.QueryDeviceResponseBody{Success: tea.Bool(true)}}
	no := &iotapi.QueryDeviceResponse{Body: &iotapi.QueryDeviceResponseBody{Success: tea.Bool(false), Code: tea.String("iot.prod.NotExistedProduct")}}
	for _, c := range []struct {
		name    string
		refuse  int // first calls
		with    error
		then    *iotapi.QueryDeviceResponse
		calls   int // 0: as many as patience allows
		success bool
	}{
		{"at_once", 0, nil, fine, 1, true},
		{"after_three", 3, throttled("Throttling.User"), fine, 4, true},
		{"for_ever", 1 << 20, throttled("Throttling.Api"), fine, 0, false},
		{"platform", 1 << 20, throttled("Throttling"), fine, 1, false}, // it may have been carried out in part
		{"other_error", 1 << 20, other, fine, 1, false},
		{"refusal", 0, nil, no, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, begun := 0, time.Now()
				resp, err := patiently(func(r *iotapi.QueryDeviceRequest) (*iotapi.QueryDeviceResponse, error) {
					if calls++; calls <= c.refuse {
						return nil, c.with
					}
					return c.then, nil
				}, &iotapi.QueryDeviceRequest{})
				if (err == nil) != c.success || c.success && resp != fine || c.calls != 0 && calls != c.calls {
					t.Errorf("%d calls: %v", calls, err)
				}
				if took := time.Since(begun); took > patience+2*time.Second || c.calls == 0 && took < patience/2 {
					t.Errorf("took %s and %d calls", took, calls)
				}
			})
		})
	}
}
