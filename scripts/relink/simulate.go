package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
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
	var o simulation
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Run devices that post temperature and humidity, over MQTT, CoAP or HTTP",
		Long: `Registers devices in a product of their own (kept for the next run) and lets each post a temperature and a humidity at the interval.
Over MQTT they stay connected, and come back after broken connections. Over CoAP and HTTP they authenticate with POST /auth and post
under the token; they authenticate again when it is not taken any more (CoAP 4.01, HTTP 20001 and 20003), repeat what failed for a
moment, and send datagrams again as devices do (after 2 s, doubling, 4 times). What is refused is printed with its code and what to do
about it; --replies prints every answer. Ends after --duration, or with Ctrl-C.

The addresses are RELINK_MQTT, RELINK_COAP, RELINK_COAPS, RELINK_HTTP and RELINK_HTTPS; certificates are verified with the file RELINK_CA
if it is set, otherwise with the system's authorities. coap encrypts payloads with a key of the token, coaps is DTLS.`,
		Example: `  relink simulate --devices 100 --every 5s
  relink simulate --protocol coap --devices 3 --every 10s --replies
  relink simulate --protocol coaps --psk --devices 3
  relink simulate --protocol https --devices 20 --duration 1m -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.simulate(cmd, &o) },
	}
	f := c.Flags()
	f.StringVar(&o.protocol, "protocol", "mqtt", "how the devices speak: mqtt, coap, coaps, http or https")
	f.IntVar(&o.devices, "devices", 10, "how many, up to 10000")
	f.DurationVar(&o.every, "every", 5*time.Second, "interval of each device's posts")
	f.DurationVar(&o.duration, "duration", time.Hour, "how long")
	f.StringVar(&o.product, "product", "relink_simulate", "name of the product that holds the devices; made if it does not exist")
	f.BoolVar(&o.psk, "psk", false, "with coaps: a key made of the device's secret in place of a certificate")
	f.BoolVar(&o.replies, "replies", false, "print the answer to every post")
	return c
}

// A simulation is what the flags say.
type simulation struct {
	protocol, product string
	devices           int
	every, duration   time.Duration
	psk, replies      bool
}

// A simulated is what `relink simulate` prints at the end.
type simulated struct {
	load.Counts
	Protocol load.Protocol
	Codes    map[string]int64 `json:",omitempty"` // that were no success
}

func (a *app) simulate(cmd *cobra.Command, s *simulation) error {
	if s.devices < 1 || s.devices > 10_000 {
		return fmt.Errorf("--devices is 1 to 10000, not %d", s.devices)
	}
	if s.every <= 0 || s.duration <= 0 {
		return errors.New("--every and --duration are positive durations")
	}
	o := load.Options{Rate: float64(s.devices) / s.every.Seconds(), Window: 4, Duration: s.duration, Reconnect: true, Params: weather}
	if err := a.reach(&o, s.protocol, s.psk); err != nil {
		return err
	}
	var err error
	if o.Devices, err = a.fleet(s.product, simulateModel, s.devices); err != nil {
		return err
	}
	voice := &voice{w: cmd.ErrOrStderr(), protocol: o.Protocol, all: s.replies}
	o.Heard, o.Progress = voice.heard, voice.progress
	fmt.Fprintf(cmd.ErrOrStderr(), "%d devices of product %s post every %s over %s; see one with: relink property get %s %s\n",
		len(o.Devices), o.Devices[0].ProductKey, s.every, o.Protocol, o.Devices[0].ProductKey, o.Devices[0].DeviceName)
	r, err := load.Run(cmd.Context(), o)
	voice.end()
	if err != nil {
		return err
	}
	return a.print(cmd, simulated{r.Counts, o.Protocol, r.Codes}, func(w io.Writer) {
		row(w, "posted", r.Sent)
		row(w, "acknowledged", r.Acked)
		if o.Protocol != load.HTTP && o.Protocol != load.HTTPS { // there the reply of a post is not delivered
			row(w, "answered with 200", r.Replied)
			row(w, "answered with an error", r.Failed)
		}
		if o.Protocol == load.MQTT {
			row(w, "reconnects", r.Broken)
			return
		}
		row(w, "refused", r.Declined)
		row(w, "not answered", r.TimedOut)
		row(w, "open", r.Open)
		row(w, "authentications", r.Logins)
		for _, code := range slices.Sorted(maps.Keys(r.Codes)) {
			row(w, "code "+code, r.Codes[code])
		}
	})
}

// weather moves each device along its own slow wave.
func weather(dst []byte, device int, seq uint32) []byte {
	phase := float64(seq)/40 + float64(device)
	dst = append(dst, `"temperature":`...)
	dst = strconv.AppendFloat(dst, 21+6*math.Sin(phase), 'f', 1, 64)
	dst = append(dst, `,"humidity":`...)
	return strconv.AppendInt(dst, int64(50+30*math.Cos(phase/2)), 10)
}
