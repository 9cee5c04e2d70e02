package main

import (
	"io"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/spf13/cobra"
)

func (a *app) serviceCommand() *cobra.Command {
	c := group("service", "Call services of a device, and show the calls")
	c.AddCommand(a.serviceInvoke(), a.serviceList())
	return c
}

func (a *app) serviceInvoke() *cobra.Command {
	return &cobra.Command{
		Use:   "invoke PRODUCT_KEY DEVICE_NAME IDENTIFIER [ARGUMENT=VALUE…]",
		Short: "Invoke a service; a synchronous one waits up to 8 s for the device's answer",
		Example: `  relink service invoke a1B2c3D4e5F lamp-001 reboot
  relink service invoke a1B2c3D4e5F lamp-001 dim level=30`,
		Args: cobra.MinimumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			arguments, err := assignments(args[3:])
			if err != nil {
				return err
			}
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.InvokeThingService(&iotapi.InvokeThingServiceRequest{
				ProductKey: &args[0], DeviceName: &args[1], Identifier: &args[2], Args: &arguments,
			})
			if err := check(resp, err); err != nil {
				return err
			}
			return a.print(cmd, resp.Body.Data, func(w io.Writer) {
				row(w, "message", str(resp.Body.Data.MessageId))
				if resp.Body.Data.Result != nil {
					row(w, "answer", str(resp.Body.Data.Result))
				} else {
					row(w, "answer", "none is waited for: the service is asynchronous")
				}
			})
		},
	}
}
