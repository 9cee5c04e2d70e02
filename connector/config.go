package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"relink/shared/config"
)

// settings are the connector's environment. ALIBABA_CLOUD_ACCESS_KEY_ID and …_SECRET are for keys that do not expire; temporary ones
// come in a file, and replace these.
type settings struct {
	config.Cloud
	Store config.Store

	CredentialsFile string `env:"RELINK_CREDENTIALS_FILE"` // JSON: accessKeyId, accessKeySecret, securityToken, expiration; read every minute

	ListenMQTT     string `env:"RELINK_LISTEN_MQTT,default=127.0.0.1:1883"` // each port takes plain, TLS and WebSocket; empty: not opened
	ListenMQTTS    string `env:"RELINK_LISTEN_MQTTS,default=127.0.0.1:8883"`
	ListenWS       string `env:"RELINK_LISTEN_WS,default=127.0.0.1:8083"`
	ListenWSS      string `env:"RELINK_LISTEN_WSS,default=127.0.0.1:8084"`
	ListenHTTP     string `env:"RELINK_LISTEN_HTTP,default=127.0.0.1:8080"` // HTTP devices; every port above takes them too
	ListenHTTPS    string `env:"RELINK_LISTEN_HTTPS,default=127.0.0.1:8443"`
	ListenCoAP     string `env:"RELINK_LISTEN_COAP,default=127.0.0.1:5682"`     // UDP, CoAP with symmetric encryption; empty: not opened
	ListenCoAPS    string `env:"RELINK_LISTEN_COAPS,default=127.0.0.1:5684"`    // UDP, CoAP over DTLS; empty: not opened
	ListenOpenAPI  string `env:"RELINK_LISTEN_OPENAPI"`                         // front door of the OpenAPI, plain HTTP; empty: not opened, the function's HTTP trigger serves
	ListenDownload string `env:"RELINK_LISTEN_DOWNLOAD"`                        // download door of devices, plain HTTP and HTTPS; empty: not opened
	ListenInternal string `env:"RELINK_LISTEN_INTERNAL,default=127.0.0.1:1888"` // internal API, /metrics, /healthz; never reachable for devices
	InternalURL    string `env:"RELINK_INTERNAL_URL"`                           // how functions reach it; empty: http:// and ListenInternal
	NodeID         string `env:"RELINK_NODE_ID"`                                // empty: random, new at each start
	TLSCert        string `env:"RELINK_TLS_CERT"`                               // PEM file of the chain; empty: TLS is refused
	TLSKey         string `env:"RELINK_TLS_KEY"`
	TLSMinVersion  string `env:"RELINK_TLS_MIN_VERSION,default=1.0"` // 1.0, 1.1, 1.2, 1.3

	RegisterTLS bool   `env:"RELINK_REGISTER_TLS,default=true"` // dynamic registration over MQTT is refused without TLS, because the answer holds a secret
	Advertise   string `env:"RELINK_ADVERTISE_MQTT"`            // host:port that pre-authentication and bootstrap name; empty: where the request was sent to

	MaxConnections     int           `env:"RELINK_MAX_CONNECTIONS,default=100000"`
	MaxDownloads       int           `env:"RELINK_MAX_DOWNLOADS,default=500"`               // connections of the download door; each may have 128 KB of a file in memory
	DownloadsPerSource int           `env:"RELINK_MAX_DOWNLOADS_PER_SOURCE,default=50"`     // of these, from one address
	MaxOpening         int           `env:"RELINK_MAX_OPENING,default=10000"`               // connections without a login; beyond, the oldest is closed
	MaxPerSource       int           `env:"RELINK_MAX_OPENING_PER_SOURCE,default=1000"`     // of these, from one address
	MaxTokenDevices    int           `env:"RELINK_MAX_TOKEN_DEVICES,default=100000"`        // of HTTP and CoAP whose grants are kept in memory
	MaxPosts           int           `env:"RELINK_MAX_HTTP_POSTS,default=2000"`             // over HTTP that wait for their answer; the next are not read
	MaxCoAPRemembered  int           `env:"RELINK_MAX_COAP_REMEMBERED,default=400000"`      // messages over CoAP whose replies are kept for retransmissions, 247 s at most
	MaxCoAPReplies     int           `env:"RELINK_MAX_COAP_REPLY_BYTES,default=67108864"`   // bytes of these replies
	MaxDTLS            int           `env:"RELINK_MAX_COAPS_CONNECTIONS,default=100000"`    // over DTLS, of devices; beyond, the one that was silent longest is closed
	DTLSIdle           time.Duration `env:"RELINK_COAPS_IDLE,default=15m"`                  // silence after which a connection over DTLS is forgotten
	FailureBurst       int           `env:"RELINK_FAILURES_PER_SOURCE,default=120"`         // failed logins in a row from one address
	FailureRate        int           `env:"RELINK_FAILURES_PER_MINUTE,default=60"`          // failed logins forgiven per minute
	ConnectBurst       int           `env:"RELINK_CONNECTS_PER_DEVICE,default=60"`          // granted logins of one device in a row; 0: no limit
	ConnectRate        int           `env:"RELINK_CONNECTS_PER_MINUTE,default=10"`          // and then per minute
	ExemptLoopback     bool          `env:"RELINK_LIMITS_EXEMPT_LOOPBACK,default=true"`     // limits per address do not hold for this machine
	DeviceLog          string        `env:"RELINK_DEVICE_LOG,default=auto"`                 // successes in the device log: all, none, or auto, which samples above 200 a second
	UpQoS0             int           `env:"RELINK_UPLINK_QOS0_PER_SECOND,default=30"`       // messages of one device; the excess is dropped; 0: no limit
	UpQoS1             int           `env:"RELINK_UPLINK_QOS1_PER_SECOND,default=10"`       // without PUBACK, so that the device sends it again
	UpBytes            int           `env:"RELINK_UPLINK_BYTES_PER_SECOND,default=1048576"` // of one connection, which is read no faster
	DownRate           int           `env:"RELINK_DOWNLINK_PER_SECOND,default=50"`          // messages to one device
	MinKeepAlive       time.Duration `env:"RELINK_KEEPALIVE_MIN,default=30s"`
	MaxKeepAlive       time.Duration `env:"RELINK_KEEPALIVE_MAX,default=1200s"`
	OpenTimeout        time.Duration `env:"RELINK_OPEN_TIMEOUT,default=10s"` // from accept to the answer to CONNECT
	LoginTimeout       time.Duration `env:"RELINK_LOGIN_TIMEOUT,default=8s"` // of function auth
	Lease              time.Duration `env:"RELINK_LEASE,default=15s"`        // sessions of a node that does not renew it for so long are offline

	AuthLanes      int           `env:"RELINK_LANES_AUTH,default=4"`     // invocations at the same time
	PropertyLanes  int           `env:"RELINK_LANES_PROPERTY,default=8"` // of 4, 8 and 16 the best at one post in flight per device and at sixteen
	LifecycleLanes int           `env:"RELINK_LANES_LIFECYCLE,default=4"`
	OtherLanes     int           `env:"RELINK_LANES_OTHER,default=4"`           // of each of the functions event, shadow, topology, deviceinfo, ota
	BatchRecords   int           `env:"RELINK_BATCH_RECORDS,default=500"`       // of one invocation
	Linger         time.Duration `env:"RELINK_BATCH_LINGER,default=0s"`         // longest time that a record waits for company: latency for cost
	Deadline       time.Duration `env:"RELINK_RECORD_DEADLINE,default=60s"`     // from receipt to the last attempt
	MaxInMemory    int64         `env:"RELINK_MAX_UNDECIDED,default=268435456"` // bytes of records that are taken and not decided
}

