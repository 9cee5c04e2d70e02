// Package sign reads what a device presents when it connects and computes the signature that it must have made: client id,
// user name and password of "MQTT CONNECT" in the device protocol. Every error is a *refusal.Error.
package sign

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"relink/shared/iot"
	"relink/shared/refusal"
)

// Limits of a client id.
const (
	MaxClientID = 1024 // bytes, parameters included
	maxID       = 64   // characters before the first bar
)

// A Param is one parameter of a client id that this package does not know.
type Param struct {
	Key, Value string
}

// A ClientID is a client id taken apart: ${id}|${key}=${value},…|.
type ClientID struct {
	ID             string // before the first bar; part of the signature; may be empty (MQTT 5.0)
	SecureMode     int    // 2 TLS, 3 TCP, -2 without registration, -1 and 0 after pre-authentication; 3 if absent
	SignMethod     Method // Unspecified if absent
	Timestamp      string // exactly as sent
	HasTimestamp   bool   // an empty timestamp is signed too
	Random         string
	HasRandom      bool
	AuthType       string // "", AuthRegister, AuthRegisterNew, AuthToken
	InstanceID     string
	SubscribeForMe bool // _ss=1
	Ext            int  // bit mask: ExtRRPC, ExtNotify
	Lan            string
	Version        string  // of the SDK
	Unknown        []Param // for the log; keys and values are free text
}

// Values of ClientID.AuthType ("Parameters"); a client id may have them in any case.
const (
	AuthRegister    = "register" // asks for the secret of a device that is registered
	AuthRegisterNew = "regnwl"   // asks for a client id and a token, and registers the device if need be
	AuthToken       = "connwl"   // logs in with them
)

// Registers reports whether the connection asks for credentials and not for a session ("Dynamic registration"). What tells is authType
// alone: C4 sends securemode=2 with both kinds. But a regnwl that brings no random has nothing signed: it is a login by token, as some
// manuals spell it.
func (c *ClientID) Registers() bool {
	return c.AuthType == AuthRegister || c.AuthType == AuthRegisterNew && c.HasRandom
}

// ByToken reports whether the password is a device token and not a signature.
func (c *ClientID) ByToken() bool {
	return c.AuthType == AuthToken || c.AuthType == AuthRegisterNew && !c.HasRandom
}

// PreAuthenticated reports whether user name and password are an IotId and a token of a pre-authentication ("Pre-authentication").
func (c *ClientID) PreAuthenticated() bool { return c.SecureMode == -1 || c.SecureMode == 0 }

// Bits of ClientID.Ext.
const (
	ExtRRPC   = 1 << iota // synchronous calls come on /ext/rrpc/…
	ExtNotify             // session errors come on /ext/error/…
)

// Keys of parameters, at their index in values.
const (
	secureMode = iota
	signMethod
	timestamp
	random
	authType
	instanceID
	subscribe
	ext
	lan
	version
	version2
	keyCount
)

var keys = [keyCount]string{"securemode", "signmethod", "timestamp", "random", "authType", "instanceId", "_ss", "ext", "lan", "_v", "v"}

// A value is a parameter as it stands in the client id.
type value struct {
	text         string
	found, exact bool // exact: the key had the documented case, which beats the others
}

// ParseClientID takes a client id apart. It takes everything that shipped SDKs send: parameters after the closing bar, bars and
// blanks inside values, empty parameters, keys in any case. Of repeated parameters the last one holds.
func ParseClientID(s string) (ClientID, error) {
	if len(s) > MaxClientID {
		return ClientID{}, refusal.New(refusal.ClientIDTooLong, strconv.Itoa(len(s))+" bytes")
	}
	if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
		return ClientID{}, refusal.New(refusal.ClientIDMalformed, "not UTF-8")
	}
	id, rest, found := strings.Cut(s, "|")
	c := ClientID{ID: id, SecureMode: 3}
	if !found {
		return c, refusal.New(refusal.ClientIDMalformed, "no parameters")
	}
	if utf8.RuneCountInString(id) > maxID {
		return c, refusal.New(refusal.ClientIDTooLong, strconv.Itoa(len(id))+" bytes before the first bar")
	}
	var values [keyCount]value
	c.readParams(rest, &values)
	c.Timestamp, c.HasTimestamp = values[timestamp].text, values[timestamp].found
	c.Random, c.HasRandom = values[random].text, values[random].found
	c.InstanceID = values[instanceID].text
	c.SubscribeForMe = values[subscribe].text == "1"
	c.Lan = values[lan].text
	if c.Version = values[version].text; c.Version == "" {
		c.Version = values[version2].text
	}
	c.Ext, _ = strconv.Atoi(values[ext].text) // anything else counts as absent
	return c, c.checkParams(&values)
}

