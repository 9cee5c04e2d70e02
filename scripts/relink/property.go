package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"

	"relink/scripts/load"
)

func (a *app) propertyCommand() *cobra.Command {
	c := group("property", "Read, set and (as a device) post properties")
	c.AddCommand(a.propertyGet(), a.propertyHistory(), a.propertySet(), a.propertyPost(), a.desiredCommand())
	return c
}

func (a *app) propertyGet() *cobra.Command {
	return &cobra.Command{
		Use:   "get PRODUCT_KEY DEVICE_NAME [IDENTIFIER]",
		Short: "Show the latest values that the platform has stored",
		Args:  cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.QueryDevicePropertyStatus(&iotapi.QueryDevicePropertyStatusRequest{ProductKey: &args[0], DeviceName: &args[1]})
			if err := check(resp, err); err != nil {
				return err
			}
			list := resp.Body.Data.List.PropertyStatusInfo
			if len(args) == 3 {
				kept := list[:0]
				for _, p := range list {
					if str(p.Identifier) == args[2] {
						kept = append(kept, p)
					}
				}
				if list = kept; len(list) == 0 {
					return fmt.Errorf("the thing model has no property %q", args[2])
				}
			}
			return a.print(cmd, list, func(w io.Writer) {
				row(w, "IDENTIFIER", "VALUE", "UNIT", "TYPE", "TIME")
				for _, p := range list {
					row(w, str(p.Identifier), or(str(p.Value), "-"), or(str(p.Unit), "-"), str(p.DataType), clock(str(p.Time)))
				}
			})
		},
	}
}

func (a *app) propertyHistory() *cobra.Command {
	var since time.Duration
	var limit int32
	c := &cobra.Command{
		Use:   "history PRODUCT_KEY DEVICE_NAME IDENTIFIER",
		Short: "Show what a property was, newest first",
		Args:  cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			now := time.Now()
			resp, err := api.QueryDevicePropertyData(&iotapi.QueryDevicePropertyDataRequest{
				ProductKey: &args[0], DeviceName: &args[1], Identifier: &args[2], Asc: tea.Int32(0), PageSize: &limit,
				StartTime: tea.Int64(now.Add(-since).UnixMilli()), EndTime: tea.Int64(now.UnixMilli() + 1),
			})
			if err := check(resp, err); err != nil {
				return err
			}
			return a.print(cmd, resp.Body.Data, func(w io.Writer) {
				row(w, "TIME", "VALUE")
				for _, p := range resp.Body.Data.List.PropertyInfo {
					row(w, clock(str(p.Time)), str(p.Value))
				}
			})
		},
	}
	c.Flags().DurationVar(&since, "since", 24*time.Hour, "how far back")
	c.Flags().Int32Var(&limit, "limit", 50, "at most that many values, up to 50")
	return c
}

func (a *app) propertySet() *cobra.Command {
	var qos int32
	c := &cobra.Command{
		Use:   "set PRODUCT_KEY DEVICE_NAME IDENTIFIER=VALUE…",
		Short: "Send a property set to a connected device",
		Example: `  relink property set a1B2c3D4e5F lamp-001 brightness=80
  relink property set a1B2c3D4e5F lamp-001 brightness=80 --qos 1   # waits for a device that is away, if its session is persistent`,
		Args: cobra.MinimumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			items, err := assignments(args[2:])
			if err != nil {
				return err
			}
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.SetDeviceProperty(&iotapi.SetDevicePropertyRequest{ProductKey: &args[0], DeviceName: &args[1], Items: &items, Qos: &qos})
			if err := check(resp, err); err != nil {
				return err
			}
			return a.print(cmd, resp.Body.Data, func(w io.Writer) { row(w, "sent, message", str(resp.Body.Data.MessageId)) })
		},
	}
	c.Flags().Int32Var(&qos, "qos", 0, "0, or 1: it is kept up to 7 days for a device whose session is persistent")
	return c
}

func (a *app) propertyPost() *cobra.Command {
	var secret string
	c := &cobra.Command{
		Use:   "post PRODUCT_KEY DEVICE_NAME IDENTIFIER=VALUE…",
		Short: "Post properties as the device, over MQTT, and wait for the answer",
		Long: `Connects to RELINK_MQTT as the device, posts the values at QoS 1, and prints the platform's reply.
The device secret is asked from the platform unless --secret gives it. A connection of the real device is taken over.`,
		Example: `  relink property post a1B2c3D4e5F lamp-001 temperature=23.5`,
		Args:    cobra.MinimumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := assignments(args[2:])
			if err != nil {
				return err
			}
			address, err := a.env.need("RELINK_MQTT")
			if err != nil {
				return err
			}
			if secret == "" {
				if secret, err = a.deviceSecret(args[0], args[1]); err != nil {
					return err
				}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 15*time.Second)
			defer cancel()
			device := load.Device{ProductKey: args[0], DeviceName: args[1], DeviceSecret: secret}
			reply, err := load.Post(ctx, address, device, []byte(params))
			if err != nil {
				return err
			}
			if err := a.print(cmd, json.RawMessage(reply), func(w io.Writer) { row(w, string(reply)) }); err != nil {
				return err
			}
			return judge(reply)
		},
	}
	c.Flags().StringVar(&secret, "secret", "", "device secret")
	return c
}

// judge makes an error of a reply that did not take all of a post.
func judge(reply []byte) error {
	var r struct {
		Code    int               `json:"code"`
		Message string            `json:"message"`
		Data    map[string]string `json:"data"`
	}
	switch err := json.Unmarshal(reply, &r); {
	case err != nil:
		return fmt.Errorf("the reply is not understood: %w", err)
	case r.Code != 200:
		return fmt.Errorf("the post was refused with code %d: %s", r.Code, r.Message)
	case len(r.Data) > 0:
		return fmt.Errorf("%d properties of the post were refused", len(r.Data))
	}
	return nil
}

func (a *app) deviceSecret(productKey, deviceName string) (string, error) {
	api, err := a.api()
	if err != nil {
		return "", err
	}
	resp, err := api.QueryDeviceDetail(&iotapi.QueryDeviceDetailRequest{ProductKey: &productKey, DeviceName: &deviceName})
	if err := check(resp, err); err != nil {
		return "", err
	}
	return str(resp.Body.Data.DeviceSecret), nil
}

// assignments makes a JSON object of name=value pairs; what is not JSON is a string.
func assignments(pairs []string) (string, error) {
	var b strings.Builder
	seen := map[string]bool{}
	b.WriteByte('{')
	for i, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return "", fmt.Errorf("%q is not IDENTIFIER=VALUE", pair)
		}
		if strings.ContainsFunc(name, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == ':')
		}) {
			return "", fmt.Errorf("identifier %q: identifiers have letters, digits and _, and : after a module", name)
		}
		if seen[name] {
			return "", fmt.Errorf("%s is given twice", name)
		}
		seen[name] = true
		if !json.Valid([]byte(value)) {
			quoted, err := json.Marshal(value)
			if err != nil {
				return "", err
			}
			value = string(quoted)
		}
		key, err := json.Marshal(name)
		if err != nil {
			return "", err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(key)
		b.WriteByte(':')
		b.WriteString(value)
	}
	b.WriteByte('}')
	return b.String(), nil
}

// clock shows epoch milliseconds, given as a string, as local time.
func clock(ms string) string {
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return or(ms, "-")
	}
	return time.UnixMilli(n).Format("2006-01-02 15:04:05.000")
}
