// Package logs says how the project logs: JSON lines through log/slog with the field names below, and, for what operators ask
// for later, rows in the logstores of Log Service that templates/sls.yaml declares.
//
//	device     what happened to one device: auth, uplink, downlink, lifecycle, subscribe
//	device_upload  what devices write into their own logs and upload
//	audit      who called which OpenAPI action on what
//	function   what functions print (written by Function Compute)
//	connector  what connectors print
package logs

import (
	"io"
	"log/slog"
	"os"

	"relink/shared/iot"
)

// Logstores.
const (
	StoreDevice    = "device"
	StoreAudit     = "audit"
	StoreFunction  = "function"
	StoreConnector = "connector"
)

// Field names, the same in console output, in logstores and in the command line.
const (
	FieldAt         = "at" // Unix milliseconds; Log Service itself keeps seconds
	FieldProductKey = "product_key"
	FieldDeviceName = "device_name"
	FieldMessageID  = "message_id"
	FieldRequestID  = "request_id"
	FieldTopic      = "topic"
	FieldOperation  = "operation" // auth, uplink, downlink, reply, online, offline, subscribe, unsubscribe
	FieldCode       = "code"
	FieldReason     = "reason"
	FieldDetail     = "detail"
	FieldSigned     = "signed" // the string that the server signed, of a refused login
	FieldLatency    = "latency_ms"
	FieldNode       = "node"
	FieldRemote     = "remote_addr"
	FieldRemoteIP   = "remote_ip" // remote_addr without the port, of what was refused, so that it is found by the address
	FieldError      = "error"
)

// Device gives the two fields that address a device.
func Device(d iot.DeviceRef) slog.Attr {
	return slog.GroupAttrs("", slog.String(FieldProductKey, string(d.ProductKey)), slog.String(FieldDeviceName, string(d.DeviceName)))
}

// Err gives the error field.
func Err(err error) slog.Attr { return slog.String(FieldError, err.Error()) }

// New makes a logger that writes JSON lines. level is debug, info, warn or error; anything else is info.
func New(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}

// Stdout is New for a process that logs to its standard output at the level that RELINK_LOG_LEVEL names.
func Stdout() *slog.Logger { return New(os.Stdout, os.Getenv("RELINK_LOG_LEVEL")) }
