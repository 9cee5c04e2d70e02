package sign

import (
	"strings"
	"testing"

	"relink/shared/iot"
)

// The vectors S1 to S7 of "Test vectors", and the one of the OpenAPI's "Sub-device sign".
func TestSubVectors(t *testing.T) {
	t.Parallel()
	const secret = "fedcba9876543210fedcba9876543210"
	entry := func(clientID, timestamp string) []Field {
		return []Field{{"productKey", "a1SubSubSub"}, {"sign", "x"}, {"deviceName", "sub01"}, {"signMethod", "y"}, {"timestamp", timestamp}, {"clientId", clientID},
			{"cleanSession", "true"}, {"signmethod", "z"}}
	}
	for _, v := range []struct {
		id        string
		method    Method
		secret    iot.Secret
		fields    []Field
		content   string
		withClean bool
		hex       string
	}{
		{"S1", HMACSHA1, secret, entry("a1SubSubSub&sub01", "1700000000000"), "clientIda1SubSubSub&sub01deviceNamesub01productKeya1SubSubSubtimestamp1700000000000", false,
			"0a05dea5ecafbbda9444fa3894e7cef92a4d1f22"},
		{"S2", HMACSHA256, secret, entry("a1SubSubSub.sub01", "1700000000000"), "clientIda1SubSubSub.sub01deviceNamesub01productKeya1SubSubSubtimestamp1700000000000", false,
			"180C464D3CA9466DF8CE57EB97C6FF29807EDBE25CB4950EFDE7432FEA81BC6F"},
		{"S3", HMACSHA1, secret, entry("a1SubSubSub.sub01|_v=sdk-c-3.0.1|", "123456"), "clientIda1SubSubSub.sub01|_v=sdk-c-3.0.1|deviceNamesub01productKeya1SubSubSubtimestamp123456", false,
			"0998257007e259df162286bd117db52850834cad"},
		{"S4", HMACSHA256, secret, entry("a1SubSubSub.sub01|lan=Python,_v=2.2.1,_ss=1|", "1700000000000"),
			"clientIda1SubSubSub.sub01|lan=Python,_v=2.2.1,_ss=1|deviceNamesub01productKeya1SubSubSubtimestamp1700000000000", false,
			"ca6e8f98b454080cdc1a7d26405495ed141b0e6fd4937e4f8d3c4e9006758ca0"},
		{"S5", HMACMD5, secret, entry("123", "123"), "cleanSessiontrueclientId123deviceNamesub01productKeya1SubSubSubtimestamp123", true, "60d3d69e77202dfccf6955784ce7393e"},
		{"S6", HMACMD5, secret, entry("123", "123"), "clientId123deviceNamesub01productKeya1SubSubSubtimestamp123", false, "e328a678b9d9bac39f2d0d6804b1713e"},
		{"API_sha1", HMACSHA1, "testsecret", []Field{{"clientId", "c1"}, {"deviceName", "sub1"}, {"productKey", "a1BwAGVabcd"}, {"timestamp", "1572489088171"}},
			"clientIdc1deviceNamesub1productKeya1BwAGVabcdtimestamp1572489088171", false, "ff12ec29169516d98b2de69a950422c30658eacf"},
		{"API_sha256", HMACSHA256, "testsecret", []Field{{"clientId", "c1"}, {"deviceName", "sub1"}, {"productKey", "a1BwAGVabcd"}, {"timestamp", "1572489088171"}},
			"clientIdc1deviceNamesub1productKeya1BwAGVabcdtimestamp1572489088171", false, "cb7c91a542b1ff3c01f4041640ab0549581b37ccd47356ac5435e82744e7be25"},
	} {
		if got := SubContent(v.fields, v.withClean); got != v.content {
			t.Errorf("%s: content %q, want %q", v.id, got, v.content)
		}
		if got := Sign(v.method, v.secret, v.content); got != strings.ToLower(v.hex) {
			t.Errorf("%s: %s, want %s", v.id, got, v.hex)
		}
		for _, method := range []Method{v.method, Unspecified} {
			if !VerifySub(method, v.secret, v.fields, v.hex) {
				t.Errorf("%s: not verified with %q", v.id, method)
			}
		}
		if VerifySub(v.method, "other", v.fields, v.hex) || VerifySub(v.method, v.secret, v.fields, "") ||
			VerifySub(v.method, v.secret, append([]Field{{"extra", "1"}}, v.fields...), v.hex) {
			t.Errorf("%s: what was not signed so is verified", v.id)
		}
	}
	ref := iot.DeviceRef{ProductKey: "a1SubSubSub", DeviceName: "sub01"}
	if got, want := RegisterContent(ref, "567345"), "deviceNamesub01productKeya1SubSubSubrandom567345"; got != want {
		t.Errorf("S7: content %q, want %q", got, want)
	}
	if s7 := "a124972e81e7f3a8442111afe8b27af78781182ced93f340458994e6ed5cc3ae"; !Verify(HMACSHA256, "SubPs12345678901", RegisterContent(ref, "567345"), s7) {
		t.Error("S7: not verified")
	}
}
