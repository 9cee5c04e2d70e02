package sign

import (
	"crypto/hmac"
	"encoding/hex"
	"strings"

	"relink/shared/iot"
)

// A Presented is a login whose signature is wrong, with what the platform knows of the device.
type Presented struct {
	Whole         string // the client id as it was sent, parameters included
	ID            ClientID
	Ref           iot.DeviceRef
	Method        Method // as Resolve gave it
	Password      string
	Secrets       []iot.Secret // of the device, the current one first
	ProductSecret iot.Secret   // may be empty
}

// A signedAs is one string that a device may have signed in place of the right one, and how it differs from it.
type signedAs struct{ content, how string }

// A keyedAs is one key that it may have used.
type keyedAs struct {
	key iot.Secret
	how string
}

// Mistake tells what a device that signed wrongly has done, if it is one of the usual mistakes: the first part of the signed string
// that differs from what the platform signs, or the key that was used. It is empty if none of them gives this password. It tries at
// most some hundred HMACs, so it is for logins that are refused, and for these alone.
func Mistake(p Presented) string { return mistake(p.Method, p.Password, p.keys(), p.contents()) }

func mistake(announced Method, password string, keys []keyedAs, contents []signedAs) string {
	method, err := Resolve(announced, password)
	if err != nil {
		return ""
	}
	got, err := hex.DecodeString(password)
	if err != nil {
		return ""
	}
	for _, k := range keys {
		for _, c := range contents {
			if hmac.Equal(got, sum(method, k.key, c.content)) {
				return joined(c.how, k.how)
			}
		}
	}
	return ""
}

func joined(content, key string) string {
	switch {
	case content == "":
		return key
	case key == "":
		return content
	}
	return content + "; and " + key
}

func (p *Presented) keys() []keyedAs {
	var keys []keyedAs
	for i, s := range p.Secrets {
		if s == "" {
			continue
		}
		of := "the device secret"
		if i > 0 {
			of = "the device secret before the last rotation"
		}
		keys = append(keys, forms(s, of, i > 0)...)
	}
	if p.ProductSecret != "" {
		keys = append(keys, forms(p.ProductSecret, "the product secret", true)...)
	}
	return append(keys, keyedAs{"", "key: it is empty"})
}

// forms are the ways in which a secret is mistaken. other says that it is not the right one even as it is.
func forms(s iot.Secret, of string, other bool) []keyedAs {
	text := s.Reveal()
	as := keyedAs{key: s}
	if other {
		as.how = "key: " + of + " and not the one in force"
	}
	forms := []keyedAs{
		as,
		{iot.Secret(text + "\n"), "key: " + of + " with a line feed at its end"},
		{iot.Secret(text + "\x00"), "key: " + of + " with a NUL at its end"},
		{iot.Secret(hex.EncodeToString([]byte(text))), "key: " + of + " as hex digits of its characters; take the characters"},
		{iot.Secret(strings.ToUpper(text)), "key: " + of + " in upper case"},
		{iot.Secret(strings.ToLower(text)), "key: " + of + " in lower case"},
	}
	if raw, err := hex.DecodeString(text); err == nil {
		forms = append(forms, keyedAs{iot.Secret(raw), "key: " + of + " decoded from hex; take its characters as they are"})
	}
	return forms
}

