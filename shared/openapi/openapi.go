// Package openapi is the wire of the vendor's RPC-style OpenAPI ("Iot", version 2018-01-20) as a server sees it: one parameter
// map from query and form, two signatures (ACS3-HMAC-SHA256 and the older HMAC-SHA1), gateway errors, business answers in JSON
// or XML, and the table from an *iot.Error to the API's codes. What an action does is not here: the function `openapi` puts
// handlers into a Table and serves a Gateway.
//
// Sources: the signing code of github.com/alibabacloud-go/darabonba-openapi and of npm @alicloud/pop-core, and the vendor's
// "Common parameters", "Signature" and "Error codes" pages.
package openapi

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"relink/shared/iot"
)

// Version is the only version of the API that is served.
const Version = "2018-01-20"

// MaxBody bounds a request's body: BatchCheckDeviceNames carries 10,000 names.
const MaxBody = 8 << 20

// maxParams bounds the parameters of one request: 10,000 names with nicknames and what else there is.
const maxParams = 25_000

// CallTimeout bounds one call. The vendor's Java SDK gives up after 10 s, so an answer later than that helps nobody; a
// synchronous service may take 8 of them.
const CallTimeout = 9500 * time.Millisecond

// A Call is one call of an action, from its first byte to its answer. Handlers read Action, Params and Caller, and set Device
// and MessageID as soon as they know them, for the audit line.
type Call struct {
	RequestID string // UUID, in the answer too
	Action    string
	Params    Params
	Caller    Caller
	Remote    string // address of the client
	Base      string // under which the call came: scheme and host
	At        time.Time

	Device    iot.DeviceRef // what the call is about; DeviceName empty for a product
	MessageID string        // of the downlink that the call caused

	Status  int    // HTTP status of the answer
	Code    string // code of the answer; OK on success
	Err     error  // why, for the log; nil on success
	Latency time.Duration
}

// CodeOK is Call.Code of a call that succeeded. It is not on the wire: a success carries no Code.
const CodeOK = "OK"

// A Handler does what an action does and returns its answer: a value that encodes as a JSON object, whose members follow
// RequestId and Success, or nil. Its error is a *Failure, a *Refusal, an *iot.Error, or anything else for "internal".
type Handler func(ctx context.Context, c *Call) (any, error)

// An Action is one row of the table.
type Action struct {
	Name     string
	Required []string            // parameters without which the gateway answers Missing…
	Limit    int                 // documented calls per second of one access key, see Limits; 0 if none is documented
	Codes    *Codes              // of the action's group
	Special  map[iot.Kind]string // codes that differ from the group's
	Handle   Handler
}

// A Table holds the actions by name.
type Table map[string]*Action

// NewTable makes a table; a name that occurs twice is a programming error and panics.
func NewTable(actions ...*Action) Table {
	t := make(Table, len(actions))
	for _, a := range actions {
		if t[a.Name] != nil || a.Handle == nil || a.Codes == nil {
			panic("openapi: bad or repeated action " + a.Name)
		}
		t[a.Name] = a
	}
	return t
}

// newRequestID makes a random UUID (version 4), upper-case as the vendor's are.
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
