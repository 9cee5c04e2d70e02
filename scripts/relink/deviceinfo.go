package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// A facts is what a device's SDK has said of itself.
type facts struct {
	Facts     []struct{ Name, Value string }
	LogUpload bool
	Client    string // what the client id of the last login said
}

func (a *app) facts(productKey, deviceName string) (_ facts, err error) {
	var body struct{ Data facts }
	err = a.own("RelinkQueryDeviceFacts", map[string]string{"ProductKey": productKey, "DeviceName": deviceName}, &body)
	return body.Data, err
}

// factNames are the known facts in words.
var factNames = map[string]string{
	"SYS_LP_SDK_VERSION": "SDK version", "SYS_SDK_LANGUAGE": "SDK language", "SYS_SDK_IF_INFO": "network interface", "SYS_MODULE_ID": "module",
}

func (f *facts) write(w io.Writer) {
	row(w, "client", or(f.Client, "-"))
	for _, x := range f.Facts {
		row(w, or(factNames[x.Name], x.Name), or(x.Value, "-"))
	}
	state := "off"
	if f.LogUpload {
		state = "on"
	}
	row(w, "log upload", state)
}

func (a *app) deviceLog() *cobra.Command {
	return &cobra.Command{
		Use:   "log PRODUCT_KEY DEVICE_NAME on|off",
		Short: "Say whether a device uploads its log; read it with relink logs --uploaded",
		Example: `  relink device log a1B2c3D4e5F lamp-001 on
  relink logs --uploaded --device a1B2c3D4e5F/lamp-001`,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[2] != "on" && args[2] != "off" {
				return fmt.Errorf("the switch is on or off, not %q", args[2])
			}
			err := a.own("RelinkSetDeviceLogSwitch", map[string]string{
				"ProductKey": args[0], "DeviceName": args[1], "Enabled": strconv.FormatBool(args[2] == "on"),
			}, nil)
			return a.done(cmd, "log upload "+args[2], args[1], err)
		},
	}
}

func (a *app) deviceNetwork() *cobra.Command {
	var since time.Duration
	var limit int
	c := &cobra.Command{
		Use:   "network PRODUCT_KEY DEVICE_NAME",
		Short: "Show what a device measured of its network, newest first",
		Example: `  relink device network a1B2c3D4e5F lamp-001 --limit 1
  relink device network a1B2c3D4e5F lamp-001 --since 168h`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var body struct {
				Data struct {
					List []struct {
						Time          int64
						Model, Status string
					}
					NextTime  int64 `json:",omitempty"`
					NextValid bool
				}
			}
			err := a.own("RelinkQueryDeviceNetworkStatus", map[string]string{
				"ProductKey": args[0], "DeviceName": args[1], "PageSize": strconv.Itoa(limit), "StartTime": strconv.FormatInt(time.Now().Add(-since).UnixMilli(), 10),
			}, &body)
			if err != nil {
				return err
			}
			return a.print(cmd, body.Data, func(w io.Writer) {
				row(w, "TIME", "STATUS")
				for _, n := range body.Data.List {
					row(w, clock(strconv.FormatInt(n.Time, 10)), n.Status)
				}
			})
		},
	}
	c.Flags().DurationVar(&since, "since", 7*24*time.Hour, "how far back, up to 720h")
	c.Flags().IntVar(&limit, "limit", 20, "at most that many, up to 100")
	return c
}
