package sign

import (
	"strings"
	"testing"

	"relink/shared/iot"
	"relink/shared/refusal"
)

const secret = iot.Secret("0123456789abcdefghijklmnopqrstuv")

var lamp = iot.DeviceRef{ProductKey: "a1B2c3D4e5F", DeviceName: "lamp-001"}

// The vectors of "Password".
var vectors = []struct {
	name           string
	method         Method
	secret         iot.Secret
	id, user       string
	content, print string
}{
	{"M1", HMACSHA256, secret, "a1B2c3D4e5F.lamp-001|timestamp=2524608000000,_v=sdk-c-3.0.1,securemode=2,signmethod=hmacsha256,lan=C,gw=0,ext=0|", "lamp-001&a1B2c3D4e5F",
		"clientIda1B2c3D4e5F.lamp-001deviceNamelamp-001productKeya1B2c3D4e5Ftimestamp2524608000000", "04A44E0371C8B6BDD7F2CDCF48001242263B6D171539BB09F73CA18A55096A92"},
	{"M2", HMACSHA1, secret, "a1B2c3D4e5F.lamp-001|securemode=2,_v=sdk-c-2.3.0,timestamp=2524608000000,signmethod=hmacsha1,lan=C,gw=0,ext=0|", "lamp-001&a1B2c3D4e5F",
		"clientIda1B2c3D4e5F.lamp-001deviceNamelamp-001productKeya1B2c3D4e5Ftimestamp2524608000000", "D173710C08EA9DEEE9E8B3CE5B71AC4388815C42"},
	{"M3", HMACMD5, secret, "a1B2c3D4e5F.lamp-001|securemode=2,timestamp=2524608000000,signmethod=HmacMD5|", "lamp-001&a1B2c3D4e5F",
		"clientIda1B2c3D4e5F.lamp-001deviceNamelamp-001productKeya1B2c3D4e5Ftimestamp2524608000000", "00724CE3C393135CE2005022302ABB9F"},
	{"M4", HMACSHA1, secret, "a1B2c3D4e5F&lamp-001|securemode=3,signmethod=hmacsha1,timestamp=1700000000000,lan=NodeJS,_v=1.2.8|", "lamp-001&a1B2c3D4e5F",
		"clientIda1B2c3D4e5F&lamp-001deviceNamelamp-001productKeya1B2c3D4e5Ftimestamp1700000000000", "aebd6e6fc2363841751b90f0496cb5c9a01fb03f"},
	{"M5", HMACSHA1, secret, "a1B2c3D4e5F&lamp-001|securemode=2,signmethod=hmacsha1,ext=1,_ss=1,lan=Python,_v=1.2.13,timestamp=1700000000|", "lamp-001&a1B2c3D4e5F",
		"clientIda1B2c3D4e5F&lamp-001deviceNamelamp-001productKeya1B2c3D4e5Ftimestamp1700000000", "1fb1082e017b77c25c6f273bdb98a527e4ce0f9a"},
	{"M6", HMACSHA1, secret, "lamp-001&a1B2c3D4e5F|securemode=2,_v=1.6.6,lan=Android,os=9,signmethod=hmacsha1,ext=1|", "lamp-001&a1B2c3D4e5F",
		"clientIdlamp-001&a1B2c3D4e5FdeviceNamelamp-001productKeya1B2c3D4e5F", "9fcc2dedf4367bee6f528cfc865874ab5ae3c0a2"},
	{"M7", Unspecified, secret, "lamp-001&a1B2c3D4e5F|securemode=2|", "lamp-001&a1B2c3D4e5F",
		"clientIdlamp-001&a1B2c3D4e5FdeviceNamelamp-001productKeya1B2c3D4e5F", "961b4e3a99677d020867828650508cbe"},
	{"M8", HMACSHA256, secret, "|timestamp=2524608000000,_ss=1,_v=sdk-c-4.1.0,securemode=2,signmethod=hmacsha256,ext=3,|", "lamp-001&a1B2c3D4e5F",
		"clientIddeviceNamelamp-001productKeya1B2c3D4e5Ftimestamp2524608000000", "E3004C1DCF0EE1402CDEC17E6D140A631ACDEACCAB1F735C8D93F3F1F78E3AF1"},
	{"M9", HMACSHA1, "secret", "12345|securemode=3,signmethod=hmacsha1,timestamp=789|", "device&pk",
		"clientId12345deviceNamedeviceproductKeypktimestamp789", "FAFD82A3D602B37FB0FA8B7892F24A477F851A14"},
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		id, err := ParseClientID(v.id)
		if err != nil {
			t.Errorf("%s: ParseClientID: %v", v.name, err)
			continue
		}
		ref, err := ParseUsername(v.user)
		if err != nil {
			t.Errorf("%s: ParseUsername: %v", v.name, err)
		}
		if id.SignMethod != v.method {
			t.Errorf("%s: method %v, want %v", v.name, id.SignMethod, v.method)
		}
		if got := Content(id, ref); got != v.content {
			t.Errorf("%s: content %q, want %q", v.name, got, v.content)
		}
		for _, password := range []string{v.print, strings.ToLower(v.print), strings.ToUpper(v.print)} {
			if !Verify(id.SignMethod, v.secret, v.content, password) {
				t.Errorf("%s: %s does not verify", v.name, password)
			}
		}
		if Verify(id.SignMethod, v.secret+"x", v.content, v.print) || Verify(id.SignMethod, v.secret, v.content+"x", v.print) {
			t.Errorf("%s: wrong secret or content verifies", v.name)
		}
		method, err := Resolve(id.SignMethod, v.print)
		if err != nil {
			t.Errorf("%s: Resolve: %v", v.name, err)
		}
		if got := Sign(method, v.secret, v.content); !strings.EqualFold(got, v.print) {
			t.Errorf("%s: Sign = %s, want %s", v.name, got, v.print)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	v := vectors[0]
	for _, password := range []string{"", v.print[:63], v.print + "0", strings.Repeat("g", 64), strings.Repeat("\x10", 64), Sign(HMACMD5, secret, v.content), Sign(HMACSHA1, secret, v.content)} {
		if Verify(HMACSHA256, secret, v.content, password) {
			t.Errorf("%q verifies", password)
		}
		if _, err := Resolve(HMACSHA256, password); refusal.CauseOf(err) != refusal.SignLength {
			t.Errorf("Resolve(%q): %v", password, err)
		}
	}
	if Verify(Unspecified, secret, v.content, "secret") {
		t.Error("the secret itself verifies")
	}
	if Sign(Unspecified, secret, "") != "" || Sign(99, secret, "") != "" {
		t.Error("an unknown method signs")
	}
}

func TestParseClientID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want ClientID
	}{
		{"a1B2c3D4e5F.lamp-001|timestamp=2524608000000,_ss=1,_v=sdk-c-4.1.0,securemode=2,signmethod=hmacsha256,ext=3,|",
			ClientID{ID: "a1B2c3D4e5F.lamp-001", SecureMode: 2, SignMethod: HMACSHA256, Timestamp: "2524608000000", HasTimestamp: true, SubscribeForMe: true, Ext: 3, Version: "sdk-c-4.1.0"}},
		{"a1B2c3D4e5F&lamp-001|securemode=3,signmethod=hmacsha1,timestamp=1700000000000,lan=NodeJS,_v=1.2.8|,ext=1",
			ClientID{ID: "a1B2c3D4e5F&lamp-001", SecureMode: 3, SignMethod: HMACSHA1, Timestamp: "1700000000000", HasTimestamp: true, Ext: 1, Lan: "NodeJS", Version: "1.2.8"}},
		{"x|securemode=2,lan=JS|Broswer ,_v=1.2.8|", ClientID{ID: "x", SecureMode: 2, Lan: "JS|Broswer", Version: "1.2.8"}},
		{"x|lan=JS|Ali|WX,v=7|", ClientID{ID: "x", SecureMode: 3, Lan: "JS|Ali|WX", Version: "7"}},
		{"x|timestamp=|", ClientID{ID: "x", SecureMode: 3, HasTimestamp: true}},
		{"x|signMethod=HMACSHA1,authtype=register,random=8Ygb,instanceId=iot-1,securemode=-2|",
			ClientID{ID: "x", SecureMode: -2, SignMethod: HMACSHA1, AuthType: "register", Random: "8Ygb", HasRandom: true, InstanceID: "iot-1"}},
		{"x|authType=RegNWL|", ClientID{ID: "x", SecureMode: 3, AuthType: "regnwl"}},
		{"x|timestamp=1,timestamp=2|", ClientID{ID: "x", SecureMode: 3, Timestamp: "2", HasTimestamp: true}},
		{"x|signmethod=hmacmd5,signMethod=hmacsha1|", ClientID{ID: "x", SecureMode: 3, SignMethod: HMACMD5}},
		{"|", ClientID{SecureMode: 3}},
		{"13225554098|securemode=3,signmethod=hmacsha256|", ClientID{ID: "13225554098", SecureMode: 3, SignMethod: HMACSHA256}},
	} {
		got, err := ParseClientID(c.in)
		if err != nil {
			t.Errorf("ParseClientID(%q): %v", c.in, err)
		}
		if !equal(got, c.want) {
			t.Errorf("ParseClientID(%q)\n got %+v\nwant %+v", c.in, got, c.want)
		}
	}
	got, err := ParseClientID("x|free,gw=1,sii=a b,c,os=9|")
	want := []Param{{"free", ""}, {"gw", "1"}, {"sii", "a b,c"}, {"os", "9"}}
	if err != nil || len(got.Unknown) != len(want) {
		t.Fatalf("unknown parameters: %+v, %v", got.Unknown, err)
	}
	for i := range want {
		if got.Unknown[i] != want[i] {
			t.Errorf("unknown parameter %d: %+v, want %+v", i, got.Unknown[i], want[i])
		}
	}
}

