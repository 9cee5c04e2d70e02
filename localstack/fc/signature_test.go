package fc_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"testing"
	"time"

	sdk "github.com/alibabacloud-go/fc-20230330/v4/client"
	"github.com/alibabacloud-go/tea/dara"

	"relink/localstack/fc"
	"relink/localstack/serverless"
)

// signed builds a request as the SDK does; change is applied before it is signed, spoil after.
func (c *cloud) signed(body string, change, spoil func(*http.Request)) *http.Request {
	r, err := http.NewRequest("POST", "http://"+c.addr+"/2023-03-30/functions/f/invocations?qualifier=LATEST", strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	r.Header.Set("Content-Type", "application/octet-stream")
	r.Header.Set("x-acs-version", "2023-03-30")
	r.Header.Set("x-acs-date", time.Now().UTC().Format("2006-01-02T15:04:05Z"))
	r.Header.Set("x-acs-signature-nonce", fmt.Sprint(time.Now().UnixNano()))
	r.Header.Set("x-acs-content-sha256", hex.EncodeToString(sum[:]))
	key := keyID
	if change != nil {
		change(r)
	}
	if v := r.Header.Get("test-key"); v != "" {
		key = v
	}
	headers := map[string]string{"host": c.addr}
	for k, v := range r.Header {
		if k := strings.ToLower(k); strings.HasPrefix(k, "x-acs-") || k == "content-type" {
			headers[k] = v[0]
		}
	}
	var names []string
	for k := range headers {
		names = append(names, k)
	}
	sort.Strings(names)
	canonical := "POST\n" + r.URL.Path + "\n" + r.URL.RawQuery + "\n"
	for _, k := range names {
		canonical += k + ":" + headers[k] + "\n"
	}
	canonical += "\n" + strings.Join(names, ";") + "\n" + r.Header.Get("x-acs-content-sha256")
	hash := sha256.Sum256([]byte(canonical))
	mac := hmac.New(sha256.New, []byte(keySecret))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hex.EncodeToString(hash[:])))
	r.Header.Set("Authorization", "ACS3-HMAC-SHA256 Credential="+key+",SignedHeaders="+strings.Join(names, ";")+",Signature="+hex.EncodeToString(mac.Sum(nil)))
	if spoil != nil {
		spoil(r)
	}
	return r
}

func (c *cloud) send(r *http.Request) (status int, code string, body []byte) {
	c.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		c.t.Fatal(err)
	}
	var e struct{ RequestId, Code, Message string }
	if resp.StatusCode >= 400 {
		if err := json.Unmarshal(body, &e); err != nil || e.RequestId == "" || e.Message == "" {
			c.t.Errorf("error body %s: %v", body, err)
		}
	}
	return resp.StatusCode, e.Code, body
}

