package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	testID     = "testid"
	testSecret = "testsecret"
)

// stamp is the timestamp of the vectors.
var stamp = time.Date(2024, 5, 20, 12, 0, 0, 0, time.UTC)

func newTestVerifier(t *testing.T, now time.Time) *Verifier {
	t.Helper()
	keys, err := ParseKeys(testID + ":" + testSecret)
	if err != nil {
		t.Fatal(err)
	}
	return NewVerifier(keys, func() time.Time { return now })
}

// The vectors: V1-a is the vendor's own example, the others were made by unmodified SDKs.
const (
	v1aQuery = "Format=XML&Version=2017-04-20&AccessKeyId=testid&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&SignatureNonce=0715a395-aedf-4a41-bab7-746b43d38d88&Timestamp=2017-10-02T09%3A39%3A41Z&RegionId=cn-shanghai&ServiceCode=iot&Action=Pub&ProductKey=12345abcdeZ&TopicFullName=%2FproductKey%2Ftestdevice%2Fget&MessageContent=aGVsbG93b3JsZA%3D&Qos=0"
	v1bQuery = "AccessKeyId=testid&Action=BatchGetDeviceState&DeviceName.1=dev%201%2A~&DeviceName.2=%E8%AE%BE%E5%A4%872&Format=JSON&ProductKey=a1BwAGVabcd&RegionId=cn-shanghai&SignatureMethod=HMAC-SHA1&SignatureNonce=9b7a44b0-3be1-11e5-8c73-08002700c460&SignatureVersion=1.0&Timestamp=2024-05-20T12%3A00%3A00Z&Version=2018-01-20"
	v1cQuery = "AccessKeyId=testid&Action=Pub&Format=JSON&ProductKey=a1BwAGVabcd&Qos=0&RegionId=cn-shanghai&SignatureMethod=HMAC-SHA1&SignatureNonce=9b7a44b0-3be1-11e5-8c73-08002700c460&SignatureVersion=1.0&Timestamp=2024-05-20T12%3A00%3A00Z&TopicFullName=%2Fa1BwAGVabcd%2Fdev1%2Fuser%2Fget&Version=2018-01-20"
	v1cForm  = "MessageContent=aGVsbG8gd29ybGQ%3D"

	v1bToSign = "GET&%2F&AccessKeyId%3Dtestid%26Action%3DBatchGetDeviceState%26DeviceName.1%3Ddev%25201%252A~%26DeviceName.2%3D%25E8%25AE%25BE%25E5%25A4%25872%26Format%3DJSON%26ProductKey%3Da1BwAGVabcd%26RegionId%3Dcn-shanghai%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D9b7a44b0-3be1-11e5-8c73-08002700c460%26SignatureVersion%3D1.0%26Timestamp%3D2024-05-20T12%253A00%253A00Z%26Version%3D2018-01-20"
)

func read(t *testing.T, r *http.Request) *Request {
	t.Helper()
	req, err := ReadRequest(r)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func formRequest(method, query, form string) *http.Request {
	r := httptest.NewRequest(method, "http://iot.cn-shanghai.aliyuncs.com/?"+query, strings.NewReader(form))
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func TestSignatureV1(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, method, query, form, signature string
	}{
		{"V1-a", "GET", v1aQuery, "", "Y9eWn4nF8QPh3c4zAFkM/k/u7eA="},
		{"V1-b_get", "GET", v1bQuery, "", "HHwfteGrUYFmkqVWTYFQ0L44fD8="},
		{"V1-b_post", "POST", v1bQuery, "", "/OwiBKIOAMTO8rKL98/OywSLVTw="},
		{"V1-b_post_all_in_form", "POST", "", v1bQuery, "/OwiBKIOAMTO8rKL98/OywSLVTw="},
		{"V1-c_query_and_form", "POST", v1cQuery, v1cForm, "CVQ2GPkjS/VH7HktBMStHV37InQ="},
		{"V1-c_same_parameter_twice", "POST", v1cQuery + "&" + v1cForm, v1cForm, "CVQ2GPkjS/VH7HktBMStHV37InQ="},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			query, form := test.query, test.form
			if query == "" {
				form += "&Signature=" + url.QueryEscape(test.signature)
			} else {
				query += "&Signature=" + url.QueryEscape(test.signature)
			}
			req := read(t, formRequest(test.method, query, form))
			p := req.Params()
			if got := v1Sign(testSecret, v1StringToSign(test.method, p)); got != test.signature {
				t.Errorf("signature %s, want %s; string to sign %s", got, test.signature, v1StringToSign(test.method, p))
			}
			now, err := time.Parse(time.RFC3339, p.String("Timestamp"))
			if err != nil {
				t.Fatal(err)
			}
			c, err := newTestVerifier(t, now.Add(Window)).Verify(req, p)
			if err != nil || !c.Verified || c.KeyID != testID {
				t.Errorf("Verify = %+v, %v", c, err)
			}
		})
	}
	if got := v1StringToSign("GET", read(t, formRequest("GET", v1bQuery, "")).Params()); got != v1bToSign {
		t.Errorf("string to sign of V1-b\n got %s\nwant %s", got, v1bToSign)
	}
}