// readParams splits at both separators, because SDKs use both. What has no equals sign belongs to the value before it.
func (c *ClientID) readParams(rest string, values *[keyCount]value) {
	var last *string // value that a token without = is appended to
	var separator string
	for {
		i := strings.IndexAny(rest, "|,")
		token := rest
		if i >= 0 {
			token = rest[:i]
		}
		if token = strings.TrimSpace(token); token != "" {
			key, text, found := strings.Cut(token, "=")
			switch {
			case found:
				last = c.setParam(key, text, values)
			case last != nil:
				*last += separator + token
			default:
				c.Unknown = append(c.Unknown, Param{Key: token})
				last = &c.Unknown[len(c.Unknown)-1].Value
			}
		}
		if i < 0 {
			return
		}
		separator, rest = rest[i:i+1], rest[i+1:]
	}
}

func (c *ClientID) setParam(key, text string, values *[keyCount]value) *string {
	for i, known := range keys {
		if !strings.EqualFold(key, known) {
			continue
		}
		v := &values[i]
		if key == known || !v.exact {
			*v = value{text: text, found: true, exact: key == known}
			return &v.text
		}
		return new(string) // the exact spelling was there before; a continuation of this one goes nowhere
	}
	c.Unknown = append(c.Unknown, Param{Key: key, Value: text})
	return &c.Unknown[len(c.Unknown)-1].Value
}

func (c *ClientID) checkParams(values *[keyCount]value) error {
	if v := values[secureMode]; v.found {
		mode, err := strconv.Atoi(v.text)
		if err != nil {
			return refusal.New(refusal.SecureModeUnsupported, v.text)
		}
		switch c.SecureMode = mode; mode {
		case -2, -1, 0, 2, 3:
		case 1, 4, 5, 7, 8:
			return refusal.New(refusal.SecureModeUnsupported, v.text+" is a login by ID2 (ID², iTLS)")
		default:
			return refusal.New(refusal.SecureModeUnsupported, v.text)
		}
	}
	if v := values[signMethod]; v.text != "" {
		if c.SignMethod = ParseMethod(v.text); c.SignMethod == Unspecified {
			return refusal.New(refusal.SignMethodUnknown, v.text)
		}
	}
	switch c.AuthType = strings.ToLower(values[authType].text); c.AuthType {
	case "", AuthRegister, AuthRegisterNew, AuthToken:
		return nil
	case "id2":
		return refusal.New(refusal.AuthTypeUnsupported, "id2 is a login by ID2 (ID², iTLS)")
	}
	return refusal.New(refusal.AuthTypeUnsupported, c.AuthType)
}

// ParseUsername takes ${deviceName}&${productKey} apart, at the last ampersand.
func ParseUsername(s string) (iot.DeviceRef, error) {
	i := strings.LastIndexByte(s, '&')
	if i < 0 {
		return iot.DeviceRef{}, refusal.New(refusal.UsernameMalformed, "no ampersand")
	}
	dn, pk := s[:i], s[i+1:]
	if !iot.ValidDeviceName(dn) {
		return iot.DeviceRef{}, refusal.New(refusal.UsernameMalformed, "device name")
	}
	if !iot.ValidProductKey(pk) {
		return iot.DeviceRef{}, refusal.New(refusal.UsernameMalformed, "product key")
	}
	return iot.DeviceRef{ProductKey: iot.ProductKey(pk), DeviceName: iot.DeviceName(dn)}, nil
}
