// Package store keeps the platform's state in Tablestore. It is the only package that knows tables: the rest of the project
// sees the interfaces of this file, each small enough to be told in one breath. Package store/memory is the same in memory for
// tests, store/storetest the suite that both pass.
//
// Every write is idempotent, because everything above retries. Times are Unix milliseconds. Errors that a caller can act on
// are *iot.Error: DeviceNotFound, ProductNotFound, AlreadyExists, Conflict, Throttled, Unavailable.
package store

import (
	"context"
	"encoding/json"

	"relink/shared/device"
	"relink/shared/iot"
)

// A Product is one row of the table `product`.
type Product struct {
	Key             iot.ProductKey
	Name            string
	Secret          iot.Secret // encrypted at rest
	Senior          bool       // AliyunCommodityCode iothub_senior: it has a thing model
	NodeType        int        // 0 device, 1 gateway
	DataFormat      int        // 0 raw, 1 Alink JSON
	AuthType        string     // secret, x509
	CategoryKey     string
	Description     string
	NetType         string // WIFI, CELLULAR, ETHERNET, OTHER
	ProtocolType    string
	ValidateType    int    // 0 strict, 1 weak, 2 none
	Status          string // DEVELOPMENT_STATUS, RELEASE_STATUS
	DynamicRegister bool
	Topics          []Topic         // custom topic categories, at most 50
	Draft           json.RawMessage // TSL being edited, default module; nil if none
	Models          []Model         // published, newest last, at most 10
	CreatedAt       int64
	UpdatedAt       int64
	Revision        int64 // grows with every Update; an Update of an older one is a Conflict
}

// A Model is one published version of a product's thing model.
type Model struct {
	Version     string          `json:"version"`
	Description string          `json:"description,omitempty"`
	PublishedAt int64           `json:"publishedAt"`
	TSL         json.RawMessage `json:"tsl"`
}

// Products is the table `product`, one row each, at most some thousands.
type Products interface {
	Create(ctx context.Context, p *Product) error // AlreadyExists if the key is taken
	Get(ctx context.Context, key iot.ProductKey) (*Product, error)
	List(ctx context.Context) ([]*Product, error)
	Update(ctx context.Context, p *Product) error // writes Revision+1 and sets it in p; Conflict if somebody else did
	Delete(ctx context.Context, key iot.ProductKey) error
}

// A Device is one row of the table `device`. What its connection does is in Session.
type Device struct {
	Ref       iot.DeviceRef
	IotID     iot.IotID
	Secret    iot.Secret // encrypted at rest
	Nickname  string
	Disabled  bool
	CreatedAt int64
	UpdatedAt int64

	Credentials Credentials
}

// Devices is the tables `device`, `device_iot_id` and `device_by_product`. A slice of refs is answered by a slice of the same
// length, nil where there is no such device.
type Devices interface {
	Create(ctx context.Context, d *Device) error // AlreadyExists
	Get(ctx context.Context, ref iot.DeviceRef) (*Device, error)
	GetMany(ctx context.Context, refs []iot.DeviceRef) ([]*Device, error)
	Resolve(ctx context.Context, id iot.IotID) (iot.DeviceRef, error)                   // DeviceNotFound
	List(ctx context.Context, key iot.ProductKey, offset, limit int) ([]*Device, error) // newest first
	Count(ctx context.Context, key iot.ProductKey) (int, error)
	SetDisabled(ctx context.Context, ref iot.DeviceRef, disabled bool, at int64) error
	SetNickname(ctx context.Context, ref iot.DeviceRef, nickname string, at int64) error // DeviceNotFound
	// SetCredentials writes Secret, Credentials and UpdatedAt of a device that was read, and sets Credentials.Revision+1 in d.
	// Errors: Conflict if somebody else wrote them meanwhile, DeviceNotFound.
	SetCredentials(ctx context.Context, d *Device) error
	Delete(ctx context.Context, ref iot.DeviceRef) error // with all that belongs to it; idempotent
}

// A Session is one row of the table `session`: the last connection of a device.
type Session struct {
	Ref        iot.DeviceRef
	Node       string // who holds it; empty once it ended
	Epoch      int64
	Gateway    iot.DeviceRef // over whose connection a sub-device speaks; zero for a device with a connection of its own
	ExtRRPC    bool
	RemoteAddr string
	ActiveAt   int64 // first login ever
	OnlineAt   int64 // begin of the last connection
	OfflineAt  int64 // end of it; 0 while it lasts
	// PrevNode and PrevEpoch are the session on another node that had not ended when this one was taken: that node has to be
	// told, by whoever takes the session, and again if the taker's first answer was lost. Empty if there was none.
	PrevNode  string
	PrevEpoch int64
	// Logins over a gateway since LoginsFrom, which is the begin of their minute: their number is limited.
	Logins     int64
	LoginsFrom int64

	// What MQTT calls the session, which outlives connections if the device wants it to (CleanSession 0; in 5.0 an expiry above 0).
	Persistent   bool  // QoS 1 messages wait while the device is away
	Expiry       int64 // seconds after the end of the connection until then; 0: no end
	Since        int64 // epoch of the connection that began it; smaller than Epoch if it was continued
	QueueFrom    int64 // messages that were queued before are discarded
	SecretSerial int64 // of the secret that the device logged in with last (Credentials.Serial); 0 if it never did with a secret
	// Flaps is how often connections from different addresses have pushed each other out, each time within FlapWindow of
	// FlapSince: more than one or two mean that two devices have one identity.
	Flaps     int
	FlapSince int64

	// What is known of a device that speaks without a connection, over HTTP or CoAP: it has a session of MQTT as well, or none. HeardAt is when it
	// was last heard of, to a minute; it counts as online from HeardSince until HeardUntil, for which times it was never silent for longer.
	HeardAt    int64
	HeardSince int64
	HeardUntil int64
	HeardOver  string // http, https, coap, coaps
	HeardFrom  string // its address

	Client string // what the client id said of the device's software: lan=C,_v=sdk-c-3.0.1

	Subscribed []device.Subscription // the device's own, over all its sessions
	Muted      []string              // automatic topics that it has unsubscribed
}