const acs3aCanonical = `POST
/
DeviceName.1=dev%201&DeviceName.2=dev2&ProductKey=a1BwAGVabcd
host:iot.cn-shanghai.aliyuncs.com
x-acs-action:BatchGetDeviceState
x-acs-content-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
x-acs-date:2024-05-20T12:00:00Z
x-acs-signature-nonce:5f5e54b537fadedf33bf58701fd60a81
x-acs-version:2018-01-20

host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`

const acs3bCanonical = `POST
/
ProductKey=a1BwAGVabcd&Qos=1&TopicFullName=%2Fa1BwAGVabcd%2Fdev1%2Fuser%2Fget
content-type:application/x-www-form-urlencoded
host:iot.cn-shanghai.aliyuncs.com
x-acs-action:Pub
x-acs-content-sha256:6f8fa19ad9d28b5de468addb599cdd298a11d7c16a086fc752636406773ccd2b
x-acs-date:2024-05-20T12:00:00Z
x-acs-signature-nonce:14a8a79c3bb0761e5d7bdde04d2e1071
x-acs-version:2018-01-20

content-type;host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version
6f8fa19ad9d28b5de468addb599cdd298a11d7c16a086fc752636406773ccd2b`

const (
	acs3aSignature = "5f3c1d897523674b578b03651f8ead5a68d99590ae1d2a5b416e1c0e17070b04"
	acs3bSignature = "7b0aa96b6498c391f927c9a039bd2ecbb677025653089c8a98509d8c126630ac"
	acs3aSigned    = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
)

// acs3a is the request of vector ACS3-a.
func acs3a() *http.Request {
	return acs3(formRequest("POST", "ProductKey=a1BwAGVabcd&DeviceName.1=dev+1&DeviceName.2=dev2", ""), "BatchGetDeviceState",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "5f5e54b537fadedf33bf58701fd60a81", acs3aSigned, acs3aSignature)
}

func acs3(r *http.Request, action, sum, nonce, signed, signature string) *http.Request {
	r.Header.Set("X-Acs-Action", action)
	r.Header.Set("X-Acs-Version", "2018-01-20")
	r.Header.Set("X-Acs-Date", "2024-05-20T12:00:00Z")
	r.Header.Set("X-Acs-Content-Sha256", sum)
	r.Header.Set("X-Acs-Signature-Nonce", nonce)
	r.Header.Set("Authorization", "ACS3-HMAC-SHA256 Credential=testid,SignedHeaders="+signed+",Signature="+signature)
	return r
}

