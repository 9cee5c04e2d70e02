package e2e

import (
	"context"
	"flag"
	"fmt"
	"syscall"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"

	"relink/scripts/load"
	"relink/shared/config"
	"relink/shared/iot"
	"relink/shared/store"
)

var (
	kills      = flag.Int("kills", 1, "how often TestNothingAcknowledgedIsLost kills each of localstack and the connector")
	faultsTime = flag.Duration("faults-time", 5*time.Second, "how long TestFaultsLoseNothing throttles and crashes")
)

// fleet registers devices for load.
func fleet(t *testing.T, api *iotapi.Client, count int) []load.Device {
	t.Helper()
	pk := newProduct(t, api)
	r, err := api.BatchRegisterDevice(&iotapi.BatchRegisterDeviceRequest{ProductKey: &pk, Count: tea.Int32(int32(count))})
	if err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("BatchRegisterDevice: %v %v", err, r)
	}
	eventually(t, 30*time.Second, "the batch is registered", func() bool {
		s, err := api.QueryBatchRegisterDeviceStatus(&iotapi.QueryBatchRegisterDeviceStatusRequest{ProductKey: &pk, ApplyId: r.Body.Data.ApplyId})
		return err == nil && tea.BoolValue(s.Body.Success) && tea.StringValue(s.Body.Data.Status) == "CREATE_SUCCESS"
	})
	var devices []load.Device
	for page := int32(1); len(devices) < count; page++ {
		p, err := api.QueryPageByApplyId(&iotapi.QueryPageByApplyIdRequest{ApplyId: r.Body.Data.ApplyId, CurrentPage: &page, PageSize: tea.Int32(50)})
		if err != nil || !tea.BoolValue(p.Body.Success) || len(p.Body.ApplyDeviceList.ApplyDeviceInfo) == 0 {
			t.Fatalf("QueryPageByApplyId: %v %v", err, p)
		}
		for _, d := range p.Body.ApplyDeviceList.ApplyDeviceInfo {
			devices = append(devices, load.Device{ProductKey: pk, DeviceName: *d.DeviceName, DeviceSecret: *d.DeviceSecret})
		}
	}
	return devices
}

// properties opens the store past the platform's own functions.
func (s *system) properties(t *testing.T) store.Properties {
	t.Helper()
	st, err := store.Open(store.Options{
		Endpoint: s.env["TABLESTORE_ENDPOINT"], Instance: s.env["TABLESTORE_INSTANCE"], AccessKeyID: s.env["RELINK_ACCESS_KEY_ID"],
		AccessKeySecret: iot.Secret(s.env["RELINK_ACCESS_KEY_SECRET"]), Key: config.Key{1}, RequestTimeout: 20 * time.Second, RetryFor: 20 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	return st.Properties()
}

// underLoad posts until stop is called and then gives the account.
func underLoad(t *testing.T, s *system, devices []load.Device) (stop func() *load.Report) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	posting, enough := context.WithCancel(ctx)
	type result struct {
		report *load.Report
		err    error
	}
	done := make(chan result, 1)
	go func() {
		r, err := load.Run(ctx, load.Options{
			Address: s.env["RELINK_MQTT"], Devices: devices, Window: 4, Duration: 9 * time.Minute, Until: posting.Done(), Reconnect: true, Settle: 60 * time.Second,
		})
		done <- result{r, err}
	}()
	t.Cleanup(cancel)
	return func() *load.Report {
		t.Helper()
		enough()
		r := <-done
		if r.err != nil {
			t.Fatal(r.err)
		}
		return r.report
	}
}

// localstack and the connector are killed with -9, in turn, under load. Afterwards every acknowledged post is readable.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	devices := fleet(t, s.api(t), 50)
	begun := time.Now()
	stop := underLoad(t, s, devices)
	for i := range *kills {
		pause(t, time.Second)
		pid := s.pid(t, "connector")
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatalf("kill connector %d: %v", pid, err)
		}
		eventually(t, 20*time.Second, "the connector is back", func() bool { now := s.pid(t, "connector"); return now != 0 && now != pid })
		pause(t, time.Second)
		s.kill()
		if err := s.start(); err != nil {
			t.Fatalf("restart %d: %v", i+1, err)
		}
	}
	pause(t, time.Second)
	r := stop()
	v, err := load.Verify(context.Background(), s.properties(t), devices, r.Numbers, begun)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kills of each: %d posts acknowledged, %d found, %d missing; %d connections broken", *kills, v.Acked, v.Found, v.Missing, r.Broken)
	if v.Missing > 0 || v.Acked == 0 || r.Open > 0 || r.Different > 0 || r.Failed > 0 {
		t.Errorf("acknowledged %d, missing %d, open %d, answered twice differently %d, answered with an error %d", v.Acked, v.Missing, r.Open, r.Different, r.Failed)
	}
	if r.Broken == 0 {
		t.Error("no connection broke: nothing was killed under load")
	}
}

// 30 % of the invocations are throttled and a function process is killed every second, under load.
func TestFaultsLoseNothing(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	devices := fleet(t, s.api(t), 50)
	begun := time.Now()
	stop := underLoad(t, s, devices)
	s.faults(t, `{"fc":{"throttle":0.3,"loseResponse":0.02,"crash":{"relink-property":"1s"}}}`)
	pause(t, *faultsTime)
	s.faults(t, `{}`)
	r := stop()
	v, err := load.Verify(context.Background(), s.properties(t), devices, r.Numbers, begun)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s of faults: %d posts acknowledged, %d found, %d missing; %d connections broken", *faultsTime, v.Acked, v.Found, v.Missing, r.Broken)
	if v.Missing > 0 || v.Acked == 0 || r.Open > 0 || r.Different > 0 || r.Failed > 0 || r.Broken > 0 {
		t.Errorf("acknowledged %d, missing %d, open %d, answered twice differently %d, answered with an error %d, connections broken %d",
			v.Acked, v.Missing, r.Open, r.Different, r.Failed, r.Broken)
	}
}

// pause lets load flow for a while; it is not waiting for anything.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(fmt.Errorf("interrupted: %w", t.Context().Err()))
	}
}
