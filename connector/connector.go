package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"relink/connector/coap"
	"relink/connector/devicelog"
	"relink/connector/dispatch"
	"relink/connector/downlink"
	"relink/connector/download"
	"relink/connector/dtls"
	devicehttp "relink/connector/http"
	"relink/connector/limits"
	"relink/connector/mqtt"
	"relink/connector/openapi"
	"relink/connector/ops"
	"relink/connector/session"
	devicetoken "relink/connector/token"
	"relink/connector/uplink"
	"relink/shared/device"
	internal "relink/shared/downlink"
	urls "relink/shared/download"
	"relink/shared/fc"
	"relink/shared/interest"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/message"
	"relink/shared/objects"
	"relink/shared/store"
	"relink/shared/token"
)

// What stopping may take, all together less than three seconds.
const (
	stopDevices  = 1300 * time.Millisecond // answers that are due, ends of sessions
	settleFor    = 600 * time.Millisecond  // of which answers may take
	stopDispatch = 600 * time.Millisecond
	stopHTTP     = 100 * time.Millisecond // its connections are closed by then
	stopTokens   = 100 * time.Millisecond // what devices were heard of lately
	stopLease    = 400 * time.Millisecond
	stopLogs     = 300 * time.Millisecond
)

// A connector is all that runs in this process.
type connector struct {
	settings   *settings
	log        *slog.Logger
	registry   *session.Registry
	drops      *session.Drops
	dispatcher *dispatch.Dispatcher
	presence   *session.Presence
	devicelog  *devicelog.Writer
	mqtt       *mqtt.Server
	http       *devicehttp.Server
	tokens     *devicetoken.Keeper
	coap       *coap.Server
	dtls       *dtls.Server
	peers      *downlink.Peers
	health     *ops.Health
	internal   *http.Server
	openapi    *http.Server
	door       *download.Door // nil: this node has none
	download   *http.Server
	keys       keyring

	tasks     sync.WaitGroup
	endLease  context.CancelFunc
	endOthers context.CancelFunc
}

// journal writes events to the device log.
type journal struct{ to *devicelog.Writer }

func (j journal) Record(e session.Event) {
	j.to.Log(devicelog.Entry{
		Device: e.Device, IotID: e.IotID, MessageID: e.MessageID, Operation: e.Operation, Topic: e.Topic, Code: e.Code, Reason: string(e.Reason),
		Detail: e.Detail, Signed: e.Signed, LatencyMS: float64(e.LatencyMS), RequestID: e.RequestID, Remote: e.RemoteAddr, Bytes: e.Bytes, QoS: e.QoS,
	})
}

