package main

import (
	"fmt"
	"io"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"
)

func (a *app) desiredCommand() *cobra.Command {
	c := group("desired", "Show, set and clear what properties are wanted to be, also while the device is away")
	c.AddCommand(a.desiredGet(), a.desiredSet(), a.desiredClear())
	return c
}

func (a *app) desiredGet() *cobra.Command {
	var module string
	c := &cobra.Command{
		Use:     "get PRODUCT_KEY DEVICE_NAME [IDENTIFIER…]",
		Short:   "Show the desired values of all writable properties, or of some, at most ten",
		Example: "  relink property desired get a1B2c3D4e5F lamp-001",
		Args:    cobra.RangeArgs(2, 12),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			r := &iotapi.QueryDeviceDesiredPropertyRequest{ProductKey: &args[0], DeviceName: &args[1], Identifier: tea.StringSlice(args[2:])}
			if module != "" {
				r.FunctionBlockId = &module
			}
			resp, err := api.QueryDeviceDesiredProperty(r)
			if err := check(resp, err); err != nil {
				return err
			}
			list := resp.Body.Data.List.DesiredPropertyInfo
			return a.print(cmd, list, func(w io.Writer) {
				row(w, "IDENTIFIER", "VALUE", "UNIT", "TYPE", "VERSION", "TIME")
				for _, p := range list {
					row(w, str(p.Identifier), or(str(p.Value), "-"), or(str(p.Unit), "-"), str(p.DataType), fmt.Sprint(tea.Int64Value(p.Version)), clock(str(p.Time)))
				}
			})
		},
	}
	c.Flags().StringVar(&module, "module", "", "of a custom module of the thing model; the default one if absent")
	return c
}

func (a *app) desiredSet() *cobra.Command {
	var versions string
	c := &cobra.Command{
		Use:   "set PRODUCT_KEY DEVICE_NAME JSON",
		Short: "Set the desired values of up to ten properties; null clears one",
		Example: "  relink property desired set a1B2c3D4e5F lamp-001 '{\"power\":1}'\n" +
			"  relink property desired set a1B2c3D4e5F lamp-001 '{\"power\":0}' --versions '{\"power\":3}'",
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.SetDeviceDesiredProperty(&iotapi.SetDeviceDesiredPropertyRequest{ProductKey: &args[0], DeviceName: &args[1], Items: &args[2], Versions: &versions})
			if err := check(resp, err); err != nil {
				return err
			}
			return a.print(cmd, resp.Body.Data, func(w io.Writer) { row(w, "versions", str(resp.Body.Data.Versions)) })
		},
	}
	c.Flags().StringVar(&versions, "versions", "{}", "refuse the call unless properties have these versions, as JSON")
	return c
}

func (a *app) desiredClear() *cobra.Command {
	return &cobra.Command{
		Use:     "clear PRODUCT_KEY DEVICE_NAME IDENTIFIER…",
		Short:   "Clear the desired values of up to ten properties; their versions go on",
		Example: "  relink property desired clear a1B2c3D4e5F lamp-001 power",
		Args:    cobra.RangeArgs(3, 12),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.ClearDeviceDesiredProperty(&iotapi.ClearDeviceDesiredPropertyRequest{ProductKey: &args[0], DeviceName: &args[1], Identifies: tea.StringSlice(args[2:])})
			if err := check(resp, err); err != nil {
				return err
			}
			return a.print(cmd, resp.Body.Data, func(w io.Writer) { row(w, "versions", str(resp.Body.Data.Versions)) })
		},
	}
}
