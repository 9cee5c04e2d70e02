package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// A response is an answer ready to be written.
type response struct {
	status int
	root   string // XML root
	body   []byte // JSON
}

type success struct {
	RequestID string `json:"RequestId"`
	Success   bool   `json:"Success"`
}

type refused struct {
	RequestID    string `json:"RequestId"`
	Success      bool   `json:"Success"`
	Code         string `json:"Code"`
	ErrorMessage string `json:"ErrorMessage"`
}

type failed struct {
	RequestID string `json:"RequestId"`
	HostID    string `json:"HostId"`
	Code      string `json:"Code"`
	Message   string `json:"Message"`
	Recommend string `json:"Recommend"`
}

// succeed makes the answer of a call that did what it should: no member Code, which pop-core takes for a failure.
func succeed(c *Call, data any) (*response, error) {
	body, err := join(success{c.RequestID, true}, data)
	return &response{status: http.StatusOK, root: c.Action + "Response", body: body}, err
}

func refuse(c *Call, r *Refusal) (*response, error) {
	body, err := join(refused{c.RequestID, false, r.Code, r.Message}, r.Data)
	return &response{status: http.StatusOK, root: c.Action + "Response", body: body}, err
}

func fail(c *Call, host string, f *Failure) (*response, error) {
	body, err := encode(failed{c.RequestID, host, f.Code, f.Message, ""})
	return &response{status: f.Status, root: "Error", body: body}, err
}

// join appends the members of data, which encodes as an object or is nil, to those of the envelope.
func join(envelope, data any) ([]byte, error) {
	head, err := encode(envelope)
	if err != nil || data == nil {
		return head, err
	}
	tail, err := encode(data)
	if err != nil {
		return nil, err
	}
	if len(tail) < 2 || tail[0] != '{' {
		return nil, fmt.Errorf("the answer is not an object but %T", data)
	}
	if len(tail) == 2 {
		return head, nil
	}
	return append(append(head[:len(head)-1], ','), tail[1:]...), nil
}

// encode is compact JSON that leaves <, > and & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// write sends a response. An error means that the client is gone.
func (r *response) write(w http.ResponseWriter, requestID string, asXML bool) error {
	body, contentType := r.body, "application/json;charset=utf-8"
	if asXML {
		var err error
		if body, err = toXML(r.root, r.body); err != nil {
			return err
		}
		contentType = "text/xml;charset=utf-8"
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("X-Acs-Request-Id", requestID)
	w.WriteHeader(r.status)
	_, err := w.Write(body)
	return err
}
