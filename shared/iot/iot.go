// Package iot is the vocabulary of the project: how a product, a device and a secret are named, and the one error type that
// crosses layers. It imports the standard library alone. The formats are those of the platform's OpenAPI, "Identifiers,
// names, secrets", and of its device protocol, "Identity model".
package iot

import (
	"encoding/json"
	"log/slog"
	"strings"
)

// A ProductKey names a product. The platform issues it: 11 of [A-Za-z0-9], never reused; imported ones have up to 32.
type ProductKey string

// A DeviceName names a device within its product: 4 to 32 of [A-Za-z0-9_@.:-], case-sensitive. Devices of old products may
// have shorter ones, so a connecting device is not held to the minimum.
type DeviceName string

// An IotID names one device in the whole instance; opaque, at most 64 characters. Where a caller gives both an IotID and the
// pair, the IotID wins.
type IotID string

// A DeviceRef addresses one device in every topic and table.
type DeviceRef struct {
	ProductKey ProductKey
	DeviceName DeviceName
}

// IsZero reports whether no device is named.
func (d DeviceRef) IsZero() bool { return d.ProductKey == "" && d.DeviceName == "" }

// String is the form used in topics: product key, slash, device name.
func (d DeviceRef) String() string { return string(d.ProductKey) + "/" + string(d.DeviceName) }

// Hash spreads devices over dispatch lanes and table partitions (FNV-1a, 32 bits). It must never change: stored keys begin
// with it.
func (d DeviceRef) Hash() uint32 {
	h := uint32(2166136261)
	for i := 0; i < len(d.ProductKey); i++ {
		h = (h ^ uint32(d.ProductKey[i])) * 16777619
	}
	h = (h ^ '/') * 16777619
	for i := 0; i < len(d.DeviceName); i++ {
		h = (h ^ uint32(d.DeviceName[i])) * 16777619
	}
	return h
}

// ValidNewDeviceName reports whether a device may be registered under name ("RegisterDevice", DeviceName).
func ValidNewDeviceName(name string) bool {
	return len(name) >= 4 && len(name) <= 32 && allOf(name, "_-@.:")
}

// ValidProductKey reports whether key can name a product at all.
func ValidProductKey(key string) bool { return len(key) >= 1 && len(key) <= 32 && allOf(key, "") }

// ValidDeviceName reports whether a connecting device may carry name: the alphabet holds, the minimum length does not.
func ValidDeviceName(name string) bool {
	return len(name) >= 1 && len(name) <= 32 && allOf(name, "_-@.:")
}

func allOf(s, extra string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(extra, c) >= 0 {
			continue
		}
		return false
	}
	return true
}

// A Secret is a DeviceSecret, a ProductSecret or a token. It cannot print itself: formatting, logging and JSON all give ***.
type Secret string

// Reveal returns the secret itself, for signing, for storage under encryption, and for the one answer that hands it out.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (s Secret) String() string { return "***" }

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return "***" }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalJSON hides the secret; an answer that must carry it calls Reveal.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal("***") }
