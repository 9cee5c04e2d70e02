package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"
)

// payload reads a message from an argument: its text, or standard input for -.
func payload(cmd *cobra.Command, argument string) (string, error) {
	b := []byte(argument)
	if argument == "-" {
		var err error
		if b, err = io.ReadAll(cmd.InOrStdin()); err != nil {
			return "", err
		}
	}
	if len(b) == 0 {
		return "", errors.New("the message is empty")
	}
	return base64.StdEncoding.EncodeToString(b), nil
}

func (a *app) pubCommand() *cobra.Command {
	var qos int32
	var expiry time.Duration
	c := &cobra.Command{
		Use:   "pub TOPIC MESSAGE",
		Short: "Publish to a device on a custom topic, or to a product's subscribers on /broadcast/",
		Long: `Publish a message (- for standard input) on /PRODUCT_KEY/DEVICE_NAME/user/…, in a class that devices may subscribe (relink topic list),
or on /broadcast/PRODUCT_KEY/…, to all who have subscribed it. Success means accepted; relink logs --message tells what became of it.`,
		Example: `  relink pub /a1B2c3D4e5F/lamp-001/user/get '{"hello":1}'
  relink pub /a1B2c3D4e5F/lamp-001/user/get - --qos 1 < message.bin
  relink pub /broadcast/a1B2c3D4e5F/news 'maintenance at noon'`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if qos != 0 && qos != 1 {
				return fmt.Errorf("--qos is 0 or 1, not %d", qos)
			}
			levels := strings.Split(args[0], "/")
			if len(levels) < 4 || levels[0] != "" {
				return fmt.Errorf("%q is neither /PRODUCT_KEY/DEVICE_NAME/user/… nor /broadcast/PRODUCT_KEY/…", args[0])
			}
			pk := levels[1]
			if pk == "broadcast" {
				pk = levels[2]
			}
			message, err := payload(cmd, args[1])
			if err != nil {
				return err
			}
			api, err := a.api()
			if err != nil {
				return err
			}
			r := &iotapi.PubRequest{ProductKey: &pk, TopicFullName: &args[0], MessageContent: &message, Qos: &qos}
			if expiry != 0 {
				if expiry < time.Second {
					return errors.New("--expiry is at least 1s")
				}
				r.MessageExpiryInterval = tea.Int64(int64(expiry / time.Second))
			}
			resp, err := api.Pub(r)
			if err := check(resp, err); err != nil {
				return err
			}
			return a.sent(cmd, str(resp.Body.MessageId))
		},
	}
	c.Flags().Int32Var(&qos, "qos", 0, "0, or 1: it is kept up to 7 days for a device whose session is persistent")
	c.Flags().DurationVar(&expiry, "expiry", 0, "a device that is away longer does not get it")
	return c
}

// sent prints the id of a message that was accepted.
func (a *app) sent(cmd *cobra.Command, id string) error {
	return a.print(cmd, struct{ MessageID string }{id}, func(w io.Writer) { row(w, "message", id) })
}

func (a *app) broadcastCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "broadcast PRODUCT_KEY MESSAGE",
		Short: "Send a message to all online devices of a product; none has to subscribe",
		Long: `Send a message (- for standard input) to all online devices of a product, on /sys/PRODUCT_KEY/DEVICE_NAME/broadcast/request/MESSAGE_ID;
none has to subscribe. To those who subscribed a broadcast topic: relink pub /broadcast/PRODUCT_KEY/….`,
		Example: `  relink broadcast a1B2c3D4e5F 'maintenance at noon'`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			message, err := payload(cmd, args[1])
			if err != nil {
				return err
			}
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.PubBroadcast(&iotapi.PubBroadcastRequest{ProductKey: &args[0], MessageContent: &message})
			if err := check(resp, err); err != nil {
				return err
			}
			return a.sent(cmd, fmt.Sprint(tea.Int64Value(resp.Body.MessageId)))
		},
	}
}

func (a *app) rrpcCommand() *cobra.Command {
	var timeout time.Duration
	var topic string
	c := &cobra.Command{
		Use:   "rrpc PRODUCT_KEY DEVICE_NAME MESSAGE",
		Short: "Ask an online device and wait for its answer",
		Long: `Send a message (- for standard input) to an online device and print its answer. The device gets it on
/sys/PRODUCT_KEY/DEVICE_NAME/rrpc/request/MESSAGE_ID, or with --topic on /ext/rrpc/MESSAGE_ID and that topic, which it must have subscribed.`,
		Example: `  relink rrpc a1B2c3D4e5F lamp-001 status --timeout 8s
  relink rrpc a1B2c3D4e5F lamp-001 status --topic /a1B2c3D4e5F/lamp-001/user/get`,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			message, err := payload(cmd, args[2])
			if err != nil {
				return err
			}
			api, err := a.api()
			if err != nil {
				return err
			}
			r := &iotapi.RRpcRequest{ProductKey: &args[0], DeviceName: &args[1], RequestBase64Byte: &message, Timeout: tea.Int32(int32(timeout.Milliseconds()))}
			if topic != "" {
				r.Topic = &topic
			}
			resp, err := api.RRpc(r)
			if err := check(resp, err); err != nil {
				return err
			}
			if code := str(resp.Body.RrpcCode); code != "SUCCESS" {
				return fmt.Errorf("the device did not answer: %s", code)
			}
			answer, err := base64.StdEncoding.DecodeString(str(resp.Body.PayloadBase64Byte))
			if err != nil {
				return fmt.Errorf("the answer is not understood: %w", err)
			}
			return a.print(cmd, resp.Body, func(w io.Writer) { row(w, string(answer)) })
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", 5*time.Second, "how long to wait: 1s to 8s")
	c.Flags().StringVar(&topic, "topic", "", "a custom topic that the device has subscribed below /ext/rrpc/")
	return c
}
