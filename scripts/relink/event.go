package main

import (
	"io"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"
)

func (a *app) eventCommand() *cobra.Command {
	c := group("event", "Show the events that devices have reported")
	c.AddCommand(a.eventList())
	return c
}

func (a *app) eventList() *cobra.Command {
	var identifier, kind string
	var since time.Duration
	var limit int32
	c := &cobra.Command{
		Use:   "list PRODUCT_KEY DEVICE_NAME",
		Short: "Show a device's events, newest first",
		Example: "  relink event list a1B2c3D4e5F lamp-001 --since 24h\n" +
			"  relink event list a1B2c3D4e5F lamp-001 --identifier meter:trip --type error",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			now := time.Now()
			r := &iotapi.QueryDeviceEventDataRequest{ProductKey: &args[0], DeviceName: &args[1],
				StartTime: tea.Int64(now.Add(-since).UnixMilli()), EndTime: tea.Int64(now.Add(24 * time.Hour).UnixMilli())}
			if identifier != "" {
				r.Identifier = &identifier
			}
			if kind != "" {
				r.EventType = &kind
			}
			var list []*iotapi.QueryDeviceEventDataResponseBodyDataListEventInfo
			for int32(len(list)) < limit {
				r.PageSize = tea.Int32(min(50, limit-int32(len(list))))
				resp, err := api.QueryDeviceEventData(r)
				if err := check(resp, err); err != nil {
					return err
				}
				list = append(list, resp.Body.Data.List.EventInfo...)
				if !tea.BoolValue(resp.Body.Data.NextValid) {
					break
				}
				r.EndTime = resp.Body.Data.NextTime
			}
			return a.print(cmd, list, func(w io.Writer) {
				row(w, "TIME", "IDENTIFIER", "TYPE", "NAME", "OUTPUT")
				for _, e := range list {
					row(w, clock(str(e.Time)), str(e.Identifier), str(e.EventType), str(e.Name), str(e.OutputData))
				}
			})
		},
	}
	c.Flags().StringVar(&identifier, "identifier", "", "only this event; module:event for one of a custom module")
	c.Flags().StringVar(&kind, "type", "", "only events of this type: info, alert or error")
	c.Flags().DurationVar(&since, "since", 30*24*time.Hour, "how far back to look; events are kept for 30 days")
	c.Flags().Int32Var(&limit, "limit", 50, "how many to show at most")
	return c
}
