package sls_test

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	sdk "github.com/aliyun/aliyun-log-go-sdk"
	"google.golang.org/protobuf/encoding/protowire"

	"relink/localstack/sls"
	"relink/localstack/sls/slstest"
)

// raw sends a request that the SDK signs but has no function for.
func raw(t *testing.T, c *sdk.Client, method, uri string, headers map[string]string, body []byte) (*http.Response, []byte, error) {
	t.Helper()
	p, err := c.GetProject(project)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.RawRequest(method, uri, headers, body)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp, data, err
}

// TestGetLogsOldForm is GET …?type=log, which SDKs before v0.1.40 send.
func TestGetLogsOldForm(t *testing.T) {
	t.Parallel()
	for _, v4 := range []bool{false, true} {
		c := client(slstest.Start(t, sls.Options{}), v4)
		setup(t, c)
		start := time.Now().Unix() - 500
		put(t, c, start, 30)
		get := (&sdk.GetLogRequest{From: start, To: start + 100, Query: "code: 460", Lines: 5, Offset: 2, Reverse: true}).ToURLParams()
		resp, data, err := raw(t, c, "GET", "/logstores/"+logstore+"?"+get.Encode(), map[string]string{"x-log-bodyrawsize": "0"}, nil)
		if err != nil {
			t.Fatalf("v4 %v: %v", v4, err)
		}
		var logs []map[string]string
		if err := json.Unmarshal(data, &logs); err != nil {
			t.Fatal(err)
		}
		if len(logs) != 5 || logs[0]["__time__"] != fmt.Sprint(start+25) || resp.Header.Get("x-log-count") != "5" || resp.Header.Get("x-log-progress") != "Complete" {
			t.Errorf("v4 %v: %v, headers %v", v4, logs, resp.Header)
		}
	}
}

func TestPutLogsBodies(t *testing.T) {
	t.Parallel()
	in := slstest.Start(t, sls.Options{})
	c := client(in, false)
	setup(t, c)
	now := time.Now().Unix()
	content := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "reason")
	content = protowire.AppendString(protowire.AppendTag(content, 2, protowire.BytesType), "deflated")
	log := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(now))
	log = protowire.AppendBytes(protowire.AppendTag(log, 2, protowire.BytesType), content)
	group := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), log)
	var deflated bytes.Buffer
	z := zlib.NewWriter(&deflated)
	if _, err := z.Write(group); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, kind, size string
		body             []byte
		code             string // "" for success
	}{
		{"deflate", "deflate", fmt.Sprint(len(group)), deflated.Bytes(), ""},
		{"wrong_raw_size", "deflate", fmt.Sprint(len(group) - 1), deflated.Bytes(), "InvalidBodyRawSize"},
		{"zero_raw_size", "lz4", "0", []byte{0}, "InvalidBodyRawSize"},
		{"not_lz4", "lz4", "100", []byte("\xff\xff\xff"), "PostBodyUncompressError"},
		{"unknown_compression", "gzip", "4", []byte("body"), "InvalidCompressType"},
		{"not_protobuf", "", "4", []byte("\xff\xff\xff\xff"), "PostBodyInvalid"},
		{"too_large", "lz4", fmt.Sprint(6 << 20), []byte{0}, "PostBodyTooLarge"},
	} {
		h := map[string]string{"x-log-bodyrawsize": tc.size, "Content-Type": "application/x-protobuf"}
		if tc.kind != "" {
			h["x-log-compresstype"] = tc.kind
		}
		_, _, err := raw(t, c, "POST", "/logstores/"+logstore, h, tc.body)
		if tc.code == "" && err != nil || tc.code != "" && (err == nil || !strings.Contains(err.Error(), tc.code)) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.code)
		}
	}
	r, err := c.GetLogs(project, logstore, "", now-1, now+1, "deflated", 10, 0, false)
	if err != nil || r.Count != 1 {
		t.Errorf("GetLogs = %+v, %v", r, err)
	}
}

func TestContentMD5(t *testing.T) {
	t.Parallel()
	in := slstest.Start(t, sls.Options{})
	u := &url.URL{Scheme: "http", Host: project + ".cn-hangzhou.log.aliyuncs.com", Path: "/logstores/" + logstore}
	req, err := http.NewRequest("POST", u.String(), strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-MD5", strings.Repeat("0", 32))
	resp, err := in.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 400 || !strings.Contains(string(body), "PostBodyInvalid") {
		t.Errorf("wrong Content-MD5: %s %s, %v", resp.Status, body, err)
	}
}
