package main

import (
	"fmt"
	"io"
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
	c := &cobra.Command{
		Use:   "why PRODUCT_KEY DEVICE_NAME",
		Short: "Say why a device cannot connect, or why its messages are refused, and what to do",
		Long: `Looks through the device log for what was refused, newest first, and explains each cause: what happened, the string that the
server signed where a signature was wrong, and what to do.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, project, err := a.logService()
			if err != nil {
				return err
			}
			now := time.Now()
			lines, err := logs.Search(client, project, logs.Query{
				Logstore: logs.StoreDevice, From: now.Add(-since), To: now, Limit: 1000,
				Expression: fmt.Sprintf("%s: %s and %s: %s and not %s: 200", logs.FieldProductKey, logs.Phrase(args[0]),
					logs.FieldDeviceName, logs.Phrase(args[1]), logs.FieldCode),
			})
			if err != nil {
				return err
			}
			findings := explainLines(lines)
			status := a.statusLine(args[0], args[1])
			return a.print(cmd, map[string]any{"device": status, "refusals": findings}, func(w io.Writer) {
				fmt.Fprintln(w, status)
				if len(findings) == 0 {
					fmt.Fprintf(w, "nothing that was refused in the last %s is in the log (a refusal takes up to a second to get there): if the device says it cannot connect, it does not reach this platform (host, port, DNS, firewall)\n", since)
				}
				for _, f := range findings {
					fmt.Fprintf(w, "\n%s  %s: %s", f.Last, f.Operation, f.Cause)
					if f.Times > 1 {
						fmt.Fprintf(w, "  (%d times)", f.Times)
					}
					fmt.Fprintf(w, "\n  what happened   %s\n", f.What)
					for _, x := range [][2]string{{"topic", f.Topic}, {"detail", f.Detail}, {"server signed", f.Signed}} {
						if x[1] != "" {
							fmt.Fprintf(w, "  %-15s %s\n", x[0], printable(x[1]))
						}
					}
					if f.From != "" {
						fmt.Fprintf(w, "  from            %s\n", f.From)
					}
					fmt.Fprintf(w, "  what to do      %s\n", f.Cure)
				}
			})
		},
	}
	c.Flags().DurationVar(&since, "since", 24*time.Hour, "how far back")
	return c
}

// explainLines groups refusals by operation, cause, topic and detail, newest first.
func explainLines(lines []map[string]string) []finding {
	findings := []finding{}
	index := map[[4]string]int{}
	for _, l := range lines {
		cause := l[logs.FieldReason]
		if cause == "" {
			continue // a success with a code of its own
		}
		key := [4]string{l[logs.FieldOperation], cause, l[logs.FieldTopic], l[logs.FieldDetail]}
		if i, ok := index[key]; ok {
			findings[i].Times++
			continue
		}
		f := finding{
			Last: clock(lineTime(l)), Times: 1, Operation: l[logs.FieldOperation], Cause: cause, Code: l[logs.FieldCode],
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