func build(s *settings, log *slog.Logger) (*connector, error) {
	c := &connector{settings: s, log: log, registry: &session.Registry{}, drops: session.NewDrops(s.LoginTimeout + 5*time.Second)}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	tlsConfig, err := s.loadTLS()
	if err != nil {
		return nil, err
	}
	invoker, err := fc.New(fc.Config{
		Endpoint: s.FCEndpoint, Region: s.Region, AccessKeyID: s.AccessKeyID, Secret: s.AccessKeySecret, SecurityToken: s.SecurityToken, Prefix: s.FunctionPrefix,
	})
	if err != nil {
		return nil, err
	}
	tables, err := store.Open(store.FromConfig(s.Cloud, s.Store))
	if err != nil {
		return nil, err
	}
	if s.SLSEndpoint != "" {
		c.devicelog, err = devicelog.New(devicelog.Options{
			Endpoint: s.SLSEndpoint, Dial: s.SLSDial, Project: s.SLSProject, AccessKeyID: s.AccessKeyID, Secret: s.AccessKeySecret,
			SecurityToken: s.SecurityToken, Node: s.NodeID, Success: s.DeviceLog, Registerer: reg, Logger: log,
		})
		if err != nil {
			return nil, err
		}
	}
	c.keys = keyring{invoker.SetCredentials}
	for _, set := range []func(string, iot.Secret, iot.Secret){tables.SetCredentials, c.devicelog.SetCredentials} {
		c.keys = append(c.keys, func(id string, secret, token iot.Secret) error { set(id, secret, token); return nil })
	}
	c.dispatcher = dispatch.New(dispatch.Options{
		Node: s.NodeID, Invoker: invoker, DeadLetters: tables.DeadLetters(), Deadline: s.Deadline, MaxBytes: s.MaxInMemory, Logger: log, Metrics: reg,
		Lanes: map[string]dispatch.Lane{
			"auth":       {Lanes: s.AuthLanes, MaxRecords: s.BatchRecords, Deadline: s.LoginTimeout, Private: true},
			"property":   {Lanes: s.PropertyLanes, MaxRecords: s.BatchRecords, Linger: s.Linger},
			"lifecycle":  {Lanes: s.LifecycleLanes, MaxRecords: s.BatchRecords, Private: true},
			"event":      {Lanes: s.OtherLanes, MaxRecords: s.BatchRecords, Linger: s.Linger},
			"shadow":     {Lanes: s.OtherLanes, MaxRecords: s.BatchRecords},
			"topology":   {Lanes: s.OtherLanes, MaxRecords: s.BatchRecords, Private: true}, // registrations and logins of sub-devices
			"deviceinfo": {Lanes: s.OtherLanes, MaxRecords: s.BatchRecords},
			"ota":        {Lanes: s.OtherLanes, MaxRecords: s.BatchRecords},
			"command":    {Lanes: s.OtherLanes, MaxRecords: s.BatchRecords},                   // what devices answer
			message.Rule: {Lanes: s.OtherLanes, MaxRecords: s.BatchRecords, Linger: s.Linger}, // publishes on topics of the products' own that somebody wants
			// Given up before the next one is due, with time for a second attempt.
			"lease": {Function: "lifecycle", Lanes: 1, Queue: 4, Deadline: s.Lease / 3, InvokeTimeout: s.Lease / 6, Private: true},
		},
	})
	failures := limits.BudgetOptions{
		Burst: s.FailureBurst, PerMinute: s.FailureRate, MaxSources: limits.DefaultBudget().MaxSources, ExemptLoopback: s.ExemptLoopback,
	}
	budget, forgeable := limits.NewBudget(failures), limits.NewBudget(failures) // forgeable: of addresses on plain datagrams
	meter := ops.NewMeter(reg, ops.Gauges{
		Sessions: c.registry.Len, Opening: func() int { return c.mqtt.Opening() }, Sources: func() int { return budget.Sources() + forgeable.Sources() },
		Untold: func() (int, uint64) { return c.presence.Untold() },
	})
	node := fnv.New32a()
	_, _ = node.Write([]byte(s.NodeID)) // never fails
	ids := uplink.NewIDs(node.Sum32())
	events := journal{c.devicelog}
	c.presence = &session.Presence{
		Dispatcher: c.dispatcher, Journal: events, Logger: log, NextID: ids.Next, Node: s.NodeID, URL: s.InternalURL, Now: time.Now,
		Registry: c.registry, Lanes: c.lanes,
	}
	c.peers = downlink.NewPeers(internal.NewClient(s.InternalKey), log, meter.Takeover)
	connects := limits.NewConnects(s.ConnectBurst, s.ConnectRate, 200_000, nil)
	sealer, err := token.New(s.InternalKey, nil)
	if err != nil {
		return nil, err
	}
	rates := limits.Rates{UpQoS0: s.UpQoS0, UpQoS1: s.UpQoS1, Down: s.DownRate, Bytes: s.UpBytes}
	c.tokens = devicetoken.New(devicetoken.Options{
		Dispatcher: c.dispatcher, Journal: events, Sealer: sealer, NextID: ids.Next, Node: s.NodeID, Logger: log, Budget: budget, Forgeable: forgeable, Connects: connects,
		Rates: rates, Refused: meter.Refused, LoginTimeout: s.LoginTimeout, MaxDevices: s.MaxTokenDevices,
		Share: func(g *device.Grant) *device.Classes { return c.mqtt.ShareClasses(g) },
	})
	router := &uplink.Router{Dispatcher: c.dispatcher, Journal: events, Meter: meter, IDs: ids, Interest: interest.NewWatch(tables.RuleIndex(), nil)}
	c.http = devicehttp.New(devicehttp.Options{
		Dispatcher: c.dispatcher, Journal: events, Budget: budget, Connects: connects, NextID: ids.Next, Refused: meter.Refused, Logger: log, LoginTimeout: s.LoginTimeout,
		Advertise: s.Advertise, Tokens: c.tokens, Router: router, MaxPosts: s.MaxPosts,
	})
	c.mqtt = mqtt.New(mqtt.Options{
		HTTP: c.http, RegisterTLS: s.RegisterTLS,
		Dispatcher: c.dispatcher, Registry: c.registry, Presence: c.presence, Journal: events, Meter: meter, Logger: log,
		Router: router,
		Drops:  c.drops, TLS: tlsConfig, Budget: budget, Connects: connects, Node: s.NodeID, Superseded: c.peers.Superseded,
		MaxConnections: s.MaxConnections, MaxOpening: s.MaxOpening, MaxPerSource: s.MaxPerSource, ExemptLoopback: s.ExemptLoopback,
		OpenTimeout: s.OpenTimeout, LoginTimeout: s.LoginTimeout, MinKeepAlive: s.MinKeepAlive, MaxKeepAlive: s.MaxKeepAlive,
		SettleTimeout: settleFor, Rates: rates,
	})
	c.health = &ops.Health{Node: s.NodeID, Started: time.Now(), Sessions: c.registry.Len, Ready: c.presence.Held}
	c.internal = c.internalServer(reg, events, meter)
	c.openapi = openapi.New(invoker, log).Server()
	files, signer, err := c.downloads(reg, tlsConfig)
	if err != nil {
		return nil, err
	}
	c.coapFace(reg, sealer, router, events, meter, budget, forgeable, connects, files, signer)
	c.dtlsFace(reg, tlsConfig, events, meter, budget, ids.Next)
	return c, nil
}

