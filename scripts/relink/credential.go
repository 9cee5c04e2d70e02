package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/spf13/cobra"
)

// A rotation is what RelinkQueryRotations tells of a device.
type rotation struct {
	ProductKey, DeviceName           string
	Rotating                         bool
	SecretSerial, IssuedAt, OldUntil int64
	LastUsed                         string
	DeviceSecret                     string `json:",omitempty"`
}

func (r *rotation) row(w io.Writer) {
	until := "-"
	if r.Rotating {
		until = time.UnixMilli(r.OldUntil).Format(time.RFC3339)
	}
	row(w, r.DeviceName, r.SecretSerial, time.UnixMilli(r.IssuedAt).Format(time.RFC3339), r.LastUsed, until)
}

func (a *app) deviceReset() *cobra.Command {
	return &cobra.Command{
		Use:   "reset PRODUCT_KEY DEVICE_NAME",
		Short: "Let an activated device register dynamically again, and take back its tokens",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.ResetThing(&iotapi.ResetThingRequest{ProductKey: &args[0], DeviceName: &args[1]})
			return a.done(cmd, "reset", args[1], check(resp, err))
		},
	}
}

func (a *app) deviceRotate() *cobra.Command {
	c := group("rotate", "Change a device's secret without losing its connection")
	c.Long = `A rotation gives a device a second secret. Both are accepted until the rotation is finished, or the old one expires: bring the new
one to the device, look with status which one it used last, then finish.`
	c.AddCommand(a.rotateStart(), a.rotateStatus(), a.rotateFinish())
	return c
}

func (a *app) rotateStart() *cobra.Command {
	var keep time.Duration
	c := &cobra.Command{
		Use:     "start PRODUCT_KEY DEVICE_NAME",
		Short:   "Issue a new secret; the old one stays valid for a time",
		Example: `  relink device rotate start a1B2c3D4e5F lamp-001 --keep-old 168h`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var body struct{ Data rotation }
			err := a.own("RelinkRotateDeviceSecret", map[string]string{"ProductKey": args[0], "DeviceName": args[1],
				"KeepOldFor": strconv.FormatInt(int64(keep/time.Second), 10)}, &body)
			if err != nil {
				return err
			}
			return a.print(cmd, body.Data, func(w io.Writer) {
				row(w, "new device secret", body.Data.DeviceSecret)
				row(w, "old secret until", time.UnixMilli(body.Data.OldUntil).Format(time.RFC3339))
			})
		},
	}
	c.Flags().DurationVar(&keep, "keep-old", 30*24*time.Hour, "how long the old secret stays valid: 1m to 8784h")
	return c
}

func (a *app) rotateStatus() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "status PRODUCT_KEY [DEVICE_NAME]",
		Short: "Show which secret devices used last, of one device or of all that are rotating",
		Example: `  relink device rotate status a1B2c3D4e5F
  relink device rotate status a1B2c3D4e5F lamp-001`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			found, total, err := a.rotations(args, all)
			if err != nil {
				return err
			}
			return a.print(cmd, found, func(w io.Writer) {
				row(w, "DEVICE NAME", "SECRET", "ISSUED", "LAST USED", "OLD UNTIL")
				old := 0
				for i := range found {
					found[i].row(w)
					if found[i].Rotating && found[i].LastUsed != "new" {
						old++
					}
				}
				row(w, fmt.Sprintf("%d of %d devices shown, %d rotating that have not used the new secret", len(found), total, old))
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "devices without a rotation too")
	return c
}

// rotations asks for one device, or page by page for those of a product.
func (a *app) rotations(args []string, all bool) (found []rotation, total int, err error) {
	found = []rotation{}
	params := map[string]string{"ProductKey": args[0], "PageSize": "200"}
	if len(args) == 2 {
		params["DeviceName"], all = args[1], true
	}
	for number, pages := 1, 1; number <= pages; number++ {
		var body struct {
			Data             struct{ Rotation []rotation }
			PageCount, Total int
		}
		params["CurrentPage"] = strconv.Itoa(number)
		if err := a.own("RelinkQueryRotations", params, &body); err != nil {
			return nil, 0, err
		}
		for _, r := range body.Data.Rotation {
			if all || r.Rotating {
				found = append(found, r)
			}
		}
		pages, total = body.PageCount, body.Total
	}
	return found, total, nil
}

func (a *app) rotateFinish() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "finish PRODUCT_KEY DEVICE_NAME",
		Short: "End the old secret; connections stay",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			params := map[string]string{"ProductKey": args[0], "DeviceName": args[1], "Force": strconv.FormatBool(force)}
			return a.done(cmd, "finished", args[1], a.own("RelinkFinishRotation", params, nil))
		},
	}
	c.Flags().BoolVar(&force, "force", false, "even if the device has not used the new secret yet; it may be locked out")
	return c
}

func (a *app) productRegistration() *cobra.Command {
	return &cobra.Command{
		Use:   "registration PRODUCT_KEY [on|off]",
		Short: "Show or switch dynamic registration of a product's devices",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			params := map[string]string{"ProductKey": args[0]}
			if len(args) == 2 {
				switch args[1] {
				case "on":
					params["Enabled"] = "true"
				case "off":
					params["Enabled"] = "false"
				default:
					return fmt.Errorf("%q is neither on nor off", args[1])
				}
			}
			var body struct{ Data struct{ Enabled bool } }
			if err := a.own("RelinkDynamicRegistration", params, &body); err != nil {
				return err
			}
			word := "off"
			if body.Data.Enabled {
				word = "on"
			}
			return a.print(cmd, map[string]any{"productKey": args[0], "enabled": body.Data.Enabled}, func(w io.Writer) { row(w, "dynamic registration", word) })
		},
	}
}
