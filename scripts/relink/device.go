package main

import (
	"fmt"
	"io"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"
)

func (a *app) deviceCommand() *cobra.Command {
	c := group("device", "Register, list, show, disable and delete devices")
	c.AddCommand(a.deviceCreate(), a.deviceList(), a.deviceShow(), a.deviceDisable(), a.deviceEnable(), a.deviceDelete(), a.deviceReset(), a.deviceRotate())
	c.AddCommand(a.deviceLog(), a.deviceNetwork())
	return c
}

func (a *app) deviceCreate() *cobra.Command {
	var count int32
	c := &cobra.Command{
		Use:   "create PRODUCT_KEY [DEVICE_NAME]",
		Short: "Register a device, or --count devices with random names",
		Example: `  relink device create a1B2c3D4e5F lamp-001
  relink device create a1B2c3D4e5F --count 1000`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("count") {
				if count < 1 || count > 10_000 {
					return fmt.Errorf("--count is 1 to 10000, not %d", count)
				}
				if len(args) == 2 {
					return fmt.Errorf("--count gives random names: leave DEVICE_NAME out")
				}
				devices, err := a.registerMany(args[0], int(count))
				if err != nil {
					return err
				}
				return a.print(cmd, devices, func(w io.Writer) {
					row(w, "DEVICE NAME", "DEVICE SECRET")
					for _, d := range devices {
						row(w, d.DeviceName, d.DeviceSecret)
					}
				})
			}
			api, err := a.api()
			if err != nil {
				return err
			}
			r := &iotapi.RegisterDeviceRequest{ProductKey: &args[0]}
			if len(args) == 2 {
				r.DeviceName = &args[1]
			}
			resp, err := api.RegisterDevice(r)
			if err := check(resp, err); err != nil {
				return err
			}
			d := resp.Body.Data
			return a.print(cmd, d, func(w io.Writer) {
				row(w, "product key", str(d.ProductKey))
				row(w, "device name", str(d.DeviceName))
				row(w, "device secret", str(d.DeviceSecret))
				row(w, "IoT id", str(d.IotId))
			})
		},
	}
	c.Flags().Int32Var(&count, "count", 0, "register that many devices with random names")
	return c
}

func (a *app) deviceList() *cobra.Command {
	var page, size int32
	c := &cobra.Command{
		Use:   "list PRODUCT_KEY",
		Short: "List a product's devices, newest first",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.QueryDevice(&iotapi.QueryDeviceRequest{ProductKey: &args[0], CurrentPage: &page, PageSize: &size})
			if err := check(resp, err); err != nil {
				return err
			}
			return a.print(cmd, resp.Body, func(w io.Writer) {
				row(w, "DEVICE NAME", "STATUS", "CREATED")
				for _, d := range resp.Body.Data.DeviceInfo {
					row(w, str(d.DeviceName), str(d.DeviceStatus), str(d.UtcCreate))
				}
				row(w, fmt.Sprintf("%d of %d", len(resp.Body.Data.DeviceInfo), tea.Int32Value(resp.Body.Total)))
			})
		},
	}
	c.Flags().Int32Var(&page, "page", 1, "page, from 1")
	c.Flags().Int32Var(&size, "page-size", 50, "devices per page, up to 50")
	return c
}

func (a *app) deviceShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show PRODUCT_KEY DEVICE_NAME",
		Short: "Show a device with its secret, status and last connection",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.QueryDeviceDetail(&iotapi.QueryDeviceDetailRequest{ProductKey: &args[0], DeviceName: &args[1]})
			if err := check(resp, err); err != nil {
				return err
			}
			d := resp.Body.Data
			f, err := a.facts(args[0], args[1])
			if err != nil {
				return err
			}
			shown := struct {
				*iotapi.QueryDeviceDetailResponseBodyData
				facts
			}{d, f}
			return a.print(cmd, shown, func(w io.Writer) {
				row(w, "product", str(d.ProductKey)+" ("+str(d.ProductName)+")")
				row(w, "device name", str(d.DeviceName))
				row(w, "device secret", str(d.DeviceSecret))
				row(w, "IoT id", str(d.IotId))
				row(w, "status", str(d.Status))
				row(w, "created", str(d.UtcCreate))
				row(w, "first seen", or(str(d.UtcActive), "never"))
				row(w, "last connected", or(str(d.UtcOnline), "never"))
				row(w, "from", or(str(d.IpAddress), "-"))
				f.write(w)
			})
		},
	}
}

func (a *app) deviceDisable() *cobra.Command {
	return &cobra.Command{
		Use:   "disable PRODUCT_KEY DEVICE_NAME",
		Short: "Disable a device and cut its connection",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.DisableThing(&iotapi.DisableThingRequest{ProductKey: &args[0], DeviceName: &args[1]})
			return a.done(cmd, "disabled", args[1], check(resp, err))
		},
	}
}

func (a *app) deviceEnable() *cobra.Command {
	return &cobra.Command{
		Use:   "enable PRODUCT_KEY DEVICE_NAME",
		Short: "Let a disabled device connect again",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.EnableThing(&iotapi.EnableThingRequest{ProductKey: &args[0], DeviceName: &args[1]})
			return a.done(cmd, "enabled", args[1], check(resp, err))
		},
	}
}

func (a *app) deviceDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete PRODUCT_KEY DEVICE_NAME",
		Short: "Delete a device, its data and its connection",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.DeleteDevice(&iotapi.DeleteDeviceRequest{ProductKey: &args[0], DeviceName: &args[1]})
			return a.done(cmd, "deleted", args[1], check(resp, err))
		},
	}
}

// done prints what was done to what, unless it failed.
func (a *app) done(cmd *cobra.Command, verb, object string, err error) error {
	if err != nil {
		return err
	}
	return a.print(cmd, map[string]string{verb: object}, func(w io.Writer) { row(w, verb, object) })
}