func TestSignature(t *testing.T) {
	t.Parallel()
	c := start(t, fc.Options{Functions: []fc.Function{custom("f")}})
	at := func(d time.Duration) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("x-acs-date", time.Now().Add(d).UTC().Format("2006-01-02T15:04:05Z"))
		}
	}
	for _, tc := range []struct {
		name          string
		change, spoil func(*http.Request)
		status        int
		code          string
	}{
		{"good", nil, nil, 200, ""},
		{"fourteen_minutes", at(-14 * time.Minute), nil, 200, ""},
		{"too_old", at(-16 * time.Minute), nil, 400, "InvalidTimeStamp.Expired"},
		{"too_new", at(16 * time.Minute), nil, 400, "InvalidTimeStamp.Expired"},
		{"unsigned", nil, func(r *http.Request) { r.Header.Del("Authorization") }, 400, "MissingRequiredHeader"},
		{"other_scheme", nil, func(r *http.Request) { r.Header.Set("Authorization", "FC a:b") }, 400, "InvalidArgument"},
		{"foreign_key", func(r *http.Request) { r.Header.Set("test-key", "other") }, nil, 403, "InvalidAccessKeyID"},
		{"changed_body", nil, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("Body")) }, 403, "SignatureNotMatch"},
		{"changed_query", nil, func(r *http.Request) { r.URL.RawQuery = "" }, 403, "SignatureNotMatch"},
		{"changed_header", nil, func(r *http.Request) { r.Header.Set("x-acs-version", "1") }, 403, "SignatureNotMatch"},
		{"unsigned_header", nil, func(r *http.Request) { r.Header.Set("x-acs-action", "InvokeFunction") }, 400, "InvalidArgument"},
		{"no_nonce", func(r *http.Request) { r.Header.Del("x-acs-signature-nonce") }, nil, 400, "MissingRequiredHeader"},
		{"token", func(r *http.Request) { r.Header.Set("x-acs-security-token", "t") }, nil, 403, "InvalidSecurityToken"},
		{"flipped_bit", nil, func(r *http.Request) {
			a := r.Header.Get("Authorization")
			r.Header.Set("Authorization", a[:len(a)-1]+string("0123456789abcdef"[(strings.IndexByte("0123456789abcdef", a[len(a)-1])+1)%16]))
		}, 403, "SignatureNotMatch"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, code, body := c.send(c.signed("body", tc.change, tc.spoil))
			if status != tc.status || code != tc.code {
				t.Errorf("got %d %s (%s), want %d %s", status, code, body, tc.status, tc.code)
			}
		})
	}
	t.Run("replay", func(t *testing.T) {
		first := c.signed("body", nil, nil)
		again := first.Clone(t.Context())
		again.Body = io.NopCloser(bytes.NewReader([]byte("body")))
		if status, _, body := c.send(first); status != 200 {
			t.Fatalf("first: %d %s", status, body)
		}
		if status, code, _ := c.send(again); status != 400 || code != "SignatureNonceUsed" {
			t.Errorf("replay: %d %s", status, code)
		}
	})
	t.Run("sdk_wrong_secret", func(t *testing.T) {
		r, err := invoke(client(t, c.addr, "wrong"), "f", "x")
		if err != nil || r.status != 403 || r.code != "SignatureNotMatch" {
			t.Errorf("got %+v, %v", r, err)
		}
	})
	t.Run("unknown_operation", func(t *testing.T) {
		_, err := c.client.ListLayers(&sdk.ListLayersRequest{})
		if err == nil || !strings.Contains(err.Error(), "PathNotSupported") {
			t.Errorf("got %v", err)
		}
	})
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	c := start(t, fc.Options{Functions: []fc.Function{custom("a", func(f *fc.Function) {
		f.ReservedConcurrency = 7
		f.Triggers = []serverless.Trigger{{Name: "web", Type: "http", HTTP: &serverless.HTTPTrigger{AuthType: "anonymous", Methods: []string{"GET"}}}}
	}), go1("b")}})
	got, err := c.client.GetFunction(dara.String("a"), &sdk.GetFunctionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	f := got.Body
	if *f.FunctionName != "a" || *f.Runtime != "custom.debian12" || *f.MemorySize != 512 || *f.Timeout != 5 || *f.InstanceConcurrency != 10 || *f.State != "Active" ||
		*f.FunctionArn != "acs:fc:cn-hangzhou:1000000000000000:functions/a" || *f.Cpu != 0.5 {
		t.Errorf("got %s", f)
	}
	if _, err := c.client.GetFunction(dara.String("nope"), &sdk.GetFunctionRequest{}); err == nil || !strings.Contains(err.Error(), "FunctionNotFound") {
		t.Errorf("unknown: %v", err)
	}
	page, err := c.client.ListFunctions(&sdk.ListFunctionsRequest{Limit: dara.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Body.Functions) != 1 || *page.Body.NextToken == "" {
		t.Fatalf("first page %s", page.Body)
	}
	page, err = c.client.ListFunctions(&sdk.ListFunctionsRequest{Limit: dara.Int32(1), NextToken: page.Body.NextToken})
	if err != nil || len(page.Body.Functions) != 1 || *page.Body.Functions[0].FunctionName != "b" || page.Body.NextToken != nil {
		t.Errorf("second page %v, %v", page, err)
	}
	concurrency, err := c.client.GetConcurrencyConfig(dara.String("a"))
	if err != nil || *concurrency.Body.ReservedConcurrency != 7 {
		t.Errorf("concurrency %v, %v", concurrency, err)
	}
	trigger, err := c.client.GetTrigger(dara.String("a"), dara.String("web"))
	if err != nil || *trigger.Body.TriggerConfig != `{"authType":"anonymous","disableURLInternet":false,"methods":["GET"]}` {
		t.Errorf("trigger %v, %v", trigger, err)
	}
}
