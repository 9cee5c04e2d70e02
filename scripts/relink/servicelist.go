package main

import (
	"io"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"
)

func (a *app) serviceList() *cobra.Command {
	var identifier string
	var since time.Duration
	var limit int32
	c := &cobra.Command{
		Use:   "list PRODUCT_KEY DEVICE_NAME",
		Short: "Show the service calls of a device, newest first",
		Example: "  relink service list a1B2c3D4e5F lamp-001 --since 24h\n" +
			"  relink service list a1B2c3D4e5F lamp-001 --identifier dim",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			now := time.Now()
			r := &iotapi.QueryDeviceServiceDataRequest{ProductKey: &args[0], DeviceName: &args[1], Asc: tea.Int32(0),
				StartTime: tea.Int64(now.Add(-since).UnixMilli()), EndTime: tea.Int64(now.UnixMilli())}
			if identifier != "" {
				r.Identifier = &identifier
			}
			list := []*iotapi.QueryDeviceServiceDataResponseBodyDataListServiceInfo{}
			for int32(len(list)) < limit {
				r.PageSize = tea.Int32(min(50, limit-int32(len(list))))
				resp, err := api.QueryDeviceServiceData(r)
				if err := check(resp, err); err != nil {
					return err
				}
				list = append(list, resp.Body.Data.List.ServiceInfo...)
				if !tea.BoolValue(resp.Body.Data.NextValid) {
					break
				}
				r.EndTime = resp.Body.Data.NextTime
			}
			return a.print(cmd, list, func(w io.Writer) {
				row(w, "TIME", "IDENTIFIER", "NAME", "INPUT", "OUTPUT")
				for _, s := range list {
					row(w, clock(str(s.Time)), str(s.Identifier), str(s.Name), str(s.InputData), str(s.OutputData))
				}
			})
		},
	}
	c.Flags().StringVar(&identifier, "identifier", "", "only this service; module:service for one of a custom module")
	c.Flags().DurationVar(&since, "since", 30*24*time.Hour, "how far back to look; calls are kept for 30 days")
	c.Flags().Int32Var(&limit, "limit", 50, "how many to show at most")
	return c
}