// read gives the settings, complete and checked.
func read() (*settings, error) {
	var s settings
	if path := os.Getenv("RELINK_CREDENTIALS_FILE"); path != "" { // before the rest, which requires them
		c, err := readCredentials(path)
		if err != nil {
			return nil, fmt.Errorf("configuration: %w", err)
		}
		for variable, value := range map[string]string{
			"ALIBABA_CLOUD_ACCESS_KEY_ID": c.AccessKeyID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": c.AccessKeySecret, "ALIBABA_CLOUD_SECURITY_TOKEN": c.SecurityToken,
		} {
			if err := os.Setenv(variable, value); err != nil {
				return nil, fmt.Errorf("configuration: %w", err)
			}
		}
	}
	if err := config.Read(&s); err != nil {
		return nil, err
	}
	if s.InternalURL == "" {
		s.InternalURL = "http://" + s.ListenInternal
	}
	if s.NodeID == "" {
		var id [8]byte
		if _, err := rand.Read(id[:]); err != nil {
			return nil, fmt.Errorf("node id: %w", err)
		}
		s.NodeID = hex.EncodeToString(id[:])
	}
	switch {
	case s.InternalKey.IsZero():
		return nil, errors.New("configuration: RELINK_INTERNAL_KEY is required: 64 hex digits, the same for all parts of the installation")
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return nil, errors.New("configuration: RELINK_TLS_CERT and RELINK_TLS_KEY go together")
	case s.Lease < time.Second:
		return nil, errors.New("configuration: RELINK_LEASE is shorter than a second")
	case s.MinKeepAlive > s.MaxKeepAlive:
		return nil, errors.New("configuration: RELINK_KEEPALIVE_MIN is longer than RELINK_KEEPALIVE_MAX")
	}
	return &s, nil
}
