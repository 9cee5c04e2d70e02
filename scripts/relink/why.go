package main

import (
	"fmt"
	"io"
	"net/netip"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/spf13/cobra"

	"relink/shared/logs"
	"relink/shared/refusal"
)

// A finding is one refusal, explained.
type finding struct {
	Last      string `json:"last"`
	Times     int    `json:"times"`
	Device    string `json:"device,omitempty"` // as claimed; of lines that were looked for by address
	Operation string `json:"operation"`
	Cause     string `json:"cause"`
	Code      string `json:"code"`
	What      string `json:"what"`
	Topic     string `json:"topic,omitempty"`
	Detail    string `json:"detail,omitempty"`
	Signed    string `json:"signed,omitempty"`
	From      string `json:"from,omitempty"`
	Cure      string `json:"cure"`
}

func (a *app) whyCommand() *cobra.Command {
	var since time.Duration
	var address string
	c := &cobra.Command{
		Use:   "why PRODUCT_KEY DEVICE_NAME | why --address ADDRESS",
		Short: "Say why a device cannot connect, or why its messages are refused, and what to do",
		Long: `Looks through the device log for what was refused, newest first, and explains each cause: what happened, the string that the
server signed where a signature was wrong, and what to do. It knows refused logins and registrations, messages, filters and deliveries,
sessions that were ended, failures of parsing scripts, and, of a sub-device, what its gateway was refused for it.

A connection that fails before it says who it is (TLS, first byte, time-out) belongs to no device: look for it by the address that it
comes from, which behind a load balancer is the one that the connector sees.`,
		Example: `  relink why a1B2c3D4e5F lamp-001
  relink why a1B2c3D4e5F lamp-001 --since 168h -o json
  relink why --address 203.0.113.7 --since 15m`,
		Args: func(cmd *cobra.Command, args []string) error {
			if address != "" {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			expression, err := whyExpression(args, address)
			if err != nil {
				return err
			}
			client, project, err := a.logService()
			if err != nil {
				return err
			}
			now := time.Now()
			lines, err := logs.Search(client, project, logs.Query{
				Logstore: logs.StoreDevice, From: now.Add(-since), To: now, Limit: 1000,
				Expression: expression,
			})
			if err != nil {
				return err
			}
			findings := explainLines(lines, address != "")
			if address != "" {
				return a.print(cmd, map[string]any{"address": address, "refusals": findings}, func(w io.Writer) {
					if len(findings) == 0 {
						fmt.Fprintf(w, "nothing from %s was refused in the last %s: if a device there cannot connect, it does not reach this platform (host, port, DNS, firewall), or comes from another address (NAT, load balancer)\n", address, since)
					}
					writeFindings(w, findings)
				})
			}
			status := a.statusLine(args[0], args[1])
			return a.print(cmd, map[string]any{"device": status, "refusals": findings}, func(w io.Writer) {
				fmt.Fprintln(w, status)
				if len(findings) == 0 {
					fmt.Fprintf(w, "nothing that was refused in the last %s is in the log (a refusal takes up to a second to get there): if the device says it cannot connect, it does not reach this platform (host, port, DNS, firewall), or fails before it says who it is: relink why --address ADDRESS\n", since)
				}
				writeFindings(w, findings)
			})
		},
	}
	c.Flags().DurationVar(&since, "since", 24*time.Hour, "how far back")
	c.Flags().StringVar(&address, "address", "", "what was refused of an IP address, instead of a device")
	return c
}

// whyExpression looks for refusals of a device, and of what others asked for it, or of an address. The ends of sessions that are in order
// have a reason too; they are no refusals.
func whyExpression(args []string, address string) (string, error) {
	of := ""
	if address != "" {
		ip, err := netip.ParseAddr(address)
		if err != nil {
			return "", fmt.Errorf("--address is an IP address without a port, not %q", address)
		}
		of = logs.FieldRemoteIP + ": " + logs.Phrase(ip.Unmap().String())
	} else {
		of = fmt.Sprintf("((%s: %s and %s: %s) or %s: %s)", logs.FieldProductKey, logs.Phrase(args[0]), logs.FieldDeviceName, logs.Phrase(args[1]),
			logs.FieldDetail, logs.Phrase(args[0]+"/"+args[1]))
	}
	return fmt.Sprintf("%s and %s: * and not (%s: offline and %s: 200)", of, logs.FieldReason, logs.FieldOperation, logs.FieldCode), nil
}

func writeFindings(w io.Writer, findings []finding) {
	for _, f := range findings {
		fmt.Fprintf(w, "\n%s  %s: %s", f.Last, f.Operation, f.Cause)
		if f.Times > 1 {
			fmt.Fprintf(w, "  (%d times)", f.Times)
		}
		fmt.Fprintf(w, "\n  what happened   %s\n", f.What)
		for _, x := range [][2]string{{"device", f.Device}, {"topic", f.Topic}, {"detail", f.Detail}, {"server signed", f.Signed}, {"from", f.From}} {
			if x[1] != "" {
				fmt.Fprintf(w, "  %-15s %s\n", x[0], printable(x[1]))
			}
		}
		fmt.Fprintf(w, "  what to do      %s\n", f.Cure)
	}
}

// explainLines groups refusals by operation, cause, topic and detail, and by device if they are of several, newest first.
func explainLines(lines []map[string]string, several bool) []finding {
	findings := []finding{}
	index := map[[5]string]int{}
	for _, l := range lines {
		cause := l[logs.FieldReason]
		if cause == "" {
			continue // a success with a code of its own
		}
		device := ""
		if several && l[logs.FieldDeviceName] != "" {
			device = l[logs.FieldProductKey] + "/" + l[logs.FieldDeviceName]
		}
		key := [5]string{l[logs.FieldOperation], cause, l[logs.FieldTopic], l[logs.FieldDetail], device}
		if i, ok := index[key]; ok {
			findings[i].Times++
			continue
		}
		f := finding{
			Last: clock(lineTime(l)), Times: 1, Device: device, Operation: l[logs.FieldOperation], Cause: cause, Code: l[logs.FieldCode],
			Topic: l[logs.FieldTopic], Detail: l[logs.FieldDetail], Signed: l[logs.FieldSigned], From: l[logs.FieldRemote],
			What: "the platform gave no explanation for this cause", Cure: "look at the whole line: relink logs --device",
		}
		if e, ok := refusal.Explain(refusal.Cause(cause)); ok {
			f.What, f.Cure = e.What, e.Cure
		}
		index[key] = len(findings)
		findings = append(findings, f)
	}
	return findings
}

// statusLine says what the platform knows of the device itself.
func (a *app) statusLine(productKey, deviceName string) string {
	name := productKey + "/" + deviceName
	api, err := a.api()
	if err != nil {
		return name + ": " + explain(err)
	}
	resp, err := api.QueryDeviceDetail(&iotapi.QueryDeviceDetailRequest{ProductKey: &productKey, DeviceName: &deviceName})
	if err := check(resp, err); err != nil {
		return name + ": " + explain(err)
	}
	d := resp.Body.Data
	return fmt.Sprintf("%s is %s, last connected %s", name, str(d.Status), or(str(d.UtcOnline), "never"))
}
