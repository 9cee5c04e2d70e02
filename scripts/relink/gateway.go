package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"
)

func (a *app) gatewayCommand() *cobra.Command {
	c := group("gateway", "Sub-devices of gateways: list, find, add, remove")
	c.AddCommand(a.gatewayList(), a.gatewayOf(), a.gatewayFound(), a.gatewayAdd(), a.gatewayNotify(), a.gatewayRemove(), a.gatewayPermit())
	return c
}

// A subDevice is a line of several lists.
type subDevice struct {
	ProductKey string `json:"productKey"`
	DeviceName string `json:"deviceName"`
	IotID      string `json:"iotId"`
	FoundAt    int64  `json:"foundAt,omitempty"` // Unix milliseconds
}

const topoPage = 50 // "PageSize", the most

func (a *app) gatewayList() *cobra.Command {
	return &cobra.Command{
		Use:     "list PRODUCT_KEY DEVICE_NAME",
		Short:   "List the sub-devices of a gateway",
		Example: "  relink gateway list a1Gateway00 gw01",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			subs := []subDevice{}
			for page, pages := int32(1), int64(1); int64(page) <= pages; page++ {
				resp, err := api.GetThingTopo(&iotapi.GetThingTopoRequest{ProductKey: &args[0], DeviceName: &args[1], PageNo: tea.Int32(page), PageSize: tea.Int32(topoPage)})
				if err := check(resp, err); err != nil {
					return err
				}
				pages = tea.Int64Value(resp.Body.Data.PageCount)
				if resp.Body.Data.List == nil {
					continue
				}
				for _, d := range resp.Body.Data.List.DeviceInfo {
					subs = append(subs, subDevice{ProductKey: str(d.ProductKey), DeviceName: str(d.DeviceName), IotID: str(d.IotId)})
				}
			}
			return a.printSubDevices(cmd, subs)
		},
	}
}

func (a *app) printSubDevices(cmd *cobra.Command, subs []subDevice) error {
	return a.print(cmd, subs, func(w io.Writer) {
		if len(subs) == 0 {
			row(w, "none")
			return
		}
		for _, d := range subs {
			if d.FoundAt > 0 {
				row(w, d.ProductKey, d.DeviceName, d.IotID, time.UnixMilli(d.FoundAt).Format(time.DateTime))
				continue
			}
			row(w, d.ProductKey, d.DeviceName, d.IotID)
		}
	})
}

func (a *app) gatewayOf() *cobra.Command {
	return &cobra.Command{
		Use:     "of PRODUCT_KEY DEVICE_NAME",
		Short:   "Show the gateway that a sub-device belongs to",
		Example: "  relink gateway of a1SubSubSub sub01",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.GetGatewayBySubDevice(&iotapi.GetGatewayBySubDeviceRequest{ProductKey: &args[0], DeviceName: &args[1]})
			if err := check(resp, err); err != nil {
				return err
			}
			d := resp.Body.Data
			value := map[string]string{"productKey": str(d.ProductKey), "deviceName": str(d.DeviceName), "iotId": str(d.IotId), "status": str(d.Status), "productName": str(d.ProductName)}
			return a.print(cmd, value, func(w io.Writer) {
				row(w, "gateway", value["productKey"], value["deviceName"])
				row(w, "product", value["productName"])
				row(w, "status", value["status"])
			})
		},
	}
}

func (a *app) gatewayFound() *cobra.Command {
	return &cobra.Command{
		Use:     "found PRODUCT_KEY DEVICE_NAME",
		Short:   "List registered devices that a gateway has found near it and does not have yet",
		Long:    "List registered devices that a gateway has reported (thing/list/found) within the last 30 days and that are not its sub-devices.",
		Example: "  relink gateway found a1Gateway00 gw01",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			found := []subDevice{}
			for page := 1; ; page++ {
				var body struct{ Data []subDevice }
				params := map[string]string{"ProductKey": args[0], "DeviceName": args[1], "PageNo": strconv.Itoa(page), "PageSize": strconv.Itoa(topoPage)}
				if err := a.own("RelinkListFoundDevices", params, &body); err != nil {
					return err
				}
				found = append(found, body.Data...)
				if len(body.Data) < topoPage {
					return a.printSubDevices(cmd, found)
				}
			}
		},
	}
}

