package sign

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"relink/shared/iot"
	"relink/shared/refusal"
)

// published are the test vectors of the device protocol, as it has them.
type published struct {
	HMAC []struct{ ID, Method, Key, Content, Hex string }
	CoAP struct {
		DeviceSecret, Random, SHA256, Key, IV string
		AES128CBC                             []struct{ Plain, Hex string }
	}
	Connect []struct {
		ID, ClientID, Username, Password string
		Accept                           bool
		Connack                          int
	}
}

func readVectors(t testing.TB) published {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v published
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.HMAC) != 28 || len(v.Connect) != 9 || len(v.CoAP.AES128CBC) != 7 {
		t.Fatalf("%d, %d and %d vectors", len(v.HMAC), len(v.Connect), len(v.CoAP.AES128CBC))
	}
	return v
}

func TestPublishedHMAC(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t).HMAC {
		method := ParseMethod(v.Method)
		if got := Sign(method, iot.Secret(v.Key), v.Content); got != v.Hex {
			t.Errorf("%s: %s, want %s", v.ID, got, v.Hex)
		}
		for _, password := range []string{v.Hex, strings.ToUpper(v.Hex)} {
			if !Verify(method, iot.Secret(v.Key), v.Content, password) || !Verify(Unspecified, iot.Secret(v.Key), v.Content, password) {
				t.Errorf("%s: %s does not verify", v.ID, password)
			}
		}
		if i := VerifyAny(method, []iot.Secret{"other", "", iot.Secret(v.Key)}, v.Content, v.Hex); i != 2 {
			t.Errorf("%s: of three secrets number %d verifies", v.ID, i)
		}
		switch v.ID[0] {
		case 'R':
			_, random, _ := strings.Cut(v.Content, "random")
			if got := RegisterContent(lamp, random); got != v.Content {
				t.Errorf("%s: RegisterContent = %q", v.ID, got)
			}
		case 'P':
			if got := PSKContent(lamp, "2524608000000"); got != v.Content {
				t.Errorf("%s: PSKContent = %q", v.ID, got)
			}
			if got := PSK(iot.Secret(v.Key), lamp, "2524608000000"); got.Reveal() != strings.ToUpper(v.Hex) {
				t.Errorf("%s: PSK = %q", v.ID, got.Reveal())
			}
		}
	}
	if got := PSKIdentity(lamp, "2524608000000"); got != "devicename|hmacsha256|a1B2c3D4e5F&lamp-001|2524608000000" {
		t.Errorf("PSKIdentity = %q", got)
	}
}

func TestPublishedConnects(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t).Connect {
		id, err := ParseClientID(v.ClientID)
		if err != nil {
			if v.Accept || v.Connack != 2 || refusal.CauseOf(err) == "" {
				t.Errorf("%s: %v", v.ID, err)
			}
			continue
		}
		ref, err := ParseUsername(v.Username)
		if err != nil {
			t.Errorf("%s: %v", v.ID, err)
		}
		if got := Verify(id.SignMethod, secret, Content(id, ref), v.Password); got != v.Accept || !got && v.Connack != 4 {
			t.Errorf("%s: verifies %v, want %v", v.ID, got, v.Accept)
		}
	}
}

func TestPublishedMessages(t *testing.T) {
	t.Parallel()
	v := readVectors(t).CoAP
	key := SessionKey(iot.Secret(v.DeviceSecret), v.Random)
	if got := hex.EncodeToString(key[:]); got != v.Key || v.SHA256[16:48] != v.Key || v.IV != string(sessionIV[:]) {
		t.Errorf("SessionKey = %s, want %s", got, v.Key)
	}
	for _, m := range v.AES128CBC {
		data := EncryptMessage(key, []byte(m.Plain))
		if got := hex.EncodeToString(data); got != m.Hex {
			t.Errorf("%q: %s, want %s", m.Plain, got, m.Hex)
		}
		if plain, err := DecryptMessage(key, data); err != nil || string(plain) != m.Plain {
			t.Errorf("%q comes back as %q, %v", m.Plain, plain, err)
		}
		for _, broken := range [][]byte{nil, data[:len(data)-1], append(data[:len(data):len(data)], 0)} {
			if _, err := DecryptMessage(key, broken); err != ErrCiphertext {
				t.Errorf("%d bytes: %v", len(broken), err)
			}
		}
	}
	other := SessionKey("x", v.Random)
	accepted := 0
	for _, m := range v.AES128CBC {
		if plain, err := DecryptMessage(other, EncryptMessage(key, []byte(m.Plain))); err == nil && string(plain) == m.Plain {
			accepted++
		}
	}
	if accepted > 0 {
		t.Errorf("%d messages under another key are taken", accepted)
	}
}