// A Take asks for a device's session on a node.
type Take struct {
	Ref        iot.DeviceRef
	Node       string
	Gateway    iot.DeviceRef // of a sub-device that logs in over the connection of its gateway
	ExtRRPC    bool
	RemoteAddr string
	At         int64

	Persistent   bool   // the session is kept when the connection ends
	Discard      bool   // what was kept of earlier ones is not wanted (CleanSession, Clean Start)
	Expiry       int64  // seconds that a persistent one is kept; 0: no end
	SecretSerial int64  // of the secret that signed; 0 for a login without a secret
	Client       string // see Session.Client
}

// Sessions is the table `session`.
type Sessions interface {
	Get(ctx context.Context, ref iot.DeviceRef) (*Session, error) // nil without an error if the device never connected
	GetMany(ctx context.Context, refs []iot.DeviceRef) ([]*Session, error)
	// Take gives each device's session to its node under a new, greater epoch, with one conditional write each, and answers
	// the new and the former session (nil if there was none). One device twice in takes: in that order. Errs are per take.
	Take(ctx context.Context, takes []Take) (now, before []*Session, errs []error)
	// End marks sessions as ended at that time, unless a newer epoch holds them.
	End(ctx context.Context, refs []iot.DeviceRef, epochs []int64, at []int64) []error
	// Subscribe replaces what devices have subscribed and muted. The error is Conflict where a newer epoch holds the session.
	// A device at most once.
	Subscribe(ctx context.Context, refs []iot.DeviceRef, subs []device.Subscriptions) []error
	// Hear notes that devices have spoken that have no connection; whoever holds their session of MQTT keeps it. Of a device that was
	// heard of later nothing is written, and nothing of one without a row unless it is a login. Errs are per hearing.
	Hear(ctx context.Context, heard []Hearing) []error
}

// A Hearing is that a device without a connection was heard of.
type Hearing struct {
	Ref          iot.DeviceRef
	At           int64
	Until        int64  // it counts as online until then
	Over         string // see Session.HeardOver
	From         string
	Login        bool  // it has proved who it is: the first such makes it active
	SecretSerial int64 // of a login: of the secret that signed
}

// A Node is one row of the table `node`: a connector that holds sessions while its lease lasts.
type Node struct {
	ID       string
	URL      string // base URL of its internal API
	Until    int64  // end of the lease
	Sessions int
	Lanes    map[string]device.LaneCounts // since its start, by function; nil if it never said
}

// Nodes is the table `node`.
type Nodes interface {
	Renew(ctx context.Context, n Node) error
	Get(ctx context.Context, id string) (*Node, error) // nil without an error if unknown
	List(ctx context.Context) ([]*Node, error)         // of the last 30 days, whether their leases last or not; by id
}

// A Post is the properties that one message of one device carried, already validated.
type Post struct {
	Ref       iot.DeviceRef
	MessageID string
	Values    []Value
	// HistoryOnly posts do not become latest values.
	HistoryOnly bool
	// Receipt and ReceivedAt are kept too, so that the message is recognized when it comes again (Repeated).
	Receipt
	ReceivedAt int64
}

// A Value is one property at one time. JSON is the value as the device wrote it.
type Value struct {
	Identifier string
	Time       int64
	JSON       json.RawMessage
}

// Properties is the tables `property_latest` and `property_history`.
type Properties interface {
	// Post stores history and latest values; the latest value of a property is the one with the greatest time, and of equal
	// times the last stored. Storing a post again changes nothing. Errs are per post; nil means it is durable.
	Post(ctx context.Context, posts []Post) (errs []error)
	Latest(ctx context.Context, ref iot.DeviceRef) ([]Value, error)
	// Repeated answers, for each message of list that a device sends once more, the post that it repeats; its MessageID is empty if there
	// is none any more. ReceivedAt of list is when it came this time.
	Repeated(ctx context.Context, list []Received) ([]Received, error)
	// History answers at most limit values of one property with from <= time <= to, and where to go on (0 if there is no more):
	// the next from if ascending, else the next to. Values of one time are never split over two answers; an answer is longer
	// than limit only if a single time has more.
	History(ctx context.Context, ref iot.DeviceRef, identifier string, from, to int64, ascending bool, limit int) ([]Value, int64, error)
}

// A DeadLetter is a record that no invocation could digest.
type DeadLetter struct {
	Ref       iot.DeviceRef
	MessageID string
	Function  string
	Topic     string
	Payload   []byte
	Reason    string
	At        int64
}

// DeadLetters is the table `dead_letter`, kept for 30 days.
type DeadLetters interface {
	Put(ctx context.Context, d *DeadLetter) error
	List(ctx context.Context, ref iot.DeviceRef, limit int) ([]*DeadLetter, error) // newest first
}

// An Application is a batch registration that was asked for (BatchRegisterDevice).
type Application struct {
	ID         int64
	ProductKey iot.ProductKey
	Names      []iot.DeviceName
	Status     string // CHECK_SUCCESS, CREATE, CREATE_SUCCESS, CREATE_FAILED
	Invalid    []iot.DeviceName
	CreatedAt  int64
}

// Applications is the table `application`, kept for 30 days.
type Applications interface {
	Put(ctx context.Context, a *Application) error
	Get(ctx context.Context, id int64) (*Application, error) // nil without an error if unknown
}
