package fileupload

import (
	"encoding/binary"
	"errors"
	"fmt"

	"relink/shared/alink"
)

// A Frame is one block of a file as devices send it (thing/file/upload/mqtt/send):
//
//	+0        2 bytes   H: length of the header, big endian
//	+2        H bytes   {"id":"12","params":{"uploadId":"…","offset":0,"bSize":2048,"isComplete":false}}
//	+2+H      bSize     bytes of the file
//	+2+H+b    2 bytes   CRC-16/ARC of these, little endian
type Frame struct {
	Envelope   alink.Request
	UploadID   string
	Offset     int64
	Size       int64 // bSize, as the header says
	IsComplete bool
	Data       []byte // aliases the payload
	CRC        uint16 // as sent
}

var errFrame = errors.New("the frame is shorter than its header says")

// ParseFrame reads a frame. What could be read of the header is in the frame even if there is an error: it belongs into the reply.
func ParseFrame(payload []byte) (Frame, error) {
	if len(payload) < 2 {
		return Frame{Envelope: alink.Request{Ack: true}, Offset: -1, Size: -1}, errFrame
	}
	end := 2 + int(binary.BigEndian.Uint16(payload))
	if end > len(payload) {
		return Frame{Envelope: alink.Request{Ack: true}, Offset: -1, Size: -1}, errFrame
	}
	f := Frame{Offset: -1, Size: -1}
	var err error
	if f.Envelope, err = alink.Parse(payload[2:end]); err != nil {
		return f, err
	}
	for name, value := range alink.Members(f.Envelope.Params) {
		switch string(name) {
		case "uploadId":
			f.UploadID = string(alink.Unquote(value))
		case "offset":
			f.Offset = integer(value)
		case "bSize":
			f.Size = integer(value)
		case "isComplete":
			f.IsComplete = string(value) == "true" || string(value) == "1"
		}
	}
	if len(payload) < end+2 {
		return f, errFrame
	}
	f.Data = payload[end : len(payload)-2]
	f.CRC = binary.LittleEndian.Uint16(payload[len(payload)-2:])
	switch {
	case f.UploadID == "":
		return f, errors.New("uploadId is missing")
	case f.Offset < 0:
		return f, errors.New("offset is missing or not a number")
	case f.Size < 0:
		return f, errors.New("bSize is missing or not a number")
	case f.Size != int64(len(f.Data)):
		return f, fmt.Errorf("bSize is %d, but the frame has %d bytes between header and CRC", f.Size, len(f.Data))
	}
	return f, nil
}

// integer reads a number that is not negative, in quotes or without; -1 for anything else.
func integer(value []byte) int64 {
	if len(value) > 1 && value[0] == '"' {
		value = alink.Unquote(value)
	}
	if len(value) == 0 || len(value) > 15 {
		return -1
	}
	n := int64(0)
	for _, c := range value {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int64(c-'0')
	}
	return n
}
