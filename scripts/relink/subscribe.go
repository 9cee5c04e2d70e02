package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// subscribeFlags are the kinds of messages that a subscription can select: the flag here and the parameter of the API.
var subscribeFlags = []struct{ flag, param, help string }{
	{"data", "DeviceDataFlag", "what devices publish: custom topics, properties, events, replies"},
	{"status", "DeviceStatusChangeFlag", "online and offline"},
	{"lifecycle", "DeviceLifeCycleFlag", "devices created, deleted, enabled, disabled"},
	{"topology", "DeviceTopoLifeCycleFlag", "sub-devices of gateways added and removed"},
	{"found", "FoundDeviceListFlag", "sub-devices that gateways found"},
	{"history", "ThingHistoryFlag", "properties and events of the past"},
	{"ota", "OtaEventFlag", "upgrades"},
}

func (a *app) subscribeCommand() *cobra.Command {
	c := group("subscribe", "Subscriptions: all messages of a product into the queue aliyun-iot-{productKey}, without a rule")
	c.AddCommand(a.subscribeWrite("create", "CreateSubscribeRelation", "Subscribe to messages of a product; the queue is created if it is missing", "subscribed"),
		a.subscribeShow(), a.subscribeWrite("update", "UpdateSubscribeRelation", "Replace what is subscribed; what is not said is not subscribed any more", "updated"),
		a.subscribeDelete())
	return c
}

func (a *app) subscribeWrite(use, action, short, verb string) *cobra.Command {
	var configuration string
	chosen := make([]bool, len(subscribeFlags))
	c := &cobra.Command{
		Use: use + " PRODUCT_KEY", Short: short, Args: cobra.ExactArgs(1),
		Example: "  relink subscribe " + use + " a1B2c3D4e5F --data --status",
		RunE: func(cmd *cobra.Command, args []string) error {
			params := map[string]string{"ProductKey": args[0], "Type": "MNS", "MnsConfiguration": configuration}
			for i, f := range subscribeFlags {
				if chosen[i] {
					params[f.param] = "true"
				}
			}
			return a.done(cmd, verb, args[0], a.own(action, params, nil))
		},
	}
	var names []string
	for i, f := range subscribeFlags {
		c.Flags().BoolVar(&chosen[i], f.flag, false, f.help)
		names = append(names, f.flag)
	}
	c.MarkFlagsOneRequired(names...)
	c.Flags().StringVar(&configuration, "mns-configuration", "", "JSON that is kept with the subscription: themeName, regionName, role")
	return c
}

func (a *app) subscribeShow() *cobra.Command {
	return &cobra.Command{
		Use: "show PRODUCT_KEY", Short: "Show what is subscribed", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var answer map[string]any
			if err := a.own("QuerySubscribeRelation", map[string]string{"ProductKey": args[0], "Type": "MNS"}, &answer); err != nil {
				return err
			}
			for _, member := range []string{"RequestId", "Success", "ConsumerGroupIds"} {
				delete(answer, member)
			}
			return a.print(cmd, answer, func(w io.Writer) {
				for _, f := range subscribeFlags {
					row(w, f.flag, fmt.Sprint(answer[f.param]))
				}
			})
		},
	}
}

func (a *app) subscribeDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete PRODUCT_KEY", Short: "End a subscription; the queue goes with it if the platform made it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.done(cmd, "deleted", "the subscription of "+args[0], a.own("DeleteSubscribeRelation", map[string]string{"ProductKey": args[0], "Type": "MNS"}, nil))
		},
	}
}