// downloads makes the download door, if it is to be opened, and gives what it serves: where files are, and who reads their URLs; nothing if the
// installation has no downloads.
func (c *connector) downloads(reg prometheus.Registerer, certificate *tls.Config) (objects.Bucket, *urls.Signer, error) {
	s := c.settings
	if s.ListenDownload == "" && s.DownloadURL == "" {
		return nil, nil, nil
	}
	files, err := objects.Open(s.Cloud)
	if err != nil {
		return nil, nil, err
	}
	signer, err := urls.NewSigner(s.DownloadURL, s.InternalKey, time.Now)
	if err != nil {
		return nil, nil, err
	}
	c.keys = append(c.keys, func(id string, secret, token iot.Secret) error { files.SetCredentials(id, secret, token); return nil })
	if s.ListenDownload == "" {
		return files, signer, nil
	}
	c.door = download.New(download.Options{Files: files, URLs: signer, TLS: certificate, Log: c.log, Metrics: reg,
		PerSource: s.DownloadsPerSource, ExemptLoopback: s.ExemptLoopback})
	c.download = c.door.Server()
	return files, signer, nil
}

func (c *connector) internalServer(reg *prometheus.Registry, events session.Journal, meter *ops.Meter) *http.Server {
	api := &downlink.Server{
		Registry: c.registry, Drops: c.drops, Journal: events, Logger: c.log, Key: c.settings.InternalKey, Meter: meter, Now: time.Now, Classes: c.mqtt, Tokens: c.tokens,
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", api.Handler())
	mux.Handle("GET /healthz", c.health)
	mux.Handle("GET /metrics", ops.Metrics(reg))
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelWarn),
	}
}

// firstLease is how long devices wait for the lease, so that a session is not nobody's. Without it they are let in all the same: the
// lease is tried on, and until it is there the node is not ready for what a load balancer sends.
const firstLease = 5 * time.Second