func FuzzDecryptMessage(f *testing.F) {
	v := readVectors(f).CoAP
	for _, m := range v.AES128CBC {
		data, _ := hex.DecodeString(m.Hex)
		f.Add(data)
	}
	key := SessionKey(iot.Secret(v.DeviceSecret), v.Random)
	f.Fuzz(func(t *testing.T, data []byte) {
		plain, err := DecryptMessage(key, data)
		if err == nil && string(EncryptMessage(key, plain)) != string(data) {
			t.Errorf("%x decrypts to %x, which encrypts to something else", data, plain)
		}
	})
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	const ps, old, stamp = iot.Secret("PsAbCdEfGh123456"), iot.Secret("fedcba9876543210fedcba9876543210"), "timestamp2524608000000"
	const whole = "a1B2c3D4e5F.lamp-001|timestamp=2524608000000,securemode=3,signmethod=hmacsha256|"
	id, err := ParseClientID(whole)
	if err != nil {
		t.Fatal(err)
	}
	right := Content(id, lamp)
	for name, c := range map[string]struct {
		key           iot.Secret
		content, want string
	}{
		"no_timestamp":       {secret, strings.TrimSuffix(right, stamp), "timestamp: the device did not sign it"},
		"seconds":            {secret, strings.TrimSuffix(right, "000"), "timestamp: the device signed seconds"},
		"whole_client_id":    {secret, strings.Replace(right, id.ID, whole, 1), "clientId: the device signed it with its parameters"},
		"id_of_another_form": {secret, strings.Replace(right, id.ID, "lamp-001&a1B2c3D4e5F", 1), "clientId: the device signed DeviceName&ProductKey"},
		"product_secret":     {ps, right, "key: the product secret"},
		"old_secret":         {old, right, "key: the device secret before the last rotation"},
		"hex_of_the_secret":  {iot.Secret(hex.EncodeToString([]byte(secret.Reveal()))), right, "key: the device secret as hex digits"},
		"line_feed":          {secret + "\n", right, "key: the device secret with a line feed"},
		"lower_case_name":    {secret, strings.Replace(right, "a1B2c3D4e5Ftime", "a1b2c3d4e5ftime", 1), "productKey: the device signed it in lower case"},
		"swapped":            {secret, "clientId" + id.ID + "productKeya1B2c3D4e5FdeviceNamelamp-001" + stamp, "deviceName: the device signed productKey before it"},
		"two_mistakes":       {ps, strings.TrimSuffix(right, stamp), "timestamp: the device did not sign it, and sent one; and key: the product secret"},
		"register":           {ps, RegisterContent(lamp, ""), "clientId: the device signed as for dynamic registration"},
		"something_else":     {"0123", right, ""},
	} {
		for method := HMACMD5; method <= HMACSHA256; method++ {
			got := Mistake(Presented{Whole: whole, ID: id, Ref: lamp, Method: method, Password: Sign(method, c.key, c.content),
				Secrets: []iot.Secret{secret, old}, ProductSecret: ps})
			if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
				t.Errorf("%s, %s: %q, want %q", name, method, got, c.want)
			}
			for _, s := range []iot.Secret{secret, old, ps} {
				if strings.Contains(got, s.Reveal()) {
					t.Errorf("%s: %q holds a secret", name, got)
				}
			}
		}
	}
	hexSecret := Presented{Whole: whole, ID: id, Ref: lamp, Method: HMACSHA1, Secrets: []iot.Secret{old}}
	raw, _ := hex.DecodeString(old.Reveal())
	hexSecret.Password = Sign(HMACSHA1, iot.Secret(raw), right)
	if got := Mistake(hexSecret); !strings.HasPrefix(got, "key: the device secret decoded from hex") {
		t.Errorf("decoded secret: %q", got)
	}
	if Mistake(Presented{Password: "short"}) != "" || Mistake(Presented{Method: HMACMD5, Password: strings.Repeat("g", 32)}) != "" {
		t.Error("a password that is no signature has a mistake")
	}
}

func BenchmarkMistake(b *testing.B) {
	id, err := ParseClientID("a1B2c3D4e5F.lamp-001|timestamp=2524608000000,securemode=3,signmethod=hmacsha256|")
	if err != nil {
		b.Fatal(err)
	}
	p := Presented{ID: id, Ref: lamp, Method: HMACSHA256, Password: strings.Repeat("0", 64), Secrets: []iot.Secret{secret, secret}, ProductSecret: secret}
	for b.Loop() {
		Mistake(p)
	}
}
