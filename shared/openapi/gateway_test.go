package openapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"relink/shared/iot"
)

// newTestGateway serves the action of ACS3-a and V1-b with one handler.
func newTestGateway(t *testing.T, handle Handler) (*Gateway, *[]Call) {
	var seen []Call
	return &Gateway{
		Verifier: newTestVerifier(t, stamp),
		Actions:  NewTable(&Action{Name: "BatchGetDeviceState", Required: []string{"ProductKey"}, Codes: DeviceCodes, Handle: handle}),
		Now:      func() time.Time { return stamp },
		Observe:  func(_ context.Context, c *Call) { seen = append(seen, *c) },
	}, &seen
}

func serve(g *Gateway, r *http.Request) (int, string, http.Header) {
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Result().Body)
	return w.Code, string(body), w.Header()
}

func TestGatewayAnswers(t *testing.T) {
	t.Parallel()
	type data struct {
		Name  string
		Empty []string
	}
	for _, test := range []struct {
		name   string
		handle Handler
		status int
		body   string // without {"RequestId":"…"
		code   string
	}{
		{"success", func(context.Context, *Call) (any, error) { return data{"<a&b>", []string{}}, nil }, 200, `,"Success":true,"Name":"<a&b>","Empty":[]}`, CodeOK},
		{"nothing_to_say", func(context.Context, *Call) (any, error) { return nil, nil }, 200, `,"Success":true}`, CodeOK},
		{"empty_object", func(context.Context, *Call) (any, error) { return struct{}{}, nil }, 200, `,"Success":true}`, CodeOK},
		{"kind", func(context.Context, *Call) (any, error) {
			return nil, iot.Errorf(iot.DeviceNotFound, "no such device")
		}, 200,
			`,"Success":false,"Code":"iot.device.NotExistedDevice","ErrorMessage":"no such device"}`, CodeNoDevice},
		{"unclassified_is_not_shown", func(context.Context, *Call) (any, error) { return nil, errors.New("secret text") }, 200,
			`,"Success":false,"Code":"iot.system.SystemException","ErrorMessage":"internal"}`, CodeSystem},
		{"cause_is_not_shown", func(context.Context, *Call) (any, error) {
			return nil, iot.Wrap(iot.Unavailable, errors.New("secret text"), "try again")
		}, 503, `,"HostId":"iot.cn-shanghai.aliyuncs.com","Code":"ServiceUnavailable","Message":"try again","Recommend":""}`, "ServiceUnavailable"},
		{"refusal_with_data", func(context.Context, *Call) (any, error) { return nil, &Refusal{"c", "m", data{"x", nil}} }, 200,
			`,"Success":false,"Code":"c","ErrorMessage":"m","Name":"x","Empty":null}`, "c"},
		{"invalid_parameter", func(_ context.Context, c *Call) (any, error) {
			_, err := c.Params.Int("ProductKey", 0)
			return nil, err
		}, 400, `,"HostId":"iot.cn-shanghai.aliyuncs.com","Code":"InvalidProductKey","Message":"The specified value of ProductKey is not valid.","Recommend":""}`, "InvalidProductKey"},
		{"panic", func(context.Context, *Call) (any, error) { panic("secret text") }, 200,
			`,"Success":false,"Code":"iot.system.SystemException","ErrorMessage":"internal"}`, CodeSystem},
		{"answer_that_does_not_encode", func(context.Context, *Call) (any, error) { return 1, nil }, 500,
			`,"HostId":"iot.cn-shanghai.aliyuncs.com","Code":"InternalError","Message":"internal","Recommend":""}`, "InternalError"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g, seen := newTestGateway(t, test.handle)
			status, body, header := serve(g, acs3a())
			id := header.Get("X-Acs-Request-Id")
			if want := `{"RequestId":"` + id + `"` + test.body; status != test.status || body != want {
				t.Errorf("%d %s\nwant %d %s", status, body, test.status, want)
			}
			if len(*seen) != 1 || (*seen)[0].Code != test.code || (*seen)[0].Status != status || (*seen)[0].RequestID != id || ((*seen)[0].Err != nil) != (test.code != CodeOK) {
				t.Errorf("observed %+v", *seen)
			}
		})
	}
}

