package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/spf13/cobra"
)

func (a *app) shadowCommand() *cobra.Command {
	c := group("shadow", "Read a device's shadow, and say what is desired of it")
	c.AddCommand(a.shadowGet(), a.shadowSet())
	return c
}

func (a *app) shadowGet() *cobra.Command {
	return &cobra.Command{
		Use:   "get PRODUCT_KEY DEVICE_NAME",
		Short: "Show what a device has reported and what is desired of it",
		Example: `  relink shadow get a1B2c3D4e5F lamp-001
  relink shadow get a1B2c3D4e5F lamp-001 -o json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.GetDeviceShadow(&iotapi.GetDeviceShadowRequest{ProductKey: &args[0], DeviceName: &args[1]})
			if err := check(resp, err); err != nil {
				return err
			}
			document := str(resp.Body.ShadowMessage)
			var shadow struct {
				State     struct{ Reported, Desired json.RawMessage }
				Timestamp int64
				Version   int64
			}
			if err := json.Unmarshal([]byte(document), &shadow); err != nil {
				return fmt.Errorf("the shadow is not understood: %w", err)
			}
			return a.print(cmd, json.RawMessage(document), func(w io.Writer) {
				row(w, "version", shadow.Version)
				changed := "never"
				if shadow.Timestamp > 0 {
					changed = clock(strconv.FormatInt(shadow.Timestamp*1000, 10))
				}
				row(w, "changed", changed)
				row(w, "reported", or(string(shadow.State.Reported), "-"))
				row(w, "desired", or(string(shadow.State.Desired), "-"))
			})
		},
	}
}

func (a *app) shadowSet() *cobra.Command {
	var version int64
	var merge bool
	c := &cobra.Command{
		Use:   "set PRODUCT_KEY DEVICE_NAME NAME=VALUE…",
		Short: "Say what is desired of a device; it hears of it at once if it is connected",
		Long: `Replaces what is desired of a device, or with --merge adds to it. A device that is not connected finds it in its shadow when it
asks for that. VALUE is JSON, or else a text.`,
		Example: `  relink shadow set a1B2c3D4e5F lamp-001 color=green brightness=80
  relink shadow set a1B2c3D4e5F lamp-001 --merge 'position={"x":1}'
  relink shadow set a1B2c3D4e5F lamp-001 --version 12 color=red`,
		Args: cobra.MinimumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			desired, err := assignments(args[2:])
			if err != nil {
				return err
			}
			api, err := a.api()
			if err != nil {
				return err
			}
			message := fmt.Sprintf(`{"method":"update","state":{"desired":%s},"version":%d}`, desired, version)
			resp, err := api.UpdateDeviceShadow(&iotapi.UpdateDeviceShadowRequest{ProductKey: &args[0], DeviceName: &args[1], ShadowMessage: &message, DeltaUpdate: &merge})
			return a.done(cmd, "desired of", args[1], check(resp, err))
		},
	}
	c.Flags().Int64Var(&version, "version", 0, "the shadow's next version, greater than the one it has; 0: whatever it is; -1: clear the shadow first")
	c.Flags().BoolVar(&merge, "merge", false, "add to what is desired instead of replacing it")
	return c
}