func TestSignatureACS3(t *testing.T) {
	t.Parallel()
	b := acs3(formRequest("POST", "TopicFullName=%2Fa1BwAGVabcd%2Fdev1%2Fuser%2Fget&Qos=1&ProductKey=a1BwAGVabcd", v1cForm), "Pub",
		"6f8fa19ad9d28b5de468addb599cdd298a11d7c16a086fc752636406773ccd2b", "14a8a79c3bb0761e5d7bdde04d2e1071",
		"content-type;"+acs3aSigned, acs3bSignature)
	for _, test := range []struct {
		name             string
		r                *http.Request
		canonical, hash  string
		signed, expected string
	}{
		{"ACS3-a", acs3a(), acs3aCanonical, "6667c95bd752faec82be39f47c76d15df59ac6d8f950e6102c0f4f1c6f22c86c", acs3aSigned, acs3aSignature},
		{"ACS3-b", b, acs3bCanonical, "72447741c67ba189d4fdb6fdfc15391973a8a8d164dcf6cb19010cbeecb8d8a8", "content-type;" + acs3aSigned, acs3bSignature},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			req := read(t, test.r)
			canonical := acs3Canonical(req, strings.Split(test.signed, ";"))
			if canonical != test.canonical {
				t.Errorf("canonical request\n%s\nwant\n%s", canonical, test.canonical)
			}
			if sum := sha256.Sum256([]byte(canonical)); hex.EncodeToString(sum[:]) != test.hash {
				t.Errorf("hash %x, want %s", sum, test.hash)
			}
			if got := acs3Sign(testSecret, acs3StringToSign(canonical)); got != test.expected {
				t.Errorf("signature %s, want %s", got, test.expected)
			}
			c, err := newTestVerifier(t, stamp).Verify(req, req.Params())
			if err != nil || !c.Verified || c.KeyID != testID {
				t.Errorf("Verify = %+v, %v", c, err)
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	v1 := func(query string) *http.Request {
		return formRequest("GET", query+"&Signature="+url.QueryEscape("HHwfteGrUYFmkqVWTYFQ0L44fD8="), "")
	}
	edit := func(change func(r *http.Request)) *http.Request {
		r := acs3a()
		change(r)
		return r
	}
	header := func(name, value string) *http.Request {
		return edit(func(r *http.Request) { r.Header.Set(name, value) })
	}
	credentials := func(s string) *http.Request { return header("Authorization", "ACS3-HMAC-SHA256 "+s) }
	for _, test := range []struct {
		name   string
		r      *http.Request
		offset time.Duration
		code   string
	}{
		{"nothing", formRequest("GET", "Action=Pub", ""), 0, "MissingAccessKeyId"},
		{"key_without_signature", formRequest("GET", "AccessKeyId=testid", ""), 0, "MissingSignature"},
		{"bearer_token", formRequest("GET", "BearerToken=x", ""), 0, "MissingAccessKeyId"},
		{"acs3_late", acs3a(), Window + time.Second, "InvalidTimeStamp.Expired"},
		{"acs3_early", acs3a(), -Window - time.Second, "InvalidTimeStamp.Expired"},
		{"acs3_other_parameter", edit(func(r *http.Request) { r.URL.RawQuery += "&Evil=1" }), 0, "SignatureDoesNotMatch"},
		{"acs3_repeated_parameter", edit(func(r *http.Request) { r.URL.RawQuery += "&ProductKey=other" }), 0, "SignatureDoesNotMatch"},
		{"acs3_other_host", edit(func(r *http.Request) { r.Host = "elsewhere" }), 0, "SignatureDoesNotMatch"},
		{"acs3_other_method", edit(func(r *http.Request) { r.Method = "GET" }), 0, "SignatureDoesNotMatch"},
		{"acs3_other_action", header("X-Acs-Action", "DeleteDevice"), 0, "SignatureDoesNotMatch"},
		{"acs3_body_hash", header("X-Acs-Content-Sha256", strings.Repeat("0", 64)), 0, "SignatureDoesNotMatch"},
		{"acs3_unsigned_nonce", credentials("Credential=testid,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-version,Signature=00"), 0, "IncompleteSignature"},
		{"acs3_no_signature", credentials("Credential=testid,SignedHeaders=host"), 0, "IncompleteSignature"},
		{"acs3_no_credential", credentials("SignedHeaders=host,Signature=00"), 0, "MissingAccessKeyId"},
		{"acs3_unknown_key", credentials("Credential=nobody,SignedHeaders=" + acs3aSigned + ",Signature=" + acs3aSignature), 0, "InvalidAccessKeyId.NotFound"},
		{"acs3_sm3", header("Authorization", "ACS3-HMAC-SM3 Credential=testid"), 0, "InvalidSignatureMethod"},
		{"acs3_token", header("X-Acs-Security-Token", "t"), 0, "InvalidSecurityToken.MismatchWithAccessKey"},
		{"v1_late", v1(v1bQuery), Window + time.Second, "InvalidTimeStamp.Expired"},
		{"v1_other_value", v1(strings.Replace(v1bQuery, "a1BwAGVabcd", "a1BwAGVabce", 1)), 0, "SignatureDoesNotMatch"},
		{"v1_other_method", v1(strings.Replace(v1bQuery, "HMAC-SHA1", "HMAC-MD5", 1)), 0, "InvalidSignatureMethod"},
		{"v1_bearer", v1(v1bQuery + "&SignatureType=BEARERTOKEN"), 0, "InvalidSignatureMethod"},
		{"v1_other_version", v1(strings.Replace(v1bQuery, "SignatureVersion=1.0", "SignatureVersion=2.0", 1)), 0, "InvalidSignatureVersion"},
		{"v1_no_nonce", v1(strings.Replace(v1bQuery, "SignatureNonce", "X", 1)), 0, "MissingSignatureNonce"},
		{"v1_unknown_key", v1(strings.Replace(v1bQuery, "testid", "nobody", 1)), 0, "InvalidAccessKeyId.NotFound"},
		{"v1_token", v1(v1bQuery + "&SecurityToken=t"), 0, "InvalidSecurityToken.MismatchWithAccessKey"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			req := read(t, test.r)
			c, err := newTestVerifier(t, stamp.Add(test.offset)).Verify(req, req.Params())
			f, ok := errors.AsType[*Failure](err)
			if !ok || f.Code != test.code || c.Verified {
				t.Errorf("Verify = %+v, %v; want %s", c, err, test.code)
			}
		})
	}
}

func TestMismatchTellsStringToSign(t *testing.T) {
	t.Parallel()
	req := read(t, formRequest("GET", v1bQuery+"&Signature=wrong", ""))
	_, err := newTestVerifier(t, stamp).Verify(req, req.Params())
	if f, ok := errors.AsType[*Failure](err); !ok || !strings.HasSuffix(f.Message, "server string to sign is:"+v1bToSign) {
		t.Errorf("error %v does not end in the string to sign", err)
	}
	r := acs3a()
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), acs3aSignature, strings.Repeat("0", 64), 1))
	req = read(t, r)
	_, err = newTestVerifier(t, stamp).Verify(req, req.Params())
	if f, ok := errors.AsType[*Failure](err); !ok || !strings.Contains(f.Message, acs3aCanonical) ||
		!strings.HasSuffix(f.Message, "server string to sign is:ACS3-HMAC-SHA256\n6667c95bd752faec82be39f47c76d15df59ac6d8f950e6102c0f4f1c6f22c86c") {
		t.Errorf("error %v does not tell what was signed", err)
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	v := newTestVerifier(t, stamp)
	for i, want := range []string{"", "SignatureNonceUsed"} {
		req := read(t, acs3a())
		_, err := v.Verify(req, req.Params())
		code := ""
		if f, ok := errors.AsType[*Failure](err); ok {
			code = f.Code
		}
		if code != want {
			t.Errorf("use %d: %v, want %q", i+1, err, want)
		}
	}
}

func TestNonces(t *testing.T) {
	t.Parallel()
	n := newNonces(4) // generations of 2
	at := stamp
	if !n.add("a", at) || n.add("a", at) {
		t.Error("a nonce must be new once")
	}
	// As long as its request is acceptable a nonce is remembered, however often generations change.
	if n.add("a", at.Add(2*Window)) {
		t.Error("a nonce was forgotten within its time")
	}
	if !n.add("b", at.Add(2*Window+time.Second)) || n.add("a", at.Add(2*Window+time.Second)) {
		t.Error("the generation before must still count")
	}
	if !n.add("a", at.Add(24*time.Hour)) {
		t.Error("a nonce must be forgotten some time")
	}
	for i := range 100 {
		n.add(strings.Repeat("x", i+1), at.Add(25*time.Hour))
		if len(n.now)+len(n.old) > 4 {
			t.Fatalf("%d nonces are remembered, limit 4", len(n.now)+len(n.old))
		}
	}
}
