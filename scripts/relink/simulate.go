package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"relink/scripts/load"
)

const simulateModel = `{"properties":[
 {"identifier":"temperature","name":"temperature","accessMode":"r","required":false,"dataType":{"type":"float","specs":{"min":"-40","max":"120","step":"0.1","unit":"C"}}},
 {"identifier":"humidity","name":"humidity","accessMode":"r","required":false,"dataType":{"type":"int","specs":{"min":"0","max":"100","step":"1","unit":"%"}}}],
 "events":[],"services":[]}`

func (a *app) simulateCommand() *cobra.Command {
	var devices int
	var every, duration time.Duration
	var product string
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Run devices that connect and post temperature and humidity",
		Long: `Registers devices in a product of their own (kept for the next run), connects them over MQTT, lets each post a temperature and a
humidity at the interval, and comes back after broken connections. Ends after --duration, or with Ctrl-C.`,
		Example: `  relink simulate --devices 100 --every 5s`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if devices < 1 || devices > 10_000 {
				return fmt.Errorf("--devices is 1 to 10000, not %d", devices)
			}
			if every <= 0 || duration <= 0 {
				return fmt.Errorf("--every and --duration are positive durations")
			}
			address, err := a.env.need("RELINK_MQTT")
			if err != nil {
				return err
			}
			fleet, err := a.fleet(product, simulateModel, devices)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d devices of product %s post every %s; see one with: relink property get %s %s\n",
				len(fleet), fleet[0].ProductKey, every, fleet[0].ProductKey, fleet[0].DeviceName)
			r, err := load.Run(cmd.Context(), load.Options{
				Address: address, Devices: fleet, Rate: float64(devices) / every.Seconds(), Window: 4, Duration: duration, Reconnect: true,
				Params: weather,
				Progress: func(n load.Counts) {
					fmt.Fprintf(cmd.ErrOrStderr(), "\rconnected %d, posted %d, stored %d, refused %d, reconnects %d   ", n.Connected, n.Sent, n.Acked, n.Failed, n.Broken)
				},
			})
			fmt.Fprintln(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return a.print(cmd, r.Counts, func(w io.Writer) {
				row(w, "posted", r.Sent)
				row(w, "acknowledged", r.Acked)
				row(w, "answered with 200", r.Replied)
				row(w, "answered with an error", r.Failed)
				row(w, "reconnects", r.Broken)
			})
		},
	}
	c.Flags().IntVar(&devices, "devices", 10, "how many, up to 10000")
	c.Flags().DurationVar(&every, "every", 5*time.Second, "interval of each device's posts")
	c.Flags().DurationVar(&duration, "duration", time.Hour, "how long")
	c.Flags().StringVar(&product, "product", "relink_simulate", "name of the product that holds the devices; made if it does not exist")
	return c
}

// weather moves each device along its own slow wave.
func weather(dst []byte, device int, seq uint32) []byte {
	phase := float64(seq)/40 + float64(device)
	dst = append(dst, `"temperature":`...)
	dst = strconv.AppendFloat(dst, 21+6*math.Sin(phase), 'f', 1, 64)
	dst = append(dst, `,"humidity":`...)
	return strconv.AppendInt(dst, int64(50+30*math.Cos(phase/2)), 10)
}
