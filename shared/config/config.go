// Package config reads the environment, once, in main, into structs that name every variable, its default and its unit. What
// is missing or malformed is told in one line. Packages take the values that they need, never these structs.
package config

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"relink/shared/iot"
)

// Cloud is where the services are and who calls them; functions and connector alike. In Function Compute the credentials are
// put into the environment by the service.
type Cloud struct {
	AccessKeyID     string     `env:"ALIBABA_CLOUD_ACCESS_KEY_ID,required"`
	AccessKeySecret iot.Secret `env:"ALIBABA_CLOUD_ACCESS_KEY_SECRET,required"`
	SecurityToken   iot.Secret `env:"ALIBABA_CLOUD_SECURITY_TOKEN"` // of temporary credentials; empty otherwise
	Region          string     `env:"RELINK_REGION,default=cn-shanghai"`

	TablestoreEndpoint string `env:"TABLESTORE_ENDPOINT"` // URL
	TablestoreInstance string `env:"TABLESTORE_INSTANCE,default=relink"`
	FCEndpoint         string `env:"RELINK_FC_ENDPOINT"` // URL, or host for https; the service refuses names that begin with FC_
	OSSEndpoint        string `env:"OSS_ENDPOINT"`       // URL
	SLSEndpoint        string `env:"SLS_ENDPOINT"`       // URL; the SDK puts the project before its host
	SLSDial            string `env:"SLS_DIAL"`           // host:port to dial whatever the name; empty in the cloud
	SLSProject         string `env:"SLS_PROJECT,default=relink"`

	FunctionPrefix string `env:"RELINK_FUNCTION_PREFIX,default=relink-"` // before each function's name; one per environment

	SecretKey   Key `env:"RELINK_SECRET_KEY"`   // 64 hex digits: encrypts device and product secrets at rest
	InternalKey Key `env:"RELINK_INTERNAL_KEY"` // 64 hex digits: signs calls to the connectors' internal API
}

// A Key is 32 bytes, given as 64 hex digits. It prints as ***.
type Key [32]byte

// EnvDecode reads the 64 hex digits.
func (k *Key) EnvDecode(s string) error {
	if s == "" {
		return nil
	}
	b, err := hex.DecodeString(strings.TrimSpace(s))
	if err != nil || len(b) != len(k) {
		return fmt.Errorf("want %d hex digits", 2*len(k))
	}
	copy(k[:], b)
	return nil
}

// IsZero reports whether no key was given.
func (k Key) IsZero() bool { return k == Key{} }

// String hides the key.
func (k Key) String() string { return "***" }

// Read fills a struct that names its variables in `env` tags (github.com/sethvargo/go-envconfig).
func Read(into any) error {
	if err := envconfig.Process(context.Background(), into); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return nil
}

// Store bounds how long the Tablestore client tries, so that a function answers before its own timeout.
type Store struct {
	RequestTimeout time.Duration `env:"TABLESTORE_REQUEST_TIMEOUT,default=5s"`
	RetryFor       time.Duration `env:"TABLESTORE_RETRY_FOR,default=3s"` // all tries together
}
