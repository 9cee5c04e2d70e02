package tablestore_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/common"
	ots "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"relink/localstack/tablestore"
	"relink/localstack/tablestore/tablestoretest"
)

func TestAuthentication(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	clk := newClock()
	endpoint := tablestoretest.Start(t, tablestore.Options{
		AccessKeyID: "key", AccessKeySecret: "the-secret", Instances: []string{"relink"}, Clock: clk.Now,
		Logger: slog.New(slog.NewTextHandler(&syncWriter{w: &log}, nil)),
	})
	list := func(id, secret, instance string) error {
		_, err := ots.NewClient(endpoint, instance, id, secret).ListTable()
		return err
	}
	if err := list("key", "the-secret", "relink"); err != nil {
		t.Errorf("right key: %v", err)
	}
	if _, err := ots.NewClientWithConfig(endpoint, "relink", "key", "the-secret", "token", nil).ListTable(); err != nil {
		t.Errorf("with STS token: %v", err)
	}
	v4 := func(secret string) error {
		credentials := common.CreateByCredentials(&common.DefaultCredentials{AccessKeyID: "key", AccessKeySecret: secret}, "cn-hangzhou")
		_, err := ots.NewClientWithCredentialsProvider(endpoint, "relink", credentials, nil).ListTable()
		return err
	}
	if err := v4("the-secret"); err != nil {
		t.Errorf("signature V4: %v", err)
	}
	for name, err := range map[string]error{
		"wrong secret":     list("key", "another", "relink"),
		"wrong V4 secret":  v4("another"),
		"unknown key":      list("nobody", "the-secret", "relink"),
		"unknown instance": list("key", "the-secret", "other"),
	} {
		t.Logf("%s: %v", name, err)
		wantCode(t, err, "OTSAuthFailed")
	}
	if !strings.Contains(log.String(), "string_to_sign") || strings.Contains(log.String(), "the-secret") {
		t.Errorf("log of refusals:\n%s", log.String())
	}
	clk.add(16 * time.Minute)
	wantCode(t, list("key", "the-secret", "relink"), "OTSAuthFailed")
	clk.add(-32 * time.Minute)
	wantCode(t, list("key", "the-secret", "relink"), "OTSAuthFailed")
	clk.add(2 * time.Minute)
	if err := list("key", "the-secret", "relink"); err != nil {
		t.Errorf("14 minutes off: %v", err)
	}
}