func equal(a, b ClientID) bool {
	a.Unknown, b.Unknown = nil, nil
	return a.ID == b.ID && a.SecureMode == b.SecureMode && a.SignMethod == b.SignMethod && a.Timestamp == b.Timestamp &&
		a.HasTimestamp == b.HasTimestamp && a.HasRandom == b.HasRandom && a.Random == b.Random && a.AuthType == b.AuthType && a.InstanceID == b.InstanceID &&
		a.SubscribeForMe == b.SubscribeForMe && a.Ext == b.Ext && a.Lan == b.Lan && a.Version == b.Version
}

func TestParseClientIDRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]refusal.Cause{
		"":                                  refusal.ClientIDMalformed,
		"a1B2c3D4e5F.lamp-001":              refusal.ClientIDMalformed,
		"a\xff|securemode=2|":               refusal.ClientIDMalformed,
		"a\x00|securemode=2|":               refusal.ClientIDMalformed,
		strings.Repeat("a", 65) + "|":       refusal.ClientIDTooLong,
		strings.Repeat("a", 65536):          refusal.ClientIDTooLong,
		"x|securemode=9|":                   refusal.SecureModeUnsupported,
		"x|securemode=8|":                   refusal.SecureModeUnsupported,
		"x|securemode=two|":                 refusal.SecureModeUnsupported,
		"x|securemode=|":                    refusal.SecureModeUnsupported,
		"x|securemode=3,signmethod=sha|":    refusal.SignMethodUnknown,
		"x|signmethod=hmacsha512|":          refusal.SignMethodUnknown,
		"x|securemode=2,authtype=id2|":      refusal.AuthTypeUnsupported,
		"x|signmethod=hmacsha1|hmacmd5|":    refusal.SignMethodUnknown,
		"x|securemode=2,authType=Registers": refusal.AuthTypeUnsupported,
	} {
		if _, err := ParseClientID(in); refusal.CauseOf(err) != want {
			t.Errorf("ParseClientID(%.40q): %v, want %v", in, err, want)
		}
	}
	for _, in := range []string{"", "&", "lamp-001", "lamp-001&", "&a1B2c3D4e5F", "a&b&c d", "id2&code&pk", "lamp/1&pk", strings.Repeat("a", 33) + "&pk"} {
		if ref, err := ParseUsername(in); refusal.CauseOf(err) != refusal.UsernameMalformed {
			t.Errorf("ParseUsername(%q) = %v, %v", in, ref, err)
		}
	}
	if ref, err := ParseUsername("lamp-001&a1B2c3D4e5F"); err != nil || ref != lamp {
		t.Errorf("ParseUsername = %v, %v", ref, err)
	}
}

