package main

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	sls "github.com/aliyun/aliyun-log-go-sdk"
	"github.com/spf13/cobra"

	"relink/shared/iot"
	"relink/shared/logs"
)

// logService makes a client of Log Service and names the project.
func (a *app) logService() (sls.ClientInterface, string, error) {
	endpoint, err := a.env.need("SLS_ENDPOINT")
	if err != nil {
		return nil, "", err
	}
	id, secret, err := a.env.accessKey()
	if err != nil {
		return nil, "", err
	}
	project := or(a.env.get("SLS_PROJECT"), "relink")
	client, err := logs.NewClient(logs.ServiceConfig{
		Endpoint: endpoint, Dial: a.env.get("SLS_DIAL"), Project: project, AccessKeyID: id, AccessKeySecret: iot.Secret(secret),
	})
	return client, project, err
}

func (a *app) logsCommand() *cobra.Command {
	var device, message, query, store string
	var since time.Duration
	var limit int
	var uploaded bool
	c := &cobra.Command{
		Use:   "logs",
		Short: "Show what happened to a device, or the way of one message",
		Example: `  relink logs --device a1B2c3D4e5F/lamp-001
  relink logs --message 7391204857382912
  relink logs --uploaded --device a1B2c3D4e5F/lamp-001
  relink logs --query 'operation: auth and not code: 200' --since 15m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, project, err := a.logService()
			if err != nil {
				return err
			}
			if uploaded {
				store = logs.StoreUploaded
			}
			expression, err := logExpression(device, message, query)
			if err != nil {
				return err
			}
			now := time.Now()
			lines, err := logs.Search(client, project, logs.Query{
				Logstore: store, Expression: expression, From: now.Add(-since), To: now, Limit: limit,
			})
			if err != nil {
				return err
			}
			if message != "" && !uploaded {
				more, err := messageWay(client, project, lines, message, now.Add(-since), now)
				if err != nil {
					return err
				}
				lines = more
			}
			sort.SliceStable(lines, func(i, j int) bool { return lineTime(lines[i]) < lineTime(lines[j]) })
			return a.print(cmd, lines, func(w io.Writer) { writeLines(w, lines) })
		},
	}
	c.Flags().StringVar(&device, "device", "", "PRODUCT_KEY/DEVICE_NAME")
	c.Flags().StringVar(&message, "message", "", "message id: its way through all logstores")
	c.Flags().StringVar(&query, "query", "", "expression in Log Service's query language")
	c.Flags().StringVar(&store, "logstore", logs.StoreDevice, "device, device_upload, audit, function or connector")
	c.Flags().BoolVar(&uploaded, "uploaded", false, "what devices write into their own logs: the logstore device_upload")
	c.Flags().DurationVar(&since, "since", time.Hour, "how far back")
	c.Flags().IntVar(&limit, "limit", 100, "at most that many lines, the newest")
	return c
}

func logExpression(device, message, query string) (string, error) {
	var parts []string
	if device != "" {
		pk, dn, ok := strings.Cut(device, "/")
		if !ok {
			return "", fmt.Errorf("--device is PRODUCT_KEY/DEVICE_NAME, not %q", device)
		}
		parts = append(parts, logs.FieldProductKey+": "+logs.Phrase(pk), logs.FieldDeviceName+": "+logs.Phrase(dn))
	}
	if message != "" {
		parts = append(parts, logs.FieldMessageID+": "+logs.Phrase(message))
	}
	if query != "" {
		parts = append(parts, "("+query+")")
	}
	if len(parts) == 0 {
		return "*", nil
	}
	return strings.Join(parts, " and "), nil
}

// messageWay adds to a message's own lines what the other logstores say of it: the OpenAPI call that sent it, and the
// invocation that worked on it.
func messageWay(client sls.ClientInterface, project string, lines []map[string]string, message string, from, to time.Time) ([]map[string]string, error) {
	find := func(store, expression string) error {
		more, err := logs.Search(client, project, logs.Query{Logstore: store, Expression: expression, From: from, To: to, Limit: 100})
		if err != nil {
			return err
		}
		for _, l := range more {
			l["logstore"] = store
		}
		lines = append(lines, more...)
		return nil
	}
	invocations := map[string]bool{}
	for _, l := range lines {
		l["logstore"] = logs.StoreDevice
		if id := l[logs.FieldRequestID]; id != "" {
			invocations[id] = true
		}
	}
	if err := find(logs.StoreAudit, logs.FieldMessageID+": "+logs.Phrase(message)); err != nil {
		return nil, err
	}
	for id := range invocations {
		if err := find(logs.StoreFunction, "requestId: "+logs.Phrase(id)); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// lineTime orders lines: our own millisecond field where there is one.
func lineTime(l map[string]string) string {
	if at := l[logs.FieldAt]; at != "" {
		return at
	}
	return l["__time__"] + "000"
}

// writeLines prints each line as its time and its fields, the telling ones first.
func writeLines(w io.Writer, lines []map[string]string) {
	first := []string{
		"logstore", logs.FieldProductKey, logs.FieldDeviceName, logs.FieldOperation, logs.FieldCode, logs.FieldReason, logs.FieldTopic,
		logs.FieldMessageID, logs.FieldLatency, logs.FieldDetail, logs.FieldLevel, logs.FieldModule, logs.FieldTraceContext, logs.FieldContent,
	}
	known := map[string]bool{logs.FieldAt: true}
	for _, f := range first {
		known[f] = true
	}
	for _, l := range lines {
		var b strings.Builder
		b.WriteString(clock(lineTime(l)))
		write := func(field string) {
			if v := l[field]; v != "" {
				fmt.Fprintf(&b, " %s=%s", field, quoteIfNeeded(printable(v)))
			}
		}
		for _, f := range first {
			write(f)
		}
		var rest []string
		for f := range l {
			if !known[f] && !strings.HasPrefix(f, "__") {
				rest = append(rest, f)
			}
		}
		sort.Strings(rest)
		for _, f := range rest {
			write(f)
		}
		fmt.Fprintln(w, b.String())
	}
	if len(lines) == 0 {
		fmt.Fprintln(w, "no lines: widen --since, or check the device's name")
	}
}

func quoteIfNeeded(s string) string {
	if strings.ContainsAny(s, " \"\t\r\n=") {
		return fmt.Sprintf("%q", s)
	}
	return s
}
