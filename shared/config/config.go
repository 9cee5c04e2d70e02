// Package config reads the environment, once, in main, into structs that name every variable, its default and its unit. What
// is missing or malformed is told in one line. Packages take the values that they need, never these structs.
package config

import (
	"context"
	"encoding/hex"
	"fmt"
	"reflect"
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

	// URLs of the services. auto is the region's own in its VPC, as is an empty one except for Log Service, where it means no logs there.
	TablestoreEndpoint string `env:"TABLESTORE_ENDPOINT,default=auto"`
	TablestoreInstance string `env:"TABLESTORE_INSTANCE,default=relink"`
	FCEndpoint         string `env:"RELINK_FC_ENDPOINT,default=auto"` // the service refuses names that begin with FC_
	SLSEndpoint        string `env:"SLS_ENDPOINT,default=auto"`       // the SDK puts the project before its host
	SLSDial            string `env:"SLS_DIAL"`                        // host:port to dial whatever the name; empty in the cloud
	SLSProject         string `env:"SLS_PROJECT,default=relink"`

	OSSEndpoint string `env:"OSS_ENDPOINT,default=auto"`
	OSSBucket   string `env:"OSS_BUCKET,default=relink"` // of files; names of buckets are taken by all customers of the service together

	AccountID   int64  `env:"RELINK_ACCOUNT_ID,default=0"` // of the owner's cloud account; 0 if nobody said
	MNSEndpoint string `env:"MNS_ENDPOINT,default=auto"`   // the account is in its host: auto without RELINK_ACCOUNT_ID is no queues

	DownloadURL string `env:"RELINK_DOWNLOAD_URL"` // https://host: where devices reach the connectors' download door; empty: no downloads

	FunctionPrefix string `env:"RELINK_FUNCTION_PREFIX,default=relink-"` // before each function's name; one per environment

	SecretKey     Key  `env:"RELINK_SECRET_KEY"`      // 64 hex digits: encrypts device and product secrets at rest
	OldSecretKeys Keys `env:"RELINK_OLD_SECRET_KEYS"` // with commas: keys that SecretKey replaced; still read, no longer written
	InternalKey   Key  `env:"RELINK_INTERNAL_KEY"`    // 64 hex digits: signs calls to the connectors' internal API
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

// GoString hides the key from %#v.
func (k Key) GoString() string { return k.String() }

// Keys are several keys, given with commas between them. They print as ***.
type Keys []Key

// EnvDecode reads the keys.
func (k *Keys) EnvDecode(s string) error {
	if s == "" {
		return nil
	}
	var keys Keys
	for i, text := range strings.Split(s, ",") {
		var key Key
		if err := key.EnvDecode(text); err != nil {
			return fmt.Errorf("key %d: %w", i+1, err)
		}
		if key.IsZero() {
			return fmt.Errorf("key %d is empty", i+1)
		}
		keys = append(keys, key)
	}
	*k = keys
	return nil
}

// Read fills a struct that names its variables in `env` tags (github.com/sethvargo/go-envconfig), and completes the Cloud in it.
func Read(into any) error { return read(into, envconfig.OsLookuper()) }

func read(into any, env envconfig.Lookuper) error {
	if err := envconfig.ProcessWith(context.Background(), &envconfig.Config{Target: into, Lookuper: env}); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	fields := reflect.ValueOf(into).Elem()
	for i := range fields.NumField() {
		if c, ok := fields.Field(i).Addr().Interface().(*Cloud); ok {
			c.complete()
		}
	}
	return nil
}

// complete puts the region's endpoints where auto is said.
func (c *Cloud) complete() {
	const auto = "auto"
	if c.TablestoreEndpoint == auto || c.TablestoreEndpoint == "" {
		c.TablestoreEndpoint = "https://" + c.TablestoreInstance + "." + c.Region + ".vpc.tablestore.aliyuncs.com"
	}
	if c.FCEndpoint == auto || c.FCEndpoint == "" {
		c.FCEndpoint = "https://fcv3-vpc." + c.Region + ".aliyuncs.com"
	}
	if c.OSSEndpoint == auto || c.OSSEndpoint == "" {
		c.OSSEndpoint = "https://oss-" + c.Region + "-internal.aliyuncs.com"
	}
	if c.MNSEndpoint == auto || c.MNSEndpoint == "" {
		c.MNSEndpoint = ""
		if c.AccountID != 0 {
			c.MNSEndpoint = fmt.Sprintf("https://%d.mns.%s-internal.aliyuncs.com", c.AccountID, c.Region)
		}
	}
	if c.SLSEndpoint == auto {
		c.SLSEndpoint = "http://" + c.Region + "-intranet.log.aliyuncs.com"
	}
}

// Store bounds how long the Tablestore client tries, so that a function answers before its own timeout.
type Store struct {
	RequestTimeout time.Duration `env:"TABLESTORE_REQUEST_TIMEOUT,default=5s"`
	RetryFor       time.Duration `env:"TABLESTORE_RETRY_FOR,default=3s"` // all tries together
}