func FuzzParseClientID(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.id, v.user)
	}
	for _, v := range readVectors(f).Connect {
		f.Add(v.ClientID, v.Username)
	}
	for _, s := range []string{"", "|", "||", "x|=|", "x|a=b|c,d|e", "x|free|,|", "x|timestamp=1,TIMESTAMP=2,x|y"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, s, user string) {
		ref, err := ParseUsername(user)
		if err != nil && refusal.CauseOf(err) == "" {
			t.Errorf("ParseUsername(%q): %v has no cause", user, err)
		}
		id, err := ParseClientID(s)
		if err != nil {
			if refusal.CauseOf(err) == "" {
				t.Errorf("ParseClientID(%q): %v has no cause", s, err)
			}
			return
		}
		if !strings.HasPrefix(s, id.ID+"|") {
			t.Errorf("ParseClientID(%q).ID = %q", s, id.ID)
		}
		content := Content(id, ref)
		if id.HasTimestamp && !strings.HasSuffix(content, id.Timestamp) {
			t.Errorf("content %q lacks %q", content, id.Timestamp)
		}
		if id.Registers() && id.ByToken() {
			t.Errorf("%q both registers and logs in by token", s)
		}
		method := max(id.SignMethod, HMACMD5)
		if !Verify(id.SignMethod, secret, content, Sign(method, secret, content)) {
			t.Errorf("own signature of %q does not verify", s)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	b.ReportAllocs()
	v := vectors[0]
	for b.Loop() {
		id, err := ParseClientID(v.id)
		if err != nil || !Verify(id.SignMethod, v.secret, Content(id, lamp), v.print) {
			b.Fatal(err)
		}
	}
}
