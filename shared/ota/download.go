package ota

import (
	"strconv"

	"relink/shared/alink"
)

// maxToken bounds what of a request is repeated in the header of its answer.
const maxToken = 128

// A downloadRequest asks for a block of a file ("Download over MQTT").
type downloadRequest struct {
	id, token          string
	stream, file       int64
	size, offset       int64
	hasStream, hasFile bool
}

// readDownload reads a request. Link SDK C sends it with a surplus comma, which package alink takes. What could be read is there even
// if there is an error.
func readDownload(payload []byte) (downloadRequest, error) {
	q := downloadRequest{token: "default", size: -1, offset: -1}
	envelope, err := alink.Parse(payload)
	q.id = envelope.ID
	if len(q.id) > maxToken {
		q.id = q.id[:maxToken]
	}
	if err != nil {
		return q, err
	}
	for name, value := range alink.Members(envelope.Params) {
		switch string(name) {
		case "fileToken":
			token := string(alink.Unquote(value))
			if len(token) > maxToken {
				return q, alink.ErrParamsMalformed
			}
			q.token = token
		case "fileInfo":
			for name, value := range alink.Members(value) {
				switch string(name) {
				case "streamId":
					q.stream, q.hasStream = number(value)
				case "fileId":
					q.file, q.hasFile = number(value)
				}
			}
		case "fileBlock":
			for name, value := range alink.Members(value) {
				n, ok := number(value)
				switch {
				case !ok:
				case string(name) == "size":
					q.size = n
				case string(name) == "offset":
					q.offset = n
				}
			}
		}
	}
	if !q.hasStream || !q.hasFile || q.size < 1 || q.offset < 0 {
		return q, alink.ErrParamsMalformed
	}
	return q, nil
}

func number(value []byte) (int64, bool) {
	text := string(value)
	if len(text) > 0 && text[0] == '"' {
		text = string(alink.Unquote(value))
	}
	n, err := strconv.ParseUint(text, 10, 53)
	return int64(n), err == nil
}
