package openapi

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"relink/shared/iot"
)

// Keys are the access keys that may call the API. They print as their number.
type Keys struct {
	secrets map[string]iot.Secret
}

// ParseKeys reads "id:secret,id2:secret2". An empty string gives no keys: then nobody may call.
func ParseKeys(s string) (Keys, error) {
	k := Keys{secrets: make(map[string]iot.Secret)}
	for i, pair := range strings.Split(s, ",") {
		pair = strings.TrimSpace(pair)
		if pair == "" {
			continue
		}
		id, secret, _ := strings.Cut(pair, ":")
		if id == "" || secret == "" {
			return Keys{}, fmt.Errorf("access key %d: want id:secret", i+1)
		}
		if _, taken := k.secrets[id]; taken {
			return Keys{}, errors.New("access key " + id + " is given twice")
		}
		k.secrets[id] = iot.Secret(secret)
	}
	return k, nil
}

// EnvDecode reads the form of ParseKeys from an environment variable (github.com/sethvargo/go-envconfig).
func (k *Keys) EnvDecode(s string) error {
	keys, err := ParseKeys(s)
	if err == nil {
		*k = keys
	}
	return err
}

// Len is the number of keys.
func (k Keys) Len() int { return len(k.secrets) }

func (k Keys) secret(id string) (iot.Secret, bool) {
	s, ok := k.secrets[id]
	return s, ok
}

// String hides ids and secrets.
func (k Keys) String() string { return fmt.Sprintf("%d access keys", len(k.secrets)) }

// GoString hides the secrets from %#v.
func (k Keys) GoString() string { return k.String() }

// LogValue hides the secrets from slog.
func (k Keys) LogValue() slog.Value { return slog.StringValue(k.String()) }
