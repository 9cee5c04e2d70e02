// Package record is what the connector and a function say to each other: a batch of records up, one result per record down.
// A record is one thing that a device did (a login, a post, a disconnect); the function decides what the device hears, the
// connector only delivers it.
//
// The encoding is protobuf's wire format written by hand, so that a field that one side does not know is skipped and
// connectors and functions of neighbouring releases work together. A batch or a result list begins with byte 0x08 (field 1,
// the format's version), never with a quotation mark or a brace.
package record

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"relink/shared/iot"
)

// Version is the version of the encoding that this build writes. A reader refuses a higher major one.
const Version = 1

// MaxRecords bounds a batch, whoever wrote it.
const MaxRecords = 10_000

// A Record is one thing that a device did.
type Record struct {
	MessageID  string        // decimal, unique in the installation; the thread through all logs
	Device     iot.DeviceRef // who did it; as claimed for a login; zero for a lease, which is a node's
	IotID      iot.IotID     // empty before the login
	Topic      string        // MQTT topic, or the name of an internal record such as "auth/login"
	Payload    []byte        // as the device sent it; JSON of a type of package device for internal records
	QoS        byte          // 0 or 1
	ReceivedAt int64         // when the connector had it whole, Unix milliseconds
	PacketID   uint16        // of the MQTT packet, for QoS 1; 0 for none
	Dup        bool          // the packet said that it may come for the second time
	Since      int64         // epoch of the connection that began the MQTT session: packet ids belong to that
	Attempt    int32         // 0 for the first invocation that carries it

	// Sum is redelivery.SumOf the message as it came, if topic and payload are no longer what the device sent (raw data that was
	// decoded); 0 if they are. It is of the function that decoded it, not encoded.
	Sum uint64
}

// A Batch is what one invocation receives.
type Batch struct {
	Node    string // the connector's node id
	Records []Record
}

// A Reply is one message for the device, sent by the connector if the device may receive its topic and has not unsubscribed.
type Reply struct {
	Topic   string
	Payload []byte
	QoS     byte
}

// A Result answers the record of the same index.
type Result struct {
	Code    int32   // 200, or the code of the record's protocol (Alink's numbers)
	Reason  string  // for the log: a refusal's cause, or what failed; empty for 200
	Detail  string  // for the log: what the reason is about, such as which property
	Replies []Reply // what the device hears, in this order, before the acknowledgement of its own message
	Data    []byte  // function-specific: auth answers a Grant or a Refusal of package device, as JSON
	Retry   bool    // nothing was decided (a throttled row); the connector tries again, and does not acknowledge yet

	RequestID string // of the invocation that decided, for the log; set by the dispatcher, not encoded
}

// ErrMalformed is wrapped by every decoding error.
var ErrMalformed = errors.New("record: malformed")

// AppendBatch appends b to dst.
func AppendBatch(dst []byte, b *Batch) []byte {
	dst = appendVarint(dst, 1, Version)
	dst = appendString(dst, 2, b.Node)
	for i := range b.Records {
		r := &b.Records[i]
		n := sizeString(1, r.MessageID) + sizeString(2, string(r.Device.ProductKey)) + sizeString(3, string(r.Device.DeviceName)) +
			sizeString(4, string(r.IotID)) + sizeString(5, r.Topic) + sizeBytes(6, r.Payload) + sizeVarint(7, uint64(r.QoS)) +
			sizeVarint(8, uint64(r.ReceivedAt)) + sizeVarint(9, uint64(r.Attempt)) + sizeVarint(10, uint64(r.PacketID)) + sizeVarint(11, protowire.EncodeBool(r.Dup)) + sizeVarint(12, uint64(r.Since))
		dst = protowire.AppendTag(dst, 3, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(n))
		dst = appendString(dst, 1, r.MessageID)
		dst = appendString(dst, 2, string(r.Device.ProductKey))
		dst = appendString(dst, 3, string(r.Device.DeviceName))
		dst = appendString(dst, 4, string(r.IotID))
		dst = appendString(dst, 5, r.Topic)
		dst = appendBytes(dst, 6, r.Payload)
		dst = appendVarint(dst, 7, uint64(r.QoS))
		dst = appendVarint(dst, 8, uint64(r.ReceivedAt))
		dst = appendVarint(dst, 9, uint64(r.Attempt))
		dst = appendVarint(dst, 10, uint64(r.PacketID))
		dst = appendVarint(dst, 11, protowire.EncodeBool(r.Dup))
		dst = appendVarint(dst, 12, uint64(r.Since))
	}
	return dst
}