// contents are the right string first, and then those that differ from it in one part, in the order of the parts.
func (p *Presented) contents() []signedAs {
	dn, pk := string(p.Ref.DeviceName), string(p.Ref.ProductKey)
	stamp := ""
	if p.ID.HasTimestamp {
		stamp = "timestamp" + p.ID.Timestamp
	}
	with := func(id string) string { return "clientId" + id + "deviceName" + dn + "productKey" + pk + stamp }
	list := []signedAs{{with(p.ID.ID), ""}}
	add := func(content, how string) { list = append(list, signedAs{content, how}) }
	id := func(value, how string) {
		if value != p.ID.ID {
			add(with(value), "clientId: the device signed "+how+", and sent another one before the first bar")
		}
	}
	add(with(p.Whole), "clientId: the device signed it with its parameters; sign the part before the first bar alone")
	if trimmed := strings.TrimRight(p.Whole, "|"); trimmed != p.Whole {
		add(with(trimmed), "clientId: the device signed it with its parameters; sign the part before the first bar alone")
	}
	id("", "an empty one")
	id(dn, "the device name")
	id(pk+"."+dn, "ProductKey.DeviceName")
	id(pk+"&"+dn, "ProductKey&DeviceName")
	id(dn+"&"+pk, "DeviceName&ProductKey")
	id(dn+"."+pk, "DeviceName.ProductKey")
	id(strings.ToLower(p.ID.ID), "it in lower case")
	id(strings.ToUpper(p.ID.ID), "it in upper case")
	head := "clientId" + p.ID.ID
	add("deviceName"+dn+"productKey"+pk+stamp, "clientId: the device did not sign it")
	add("clientid"+p.ID.ID+"devicename"+dn+"productkey"+pk+strings.ToLower(stamp), "clientId: the device signed the names of the parts in lower case")
	add(head+"deviceName"+pk+"productKey"+dn+stamp, "deviceName: the device signed the product key there, and the device name as productKey")
	add(head+"productKey"+pk+"deviceName"+dn+stamp, "deviceName: the device signed productKey before it; the parts are in the order of their names")
	add("productKey"+pk+"deviceName"+dn+head+stamp, "clientId: the device signed the parts in another order; they are in the order of their names")
	for _, c := range []struct{ dn, pk, how string }{
		{strings.ToLower(dn), pk, "deviceName: the device signed it in lower case"},
		{strings.ToUpper(dn), pk, "deviceName: the device signed it in upper case"},
		{dn, strings.ToLower(pk), "productKey: the device signed it in lower case"},
		{dn, strings.ToUpper(pk), "productKey: the device signed it in upper case"},
	} {
		if c.dn != dn || c.pk != pk {
			add(head+"deviceName"+c.dn+"productKey"+c.pk+stamp, c.how)
		}
	}
	add(head+"deviceName"+dn+"productKey"+pk+"random"+p.ID.Random+stamp, "random: the device signed it; it is for dynamic registration alone")
	add(RegisterContent(p.Ref, p.ID.Random), "clientId: the device signed as for dynamic registration")
	if p.ID.HasTimestamp {
		add(head+"deviceName"+dn+"productKey"+pk, "timestamp: the device did not sign it, and sent one")
		add(head+"deviceName"+dn+"productKey"+pk+p.ID.Timestamp, "timestamp: the device signed its value without its name")
		add(head+"deviceName"+dn+"productKey"+pk+"timestamp", "timestamp: the device signed an empty one")
		if n := len(p.ID.Timestamp); n > 3 {
			add(head+"deviceName"+dn+"productKey"+pk+"timestamp"+p.ID.Timestamp[:n-3], "timestamp: the device signed seconds and sent milliseconds")
		}
		add(head+"deviceName"+dn+"productKey"+pk+"timestamp"+p.ID.Timestamp+"000", "timestamp: the device signed milliseconds and sent seconds")
	} else {
		add(head+"deviceName"+dn+"productKey"+pk+"timestamp2524608000000", "timestamp: the device signed 2524608000000, and sent none")
		add(head+"deviceName"+dn+"productKey"+pk+"timestamp", "timestamp: the device signed an empty one, and sent none")
	}
	add(p.ID.ID+dn+pk+p.ID.Timestamp, "clientId: the device signed the values without the names")
	add("clientId="+p.ID.ID+"&deviceName="+dn+"&productKey="+pk+query(p.ID), "clientId: the device signed with = and &; nothing stands between names and values")
	return list
}

func query(id ClientID) string {
	if !id.HasTimestamp {
		return ""
	}
	return "&timestamp=" + id.Timestamp
}
