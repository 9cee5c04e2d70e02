package http

import (
	"bytes"
	"errors"
	"io"
	nethttp "net/http"
	"net/url"

	"relink/connector/token"
)

var (
	errTooLarge = errors.New("the body is larger than 4 KB")
	errBody     = errors.New("the body is neither a form nor a JSON object of strings and numbers")
)

// readParams reads the parameters of a request's body.
func readParams(w nethttp.ResponseWriter, r *nethttp.Request) (map[string]string, error) {
	body, err := io.ReadAll(nethttp.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, ok := errors.AsType[*nethttp.MaxBytesError](err); ok {
			return nil, errTooLarge
		}
		return nil, errors.New("the body did not arrive")
	}
	return parseParams(body)
}

// parseParams reads a form or a JSON object. What it is, is told by its first character: SDKs leave the content type out, or name the
// wrong one. Of repeated members the first one holds in a form, the last in JSON.
func parseParams(body []byte) (map[string]string, error) {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '{' {
		params, ok := token.ParseParams(body)
		if !ok {
			return nil, errBody
		}
		return params, nil
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errBody
	}
	params := make(map[string]string, len(form))
	for name, values := range form {
		params[name] = values[0]
	}
	return params, nil
}