func (a *app) gatewayAdd() *cobra.Command {
	return &cobra.Command{
		Use:   "add PRODUCT_KEY DEVICE_NAME SUB_PRODUCT_KEY/SUB_DEVICE_NAME…",
		Short: "Give sub-devices to a gateway; those of another gateway move",
		Long: `Give sub-devices to a gateway. The secrets that their signatures need are read from the platform. Those of another gateway move and
lose the sessions that they have there. The gateway is told (thing/topo/change), and logs them in.`,
		Example: "  relink gateway add a1Gateway00 gw01 a1SubSubSub/sub01 a1SubSubSub/sub02",
		Args:    cobra.RangeArgs(3, 12),
		RunE: func(cmd *cobra.Command, args []string) error {
			refs, err := subDeviceArgs(args[2:])
			if err != nil {
				return err
			}
			api, err := a.api()
			if err != nil {
				return err
			}
			var items []*iotapi.BatchAddThingTopoRequestTopoAddItem
			for _, ref := range refs {
				resp, err := api.QueryDeviceInfo(&iotapi.QueryDeviceInfoRequest{ProductKey: &ref[0], DeviceName: &ref[1]})
				if err := check(resp, err); err != nil {
					return fmt.Errorf("%s/%s: %w", ref[0], ref[1], err)
				}
				mac := hmac.New(sha256.New, []byte(str(resp.Body.Data.DeviceSecret)))
				fmt.Fprintf(mac, "deviceName%sproductKey%s", ref[1], ref[0])
				items = append(items, &iotapi.BatchAddThingTopoRequestTopoAddItem{ProductKey: &ref[0], DeviceName: &ref[1], SignMethod: tea.String("hmacSha256"),
					Sign: tea.String(hex.EncodeToString(mac.Sum(nil)))})
			}
			resp, err := api.BatchAddThingTopo(&iotapi.BatchAddThingTopoRequest{GwProductKey: &args[0], GwDeviceName: &args[1], TopoAddItem: items})
			return a.done(cmd, "added", strings.Join(args[2:], " "), check(resp, err))
		},
	}
}

// subDeviceArgs reads PRODUCT_KEY/DEVICE_NAME.
func subDeviceArgs(args []string) (refs [][2]string, err error) {
	for _, arg := range args {
		pk, dn, ok := strings.Cut(arg, "/")
		if !ok || pk == "" || dn == "" {
			return nil, fmt.Errorf("%q is not PRODUCT_KEY/DEVICE_NAME", arg)
		}
		refs = append(refs, [2]string{pk, dn})
	}
	return refs, nil
}

func (a *app) gatewayNotify() *cobra.Command {
	return &cobra.Command{
		Use:     "notify PRODUCT_KEY DEVICE_NAME SUB_PRODUCT_KEY/SUB_DEVICE_NAME…",
		Short:   "Ask a gateway to add sub-devices by itself (thing/topo/add/notify)",
		Example: "  relink gateway notify a1Gateway00 gw01 a1SubSubSub/sub01",
		Args:    cobra.MinimumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			refs, err := subDeviceArgs(args[2:])
			if err != nil {
				return err
			}
			items := make([]string, len(refs))
			for i, ref := range refs {
				items[i] = fmt.Sprintf(`{"productKey":%q,"deviceName":%q}`, ref[0], ref[1])
			}
			api, err := a.api()
			if err != nil {
				return err
			}
			list := "[" + strings.Join(items, ",") + "]"
			resp, err := api.NotifyAddThingTopo(&iotapi.NotifyAddThingTopoRequest{GwProductKey: &args[0], GwDeviceName: &args[1], DeviceListStr: &list})
			return a.done(cmd, "asked", args[1], check(resp, err))
		},
	}
}

func (a *app) gatewayRemove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove PRODUCT_KEY DEVICE_NAME",
		Short: "Take a sub-device from its gateway, or all sub-devices from a gateway",
		Long: `Take a sub-device from its gateway, or, if the device is a gateway, all its sub-devices from it. Their sessions over the gateway end, and
it is told (thing/topo/change). The devices themselves stay.`,
		Example: "  relink gateway remove a1SubSubSub sub01",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.RemoveThingTopo(&iotapi.RemoveThingTopoRequest{ProductKey: &args[0], DeviceName: &args[1]})
			return a.done(cmd, "removed", args[1], check(resp, err))
		},
	}
}

func (a *app) gatewayPermit() *cobra.Command {
	var seconds int
	c := &cobra.Command{
		Use:     "permit PRODUCT_KEY DEVICE_NAME SUB_PRODUCT_KEY",
		Short:   "Have a gateway let devices of a product join for a while (thing/gateway/permit)",
		Example: "  relink gateway permit a1Gateway00 gw01 a1SubSubSub --seconds 120",
		Args:    cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			params := map[string]string{"ProductKey": args[0], "DeviceName": args[1], "JoinProductKey": args[2], "Time": strconv.Itoa(seconds)}
			return a.done(cmd, "permitted", args[2], a.own("RelinkPermitJoin", params, nil))
		},
	}
	c.Flags().IntVar(&seconds, "seconds", 60, "how long, 1 to 3600")
	return c
}
