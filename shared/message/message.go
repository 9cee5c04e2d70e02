package message

import (
	"strconv"

	"github.com/cespare/xxhash/v2"

	"relink/shared/iot"
)

// A Message is one thing that happened, as a rule or a subscriber sees it.
type Message struct {
	ID          string        // decimal; the same if the same thing is handed over again
	Topic       string        // forwarding topic: without /sys ("Sources")
	Kind        Kind          //
	Device      iot.DeviceRef // whose message it is: a sub-device, not its gateway; of OTAJob only the product
	IotID       iot.IotID     // of Device; empty if the source does not know it
	GeneratedAt int64         // when the connector had it, or when it happened, Unix milliseconds
	QoS         byte          // 0 or 1, of the device's publish; 1 for what no device published
	Payload     []byte        // JSON of a builder; for Custom as published
}

// DerivedID is the id of the n-th message that one record of a device raises: that of the record itself for the first one, and for each
// other one a number that is always the same for it.
func DerivedID(record string, n int) string {
	if n == 0 {
		return record
	}
	return IDOf(record, strconv.Itoa(n))
}

// IDOf is an id made of what a message is about, for what no record carries: the same parts give the same id.
func IDOf(parts ...string) string {
	var d xxhash.Digest
	d.Reset()
	for _, p := range parts {
		d.WriteString(p)
		d.Write([]byte{0})
	}
	return strconv.FormatUint(d.Sum64()>>1|1<<62, 10) // 19 digits, as those of the connectors in some years
}
