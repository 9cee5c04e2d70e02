package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
)

// secondConnector starts one more connector as the README says, 100 ports above the first.
func (s *system) secondConnector(t *testing.T) (cmd *exec.Cmd, address string) {
	t.Helper()
	cmd = exec.Command(filepath.Join(root, ".localstack", "bin", "relink"), "connector", "--env", filepath.Join(s.dir, "env"), "--port-offset", "100",
		"--config", filepath.Join(s.dir, "connector.env"), "--binary", filepath.Join(root, ".localstack", "bin", "connector"))
	out := new(output)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		_ = cmd.Wait()
	})
	internal := "http://127.0.0.1:" + strconv.Itoa(1988+s.offset)
	eventually(t, 20*time.Second, "the second connector is healthy: "+out.String(), func() bool { return healthy(internal) })
	return cmd, "127.0.0.1:" + strconv.Itoa(1983+s.offset)
}

// A device on A is commanded; it reconnects to B and A's connection is closed; then B is killed with -9, and its devices come
// back on A, are commanded there, and what B held alone is OFFLINE within the lease time.
func TestTwoConnectors(t *testing.T) {
	t.Parallel()
	s := ownSystem(t)
	api := s.api(t)
	pk := newProduct(t, api)
	second, b := s.secondConnector(t)
	a := s.env["RELINK_MQTT"]
	roamer := newDevice(t, api, pk, "roamer")
	stayer := newDevice(t, api, pk, "stayer")

	command := func(l *lamp, value string) {
		t.Helper()
		r, err := api.SetDeviceProperty(&iotapi.SetDevicePropertyRequest{ProductKey: &pk, DeviceName: &l.device.DeviceName, Items: tea.String(`{"temperature":` + value + `}`)})
		if err != nil || !tea.BoolValue(r.Body.Success) {
			t.Fatalf("SetDeviceProperty: %v %v", err, r)
		}
		if got := string(l.next(t, l.sys("thing/service/property/set"))); !strings.Contains(got, value) {
			t.Errorf("got %s, want a temperature of %s", got, value)
		}
	}
	status := func(name string) string {
		r, err := api.GetDeviceStatus(&iotapi.GetDeviceStatusRequest{ProductKey: &pk, DeviceName: &name})
		if err != nil || r.Body.Data == nil {
			t.Fatalf("GetDeviceStatus: %v %v", err, r)
		}
		return tea.StringValue(r.Body.Data.Status)
	}

	onA := connect(t, roamer, lampOptions(roamer, "tcp://"+a, nil))
	command(onA, "1.5")
	onB := connect(t, roamer, lampOptions(roamer, "tcp://"+b, nil))
	select {
	case <-onA.lost:
	case <-time.After(5 * time.Second):
		t.Fatal("the connection on A lives on after the device connected to B")
	}
	command(onB, "2.5")
	stays := connect(t, stayer, lampOptions(stayer, "tcp://"+b, nil))
	command(stays, "3.5")
	if got := status("stayer"); got != "ONLINE" {
		t.Fatalf("status %s, want ONLINE", got)
	}

	if err := second.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	<-onB.lost
	back := connect(t, roamer, lampOptions(roamer, "tcp://"+a, nil))
	command(back, "4.5")
	eventually(t, 20*time.Second, "what the dead connector held is OFFLINE", func() bool { return status("stayer") == "OFFLINE" })
	t.Logf("OFFLINE %s after the kill", time.Since(killed).Round(100*time.Millisecond))
	if got := status("roamer"); got != "ONLINE" {
		t.Errorf("the device that came back is %s, want ONLINE", got)
	}
}
