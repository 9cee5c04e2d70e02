package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"
)

func (a *app) tagCommand() *cobra.Command {
	c := group("tag", "Read and write the tags of devices, and find devices by them")
	c.AddCommand(a.tagList(), a.tagSet(), a.tagDelete(), a.tagFind())
	return c
}

func (a *app) tagList() *cobra.Command {
	return &cobra.Command{
		Use:     "list PRODUCT_KEY DEVICE_NAME",
		Short:   "List a device's tags",
		Example: `  relink tag list a1B2c3D4e5F lamp-001`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.QueryDeviceProp(&iotapi.QueryDevicePropRequest{ProductKey: &args[0], DeviceName: &args[1]})
			if err := check(resp, err); err != nil {
				return err
			}
			props := str(resp.Body.Props)
			var tags map[string]string
			if err := json.Unmarshal([]byte(props), &tags); err != nil {
				return fmt.Errorf("the tags are not understood: %w", err)
			}
			return a.print(cmd, json.RawMessage(props), func(w io.Writer) {
				row(w, "KEY", "VALUE")
				for _, key := range keysInOrder(props) {
					row(w, key, tags[key])
				}
			})
		},
	}
}

// keysInOrder are the names of an object's members as they stand in it.
func keysInOrder(object string) []string {
	var keys []string
	d := json.NewDecoder(strings.NewReader(object))
	for i := 0; ; i++ {
		token, err := d.Token()
		if err != nil {
			return keys
		}
		if s, ok := token.(string); ok && i%2 == 1 { // the brace, then name and value in turn
			keys = append(keys, s)
		}
	}
}

func (a *app) tagSet() *cobra.Command {
	return &cobra.Command{
		Use:     "set PRODUCT_KEY DEVICE_NAME KEY=VALUE…",
		Short:   "Give tags to a device; its other tags stay",
		Example: `  relink tag set a1B2c3D4e5F lamp-001 room=2.14 site=north`,
		Args:    cobra.MinimumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			tags := map[string]string{}
			for _, pair := range args[2:] {
				key, value, ok := strings.Cut(pair, "=")
				if !ok || key == "" {
					return fmt.Errorf("%q is not KEY=VALUE", pair)
				}
				tags[key] = value
			}
			props, err := json.Marshal(tags)
			if err != nil {
				return err
			}
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.SaveDeviceProp(&iotapi.SaveDevicePropRequest{ProductKey: &args[0], DeviceName: &args[1], Props: tea.String(string(props))})
			return a.done(cmd, "tagged", args[1], check(resp, err))
		},
	}
}

func (a *app) tagDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete PRODUCT_KEY DEVICE_NAME KEY",
		Short:   "Take a tag away from a device",
		Example: `  relink tag delete a1B2c3D4e5F lamp-001 room`,
		Args:    cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.DeleteDeviceProp(&iotapi.DeleteDevicePropRequest{ProductKey: &args[0], DeviceName: &args[1], PropKey: &args[2]})
			return a.done(cmd, "deleted", args[2], check(resp, err))
		},
	}
}

func (a *app) tagFind() *cobra.Command {
	var page, size int32
	c := &cobra.Command{
		Use:   "find KEY[=VALUE]…",
		Short: "List the devices that have all of these tags",
		Example: `  relink tag find site=north
  relink tag find site=north room`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := &iotapi.QueryDeviceByTagsRequest{CurrentPage: &page, PageSize: &size}
			for _, pair := range args {
				key, value, ok := strings.Cut(pair, "=")
				tag := &iotapi.QueryDeviceByTagsRequestTag{TagKey: &key}
				if ok {
					tag.TagValue = &value
				}
				r.Tag = append(r.Tag, tag)
			}
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.QueryDeviceByTags(r)
			if err := check(resp, err); err != nil {
				return err
			}
			return a.print(cmd, resp.Body, func(w io.Writer) {
				row(w, "PRODUCT KEY", "DEVICE NAME", "PRODUCT")
				for _, d := range resp.Body.Data.SimpleDeviceInfo {
					row(w, str(d.ProductKey), str(d.DeviceName), str(d.ProductName))
				}
				row(w, fmt.Sprintf("%d of %d", len(resp.Body.Data.SimpleDeviceInfo), tea.Int32Value(resp.Body.Total)))
			})
		},
	}
	c.Flags().Int32Var(&page, "page", 1, "page, from 1")
	c.Flags().Int32Var(&size, "page-size", 50, "devices per page, up to 50")
	return c
}