// DecodeBatch reads a batch. Payloads alias data.
func DecodeBatch(data []byte) (Batch, error) {
	var b Batch
	err := eachField(data, func(num protowire.Number, v uint64, raw []byte) error {
		switch num {
		case 1:
			if v != Version {
				return fmt.Errorf("%w: version %d is not known here", ErrMalformed, v)
			}
		case 2:
			b.Node = string(raw)
		case 3:
			if len(b.Records) == MaxRecords {
				return fmt.Errorf("%w: more than %d records", ErrMalformed, MaxRecords)
			}
			var r Record
			if err := r.decode(raw); err != nil {
				return err
			}
			b.Records = append(b.Records, r)
		}
		return nil
	})
	return b, err
}

func (r *Record) decode(data []byte) error {
	return eachField(data, func(num protowire.Number, v uint64, raw []byte) error {
		switch num {
		case 1:
			r.MessageID = string(raw)
		case 2:
			r.Device.ProductKey = iot.ProductKey(raw)
		case 3:
			r.Device.DeviceName = iot.DeviceName(raw)
		case 4:
			r.IotID = iot.IotID(raw)
		case 5:
			r.Topic = string(raw)
		case 6:
			r.Payload = raw
		case 7:
			r.QoS = byte(v)
		case 8:
			r.ReceivedAt = int64(v)
		case 9:
			r.Attempt = int32(v)
		case 10:
			r.PacketID = uint16(v)
		case 11:
			r.Dup = v != 0
		case 12:
			r.Since = int64(v)
		}
		return nil
	})
}

// AppendResults appends the results of one batch to dst.
func AppendResults(dst []byte, results []Result) []byte {
	dst = appendVarint(dst, 1, Version)
	for i := range results {
		r := &results[i]
		n := sizeVarint(1, uint64(r.Code)) + sizeString(2, r.Reason) + sizeBytes(4, r.Data) + sizeString(6, r.Detail)
		for j := range r.Replies {
			k := sizeReply(&r.Replies[j])
			n += protowire.SizeTag(3) + protowire.SizeBytes(k)
		}
		if r.Retry {
			n += sizeVarint(5, 1)
		}
		dst = protowire.AppendTag(dst, 2, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(n))
		dst = appendVarint(dst, 1, uint64(r.Code))
		dst = appendString(dst, 2, r.Reason)
		for j := range r.Replies {
			p := &r.Replies[j]
			dst = protowire.AppendTag(dst, 3, protowire.BytesType)
			dst = protowire.AppendVarint(dst, uint64(sizeReply(p)))
			dst = appendString(dst, 1, p.Topic)
			dst = appendBytes(dst, 2, p.Payload)
			dst = appendVarint(dst, 3, uint64(p.QoS))
		}
		dst = appendBytes(dst, 4, r.Data)
		if r.Retry {
			dst = appendVarint(dst, 5, 1)
		}
		dst = appendString(dst, 6, r.Detail)
	}
	return dst
}

func sizeReply(p *Reply) int {
	return sizeString(1, p.Topic) + sizeBytes(2, p.Payload) + sizeVarint(3, uint64(p.QoS))
}

// DecodeResults reads the results of one batch. Payloads and Data alias data.
func DecodeResults(data []byte) ([]Result, error) {
	var results []Result
	err := eachField(data, func(num protowire.Number, v uint64, raw []byte) error {
		switch num {
		case 1:
			if v != Version {
				return fmt.Errorf("%w: version %d is not known here", ErrMalformed, v)
			}
		case 2:
			if len(results) == MaxRecords {
				return fmt.Errorf("%w: more than %d results", ErrMalformed, MaxRecords)
			}
			var r Result
			if err := r.decode(raw); err != nil {
				return err
			}
			results = append(results, r)
		}
		return nil
	})
	return results, err
}

func (r *Result) decode(data []byte) error {
	return eachField(data, func(num protowire.Number, v uint64, raw []byte) error {
		switch num {
		case 1:
			r.Code = int32(v)
		case 2:
			r.Reason = string(raw)
		case 3:
			var p Reply
			err := eachField(raw, func(num protowire.Number, v uint64, raw []byte) error {
				switch num {
				case 1:
					p.Topic = string(raw)
				case 2:
					p.Payload = raw
				case 3:
					p.QoS = byte(v)
				}
				return nil
			})
			if err != nil {
				return err
			}
			r.Replies = append(r.Replies, p)
		case 4:
			r.Data = raw
		case 5:
			r.Retry = v != 0
		case 6:
			r.Detail = string(raw)
		}
		return nil
	})
}