func TestGatewayRefuses(t *testing.T) {
	t.Parallel()
	fine := func(context.Context, *Call) (any, error) { return nil, nil }
	resign := func(query string) *http.Request {
		p := params(t, query)
		return formRequest("GET", query+"&Signature="+url.QueryEscape(v1Sign(testSecret, v1StringToSign("GET", p))), "")
	}
	for _, test := range []struct {
		name   string
		r      *http.Request
		status int
		code   string
	}{
		{"method", httptest.NewRequest("PUT", "/", nil), 405, "UnsupportedHTTPMethod"},
		{"path", httptest.NewRequest("GET", "/x", nil), 404, "InvalidAction.NotFound"},
		{"encoding", httptest.NewRequest("GET", "/?a=%25&b=%zz", nil), 400, "InvalidParameter"},
		{"body_type", httptest.NewRequest("POST", "/", strings.NewReader("{}")), 400, "InvalidParameter"},
		{"body_size", formRequest("POST", "", strings.Repeat("x", MaxBody+1)), 413, "RequestEntityTooLarge"},
		{"unsigned", httptest.NewRequest("GET", "/?Action=Pub", nil), 400, "MissingAccessKeyId"},
		{"no_action", resign(strings.Replace(v1bQuery, "Action=", "Inaction=", 1)), 400, "MissingAction"},
		{"other_action", resign(strings.Replace(v1bQuery, "BatchGetDeviceState", "BatchNothing", 1)), 404, "InvalidAction.NotFound"},
		{"other_version", resign(strings.Replace(v1bQuery, "2018-01-20", "2017-04-20", 1)), 400, "InvalidVersion"},
		{"other_format", resign(strings.Replace(v1bQuery, "JSON", "YAML", 1)), 400, "InvalidFormat"},
		{"missing_parameter", resign(strings.Replace(v1bQuery, "ProductKey", "X", 1)), 400, "MissingProductKey"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.name == "body_type" {
				test.r.Header.Set("Content-Type", "application/json")
			}
			g, seen := newTestGateway(t, fine)
			status, body, _ := serve(g, test.r)
			if status != test.status || !strings.Contains(body, test.code) {
				t.Errorf("%d %s; want %d %s", status, body, test.status, test.code)
			}
			if len(*seen) != 1 || (*seen)[0].Code != test.code {
				t.Errorf("observed %+v", *seen)
			}
		})
	}
}

func TestGatewayXML(t *testing.T) {
	t.Parallel()
	g, _ := newTestGateway(t, func(context.Context, *Call) (any, error) {
		return json.RawMessage(`{"Data":{"DeviceInfo":[{"Name":"a<b"},{"Name":"c"}],"None":[],"Null":null,"N":1.50,"B":true}}`), nil
	})
	query := strings.Replace(v1bQuery, "&Format=JSON", "", 1) // without Format the old signature means XML
	query += "&Signature=" + url.QueryEscape(v1Sign(testSecret, v1StringToSign("GET", params(t, query))))
	status, body, header := serve(g, formRequest("GET", query, ""))
	want := `<?xml version="1.0" encoding="UTF-8"?><BatchGetDeviceStateResponse><RequestId>` + header.Get("X-Acs-Request-Id") +
		`</RequestId><Success>true</Success><Data><DeviceInfo><Name>a&lt;b</Name></DeviceInfo><DeviceInfo><Name>c</Name></DeviceInfo><N>1.50</N><B>true</B></Data></BatchGetDeviceStateResponse>`
	if status != 200 || body != want || header.Get("Content-Type") != "text/xml;charset=utf-8" {
		t.Errorf("%d %v %s\nwant %s", status, header, body, want)
	}
	status, body, _ = serve(g, formRequest("GET", "Format=xml", ""))
	if status != 400 || !strings.Contains(body, "<Error><RequestId>") || !strings.Contains(body, "<Code>MissingAccessKeyId</Code>") {
		t.Errorf("%d %s", status, body)
	}
}

func TestEveryKindHasACode(t *testing.T) {
	t.Parallel()
	for name, codes := range map[string]*Codes{"product": ProductCodes, "model": ModelCodes, "device": DeviceCodes, "thing": ThingCodes, "message": MessageCodes} {
		for kind := range iot.KindCount {
			code := codes[kind]
			if code == "" {
				t.Errorf("%s: no code for %s", name, kind)
			}
			if !strings.HasPrefix(code, "iot.") && statuses[code] == 0 {
				t.Errorf("%s: %s has the code %s, which is neither the business's nor the gateway's", name, kind, code)
			}
		}
	}
	special := &Action{Codes: DeviceCodes, Special: map[iot.Kind]string{iot.InvalidParams: "iot.x"}}
	if r, ok := special.translate(iot.Errorf(iot.InvalidParams, "d")).(*Refusal); !ok || r.Code != "iot.x" || r.Message != "d" {
		t.Error("an action's own code does not win")
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	var k Keys
	if err := k.EnvDecode("a:1, b:2:3,"); err != nil || k.Len() != 2 {
		t.Fatalf("%v, %v", k, err)
	}
	if s, ok := k.secret("b"); !ok || s.Reveal() != "2:3" {
		t.Error("the secret of b is not what follows the first colon")
	}
	if s := k.String() + k.GoString() + k.LogValue().String(); strings.Contains(s, "2:3") {
		t.Errorf("keys print their secrets: %s", s)
	}
	for _, bad := range []string{"a", "a:", ":1", "a:1,a:2"} {
		if _, err := ParseKeys(bad); err == nil {
			t.Errorf("ParseKeys(%q) accepts it", bad)
		}
	}
}

func TestRemoteAddr(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "[::1]:99"
	if got := remoteAddr(r); got != "::1" {
		t.Errorf("of the connection: %q", got)
	}
	r.Header.Set("X-Forwarded-For", "1.1.1.1, 203.0.113.7")
	if got := remoteAddr(r); got != "203.0.113.7" {
		t.Errorf("of the header: %q", got)
	}
	r.Header.Set("X-Forwarded-For", "1.1.1.1,\x00evil")
	if got := remoteAddr(r); got != "::1" {
		t.Errorf("of a header without an address: %q", got)
	}
}
