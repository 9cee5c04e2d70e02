package store

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/config"
	"relink/shared/iot"
)

// Options say where the tables are and how patient to be.
type Options struct {
	Endpoint        string // URL of the Tablestore instance
	Instance        string // its name
	AccessKeyID     string
	AccessKeySecret iot.Secret
	SecurityToken   iot.Secret // of temporary credentials; empty otherwise

	Key     config.Key   // encrypts secrets at rest
	OldKeys []config.Key // keys that Key replaced: still read, no longer written

	RequestTimeout time.Duration // of one request; 5 s if 0
	RetryFor       time.Duration // all tries of one request together; 3 s if 0
}

// FromConfig takes the options out of the environment's structs.
func FromConfig(cloud config.Cloud, limits config.Store) Options {
	return Options{
		Endpoint: cloud.TablestoreEndpoint, Instance: cloud.TablestoreInstance,
		AccessKeyID: cloud.AccessKeyID, AccessKeySecret: cloud.AccessKeySecret, SecurityToken: cloud.SecurityToken,
		Key: cloud.SecretKey, OldKeys: cloud.OldSecretKeys, RequestTimeout: limits.RequestTimeout, RetryFor: limits.RetryFor,
	}
}

// A Store is the platform's state in one Tablestore instance. It is safe for concurrent use.
//
// The SDK takes no context: a call that began ends within Options.RequestTimeout and RetryFor, whatever its context says, and
// no further request begins once the context has ended.
type Store struct {
	client *client
	seal   *sealer
}

// Open makes a store. It does not talk to the service.
func Open(o Options) (*Store, error) {
	if o.Key.IsZero() {
		return nil, errors.New("store: no key to encrypt secrets with (RELINK_SECRET_KEY)")
	}
	seal, err := newSealer(o.Key, o.OldKeys)
	if err != nil {
		return nil, err
	}
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	return &Store{client: c, seal: seal}, nil
}

// Products is the table `product`.
func (s *Store) Products() Products { return products{s} }

// Devices is the tables `device`, `device_iot_id` and `device_by_product`.
func (s *Store) Devices() Devices { return devices{s} }

// Sessions is the table `session`.
func (s *Store) Sessions() Sessions { return sessions{s.client} }

// Nodes is the table `node`.
func (s *Store) Nodes() Nodes { return nodes{s.client} }

// Properties is the tables `property_latest` and `property_history`.
func (s *Store) Properties() Properties { return properties{s.client} }

// DeadLetters is the table `dead_letter`.
func (s *Store) DeadLetters() DeadLetters { return deadLetters{s.client} }

// Applications is the table `application`.
func (s *Store) Applications() Applications { return applications{s.client} }

// Topology is the tables `topology` and `topology_by_gateway`.
func (s *Store) Topology() Topology { return topologies{s.client} }

// Discoveries is the table `discovery`.
func (s *Store) Discoveries() Discoveries { return discoveries{s.client} }

// Close closes idle connections. A store that is closed can still be used.
func (s *Store) Close() { s.client.transport.CloseIdleConnections() }

func newClient(o Options) (*client, error) {
	if o.Endpoint == "" || o.Instance == "" {
		return nil, errors.New("store: endpoint and instance are needed (TABLESTORE_ENDPOINT, TABLESTORE_INSTANCE)")
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = 5 * time.Second
	}
	if o.RetryFor == 0 {
		o.RetryFor = 3 * time.Second
	}
	if o.RequestTimeout < 0 || o.RetryFor < 0 {
		return nil, fmt.Errorf("store: request timeout %s and retry time %s must not be negative", o.RequestTimeout, o.RetryFor)
	}
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: min(3*time.Second, o.RequestTimeout), KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: min(3*time.Second, o.RequestTimeout),
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     25 * time.Second, // below the service's own, so that a frozen instance rarely meets a closed one
		DisableCompression:  true,
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      16 << 10,
	}
	keys := newCredentials(o.AccessKeyID, o.AccessKeySecret, o.SecurityToken)
	sdk := tablestore.NewClientWithCredentialsProvider(o.Endpoint, o.Instance, keys,
		&tablestore.TableStoreConfig{
			RetryTimes:           10,
			MaxRetryTime:         o.RetryFor,
			HTTPTimeout:          tablestore.HTTPTimeout{ConnectionTimeout: 3 * time.Second, RequestTimeout: o.RequestTimeout},
			Transport:            transport,
			DefaultRetryInterval: 10 * time.Millisecond,
			MaxRetryInterval:     320 * time.Millisecond,
		})
	return &client{ots: sdk, transport: transport, credentials: keys, retryFor: o.RetryFor}, nil
}
