package logs

import (
	"context"
	"fmt"
	"strconv"

	sls "github.com/aliyun/aliyun-log-go-sdk"
	"google.golang.org/protobuf/proto"

	"relink/shared/iot"
)

// StoreUploaded is the logstore of what devices write into their own logs and upload.
const StoreUploaded = "device_upload"

// Field names of that logstore, beside those above. FieldAt is the device's own time.
const (
	FieldReceivedAt   = "received_at" // Unix milliseconds
	FieldLevel        = "level"       // FATAL, ERROR, WARN, INFO, DEBUG, OTHER
	FieldModule       = "module"
	FieldTraceContext = "trace_context"
	FieldContent      = "content"
	FieldTruncated    = "truncated" // 1: the content was longer
)

// An Uploaded is one line of a device's own log ("Log upload").
type Uploaded struct {
	Device       iot.DeviceRef
	MessageID    string // of the upload
	At           int64  // Unix milliseconds, by the device's clock
	ReceivedAt   int64
	Level        string
	Module       string
	Code         string
	TraceContext string
	Content      string
	Truncated    bool
}

// An Uploader puts uploaded lines into the logstore. It is safe for concurrent use.
type Uploader struct {
	Client  sls.ClientInterface
	Project string
}

// Upload stores lines with one request; they are durable when it returns. The rows have the time of their receipt, because devices' clocks
// may be anywhere and Log Service finds rows by their time. Errors are *iot.Error: Unavailable.
func (u *Uploader) Upload(ctx context.Context, lines []Uploaded) error {
	if ctx.Err() != nil {
		return iot.Wrap(iot.Unavailable, context.Cause(ctx), "out of time")
	}
	group := &sls.LogGroup{Topic: proto.String(""), Source: proto.String("")}
	for _, l := range lines {
		row := &sls.Log{Time: proto.Uint32(uint32(l.ReceivedAt / 1000)), TimeNs: proto.Uint32(uint32(l.ReceivedAt%1000) * 1e6)}
		for _, f := range [...][2]string{
			{FieldProductKey, string(l.Device.ProductKey)}, {FieldDeviceName, string(l.Device.DeviceName)}, {FieldMessageID, l.MessageID},
			{FieldAt, strconv.FormatInt(l.At, 10)}, {FieldReceivedAt, strconv.FormatInt(l.ReceivedAt, 10)}, {FieldLevel, l.Level}, {FieldModule, l.Module},
			{FieldCode, l.Code}, {FieldTraceContext, l.TraceContext}, {FieldContent, l.Content},
		} {
			if f[1] != "" {
				row.Contents = append(row.Contents, &sls.LogContent{Key: proto.String(f[0]), Value: proto.String(f[1])})
			}
		}
		if l.Truncated {
			row.Contents = append(row.Contents, &sls.LogContent{Key: proto.String(FieldTruncated), Value: proto.String("1")})
		}
		group.Logs = append(group.Logs, row)
	}
	if err := u.Client.PutLogs(u.Project, StoreUploaded, group); err != nil {
		return iot.Wrap(iot.Unavailable, fmt.Errorf("put %d lines into %s: %w", len(lines), StoreUploaded, err), "the log service does not answer")
	}
	return nil
}