// raw sends body signed by the SDK's code, after edit.
func raw(t *testing.T, endpoint, op string, body []byte, edit func(*http.Request)) (int, *otsprotocol.Error, http.Header) {
	t.Helper()
	r, err := http.NewRequest("POST", endpoint+"/"+op, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum(body)
	for name, value := range map[string]string{
		"x-ots-date": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "x-ots-apiversion": "2015-12-31",
		"x-ots-accesskeyid": tablestore.DefaultAccessKeyID, "x-ots-instancename": "relink",
		"x-ots-contentmd5": base64.StdEncoding.EncodeToString(sum[:]),
	} {
		r.Header.Set(name, value)
	}
	key := &common.DefaultCredentials{AccessKeyID: tablestore.DefaultAccessKeyID, AccessKeySecret: tablestore.DefaultAccessKeySecret}
	sign, err := ots.GetSignature("/"+op, "POST", key, r.Header)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("x-ots-signature", sign)
	edit(r)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	e := &otsprotocol.Error{}
	if resp.StatusCode != 200 {
		if err := proto.Unmarshal(answer, protoadapt.MessageV2Of(e)); err != nil {
			t.Fatalf("error body %q: %v", answer, err)
		}
	}
	return resp.StatusCode, e, resp.Header
}

func TestProtocolErrors(t *testing.T) {
	t.Parallel()
	endpoint := tablestoretest.Start(t, tablestore.Options{})
	nothing := func(*http.Request) {}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			if value == "" {
				r.Header.Del(name)
			} else {
				r.Header.Set(name, value)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		op     string
		body   string
		edit   func(*http.Request)
		status int
		code   string
		text   string
	}{
		{"fine", "ListTable", "", nothing, 200, "", ""},
		{"unknown_operation", "HelloWorld", "", nothing, 400, "OTSUnsupportOperation", "Unsupported operation: 'HelloWorld'."},
		{"not_emulated", "SQLQuery", "", nothing, 400, "OTSUnsupportOperation", "Unsupported operation: SQLQuery is not emulated."},
		{"method", "ListTable", "", func(r *http.Request) { r.Method = "PUT" }, 405, "OTSMethodNotAllowed", "Only POST method for requests is supported."},
		{"no_date", "ListTable", "", header("x-ots-date", ""), 400, "OTSMissingHeader", "Missing header: 'x-ots-date'."},
		{"no_signature", "ListTable", "", header("x-ots-signature", ""), 400, "OTSMissingHeader", "Missing header: 'x-ots-signature'."},
		{"bad_date", "ListTable", "", header("x-ots-date", "blahblah"), 400, "OTSParameterInvalid", "Invalid date format: blahblah."},
		{"bad_signature", "ListTable", "", header("x-ots-signature", "blahblah"), 403, "OTSAuthFailed", "Signature mismatch."},
		{"added_header", "ListTable", "", header("x-ots-request-tag", "x"), 403, "OTSAuthFailed", "Signature mismatch."},
		{"other_body", "ListTable", "", func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("abc")), 3 },
			403, "OTSAuthFailed", "Mismatch between MD5 value of request body and x-ots-contentmd5 in header."},
		{"chunked", "ListTable", "", func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("")), -1 }, 200, "", ""},
		{"bad_protobuf", "DescribeTable", "\xff\xff", nothing, 400, "OTSParameterInvalid", "Failed to parse the ProtoBuf message."},
		{"bad_protobuf_put", "PutRow", "\x0a\x05ab", nothing, 400, "OTSParameterInvalid", "Failed to parse the ProtoBuf message."},
		{"bad_protobuf_batch", "BatchWriteRow", "\x0a\x05ab", nothing, 400, "OTSParameterInvalid", "Failed to parse the ProtoBuf message."},
		{"transaction", "BatchWriteRow", "\x12\x02id", nothing, 400, "OTSUnsupportOperation", "Unsupported operation: a local transaction is not emulated."},
	} {
		status, e, h := raw(t, endpoint, tt.op, []byte(tt.body), tt.edit)
		if status != tt.status || e.GetCode() != tt.code || e.GetMessage() != tt.text {
			t.Errorf("%s: got %d %s %q, want %d %s %q", tt.name, status, e.GetCode(), e.GetMessage(), tt.status, tt.code, tt.text)
		}
		if h.Get("x-ots-requestid") == "" || !strings.HasPrefix(h.Get("Authorization"), "OTS "+tablestore.DefaultAccessKeyID+":") {
			t.Errorf("%s: response headers %v", tt.name, h)
		}
	}
}

func TestPlainBufferErrors(t *testing.T) {
	t.Parallel()
	endpoint := tablestoretest.Start(t, tablestore.Options{})
	c := client(endpoint)
	create(t, c, tableSpec{name: "t", key: "a:s"})
	good := putChange("t", pk("a", "k"), ignore, "v", int64(1), "w", "x").Serialize()
	send := func(op string, row []byte) (int, *otsprotocol.Error) {
		body, err := proto.Marshal(protoadapt.MessageV2Of(&otsprotocol.PutRowRequest{
			TableName: proto.String("t"), Row: row,
			Condition: &otsprotocol.Condition{RowExistence: otsprotocol.RowExistenceExpectation_IGNORE.Enum()},
		}))
		if err != nil {
			t.Fatal(err)
		}
		status, e, _ := raw(t, endpoint, op, body, func(*http.Request) {})
		return status, e
	}
	if status, e := send("PutRow", good); status != 200 {
		t.Fatalf("intact row: %d %v", status, e)
	}
	// One damaged byte anywhere is found by a checksum, a tag or a length, except that the row may become another
	// valid one of the wrong schema.
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x41
		status, e := send("PutRow", bad)
		if status != 400 || (e.GetCode() != "OTSParameterInvalid" && e.GetCode() != "OTSInvalidPK") {
			t.Errorf("byte %d damaged: %d %s %q", i, status, e.GetCode(), e.GetMessage())
		}
	}
	for i := range good {
		if status, _ := send("PutRow", good[:i]); status != 400 {
			t.Errorf("cut to %d bytes: status %d", i, status)
		}
	}
	if status, e := send("PutRow", binary.LittleEndian.AppendUint32(bytes.Clone(good), 0)); status != 400 {
		t.Errorf("trailing bytes: %d %v", status, e)
	}
	if status, e := send("DeleteRow", pk("a", "k").Build(false)); status != 400 {
		t.Errorf("delete without marker: %d %v", status, e)
	}
	if status, e := send("PutRow", pk("a", "k").Build(true)); status != 400 {
		t.Errorf("put with delete marker: %d %v", status, e)
	}
	wantRow(t, c, "t", pk("a", "k"), "v=1 w=x")
}

// A syncWriter serialises a log.
type syncWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *syncWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