// start begins everything: devices last, once this node has its lease.
func (c *connector) start(ctx context.Context, o *opened) {
	// What stops in an order of its own must not end with ctx.
	background := context.WithoutCancel(ctx)
	lease, endLease := context.WithCancel(background)
	others, endOthers := context.WithCancel(background)
	c.endLease, c.endOthers = endLease, endOthers
	c.tasks.Go(func() {
		if err := c.dispatcher.Run(background); err != nil {
			c.log.LogAttrs(background, slog.LevelError, "dispatcher ended", logs.Err(err))
		}
	})
	c.tasks.Go(func() { new(ops.Trimmer).Run(others) })
	if file := c.settings.CredentialsFile; file != "" {
		c.tasks.Go(func() { c.keys.keep(others, file, credentialsEvery, c.log) })
	}
	c.tasks.Go(func() {
		if err := c.internal.Serve(o.internal); !errors.Is(err, http.ErrServerClosed) {
			c.log.LogAttrs(background, slog.LevelError, "internal API ended", logs.Err(err))
		}
	})
	if o.openapi != nil {
		c.tasks.Go(func() {
			if err := c.openapi.Serve(o.openapi); !errors.Is(err, http.ErrServerClosed) {
				c.log.LogAttrs(background, slog.LevelError, "front door of the OpenAPI ended", logs.Err(err))
			}
		})
	}
	if o.download != nil {
		c.tasks.Go(func() {
			if err := c.download.Serve(c.door.Listen(o.download, c.settings.MaxDownloads)); !errors.Is(err, http.ErrServerClosed) {
				c.log.LogAttrs(background, slog.LevelError, "download door ended", logs.Err(err))
			}
		})
	}
	first, cancel := context.WithTimeout(ctx, firstLease)
	if err := c.presence.Renew(first, c.settings.Lease, 0); err != nil {
		c.log.LogAttrs(ctx, slog.LevelError, "no lease yet: devices are let in, but count as offline", logs.Err(err))
	}
	cancel()
	c.tasks.Go(func() { c.presence.KeepLease(lease, c.settings.Lease, c.registry.Len) })
	for _, l := range o.devices {
		c.mqtt.Serve(l)
	}
	if o.coap != nil {
		c.coap.ServeUDP(o.coap)
	}
	if o.coaps != nil {
		c.dtls.Serve(o.coaps)
	}
}

// stop ends everything: no new devices, answers that are due, the ends of sessions, what is in flight, the lease, the logs.
func (c *connector) stop() error {
	c.health.Stop()
	var all []error
	step := func(what string, limit time.Duration, f func(context.Context) error) {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := f(ctx); err != nil {
			all = append(all, fmt.Errorf("%s: %w", what, err))
		}
	}
	step("openapi", 100*time.Millisecond, func(ctx context.Context) error {
		if err := c.openapi.Shutdown(ctx); err != nil {
			return c.openapi.Close() // calls that take longer; their SDKs see a broken connection
		}
		return nil
	})
	if c.download != nil {
		step("downloads", 100*time.Millisecond, func(context.Context) error { return c.download.Close() }) // devices come again with a Range
	}
	coapEnded := make(chan error, 1)
	go func() { // beside MQTT, whose devices take as long
		ctx, cancel := context.WithTimeout(context.Background(), settleFor)
		defer cancel()
		err := c.coap.Shutdown(ctx)
		coapEnded <- errors.Join(err, c.dtls.Shutdown(ctx)) // after the answers that are due
	}()
	step("devices", stopDevices, c.mqtt.Shutdown)
	step("CoAP devices", settleFor, func(context.Context) error { return <-coapEnded })
	step("device HTTP", stopHTTP, c.http.Shutdown)
	step("tokens", stopTokens, c.tokens.Close)
	c.endLease()
	step("lease", stopLease, func(ctx context.Context) error { return c.presence.Lease(ctx, time.Now().Add(-time.Second), 0) })
	step("dispatch", stopDispatch, c.dispatcher.Close)
	c.peers.Close()
	c.endOthers()
	step("internal API", 100*time.Millisecond, func(ctx context.Context) error {
		if err := c.internal.Shutdown(ctx); err != nil {
			return c.internal.Close() // synchronous calls whose devices are gone
		}
		return nil
	})
	step("device log", stopLogs, c.devicelog.Close)
	c.tasks.Wait()
	return errors.Join(all...)
}
