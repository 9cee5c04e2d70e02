// Package load is the load generator: many devices in one process that post properties, over MQTT at QoS 1, CoAP or HTTP, and an exact
// account of which post was acknowledged, answered, refused or left open. What it says was acknowledged must be found in the store
// afterwards; that is how the project proves its first promise. Devices are written from the device protocol ("MQTT CONNECT", "HTTP(S)
// device access", "CoAP device access"), not from the server.
//
// Every device posts {"seq":N,"fill":"…"}: the N are unique per device and over all its connections, so a history can be
// compared with the account number by number.
package load

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// A Device is the identity that one simulated device connects with.
type Device struct {
	ProductKey, DeviceName, DeviceSecret string
}

// Options say what to do. Address and Devices are required.
type Options struct {
	Protocol  Protocol        // MQTT if empty
	Address   string          // host:port; of HTTP the URL
	TLS       TLS             // of CoAPS and HTTPS
	Devices   []Device        // each gets one connection, or one socket
	Window    int             // posts in flight per device; 1 if zero, and always 1 over CoAP and HTTP
	Rate      float64         // posts per second of all devices together (open loop); 0 posts as fast as answers come
	Duration  time.Duration   // how long to post; what is in flight then is still waited for
	Until     <-chan struct{} // ends the posting before Duration, if set
	Bytes     int             // size of a payload; 200 if zero
	KeepAlive time.Duration   // 5 minutes if zero
	Reconnect bool            // come back after a broken connection and repeat what was open, with DUP; over CoAP and HTTP: repeat what failed for a moment
	FirstSeq  uint32          // the first number of each device
	Settle    time.Duration   // how long to wait for what is in flight at the end; 10 s if zero
	Progress  func(Counts)    // called once a second, if set
	Begin     func() error    // called over CoAP and HTTP when all devices have a token and before they post, if set
	Heard     func(Answer)    // called with the answer to each post, if set; it must be quick
	// Params, if set, appends the members of params to dst in place of seq and fill; Bytes is then not looked at.
	Params func(dst []byte, device int, seq uint32) []byte
}

// Counts is the account so far.
type Counts struct {
	Connected  int64 // connections that are up now
	Logins     int64 // CONNACKs with code 0
	Refused    int64 // CONNACKs with another code
	Broken     int64 // connections that ended without our doing
	Sent       int64 // posts, repetitions not counted
	Acked      int64 // PUBACKs for posts
	Replied    int64 // replies with code 200
	Failed     int64 // replies with another code
	Different  int64 // posts that were answered twice, differently
	Unexpected int64 // acknowledgements or replies that nobody waited for

	// Of CoAP and HTTP, whose devices keep no connection.
	Declined      int64 // posts that were answered with a code that is no success
	TimedOut      int64 // posts that were never answered, however often they were sent
	Retransmitted int64 // datagrams that were sent again
	Unsent        int64 // posts that were due and not sent: their device still waited for an answer
}

// A Report is what a run ended with.
type Report struct {
	Counts
	Elapsed    time.Duration // of the posting
	Open       int           // posts neither acknowledged nor answered at the end
	AckLatency Latency
	Reply      Latency
	Numbers    [][]uint32       // per device: the numbers that were acknowledged, in no order
	Codes      map[string]int64 // how often each code came that is no success, of CoAP (4.01) and HTTP (20001)
	FirstError error            // of the first connection that failed
}

type counters struct {
	connected, logins, refused, broken, sent, acked, replied, failed, different, unexpected, declined, timedOut, retransmitted, unsent atomic.Int64
}

func (c *counters) counts() Counts {
	return Counts{
		Connected: c.connected.Load(), Logins: c.logins.Load(), Refused: c.refused.Load(), Broken: c.broken.Load(),
		Sent: c.sent.Load(), Acked: c.acked.Load(), Replied: c.replied.Load(), Failed: c.failed.Load(),
		Different: c.different.Load(), Unexpected: c.unexpected.Load(),
		Declined: c.declined.Load(), TimedOut: c.timedOut.Load(), Retransmitted: c.retransmitted.Load(), Unsent: c.unsent.Load(),
	}
}

// Run connects every device, posts for the duration, waits for what is in flight, disconnects, and reports.
func Run(ctx context.Context, o Options) (*Report, error) {
	if len(o.Devices) == 0 || o.Address == "" {
		return nil, errors.New("load: an address and at least one device are needed")
	}
	o.Window = max(o.Window, 1)
	if o.Bytes == 0 {
		o.Bytes = 200
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = 5 * time.Minute
	}
	if o.Settle == 0 {
		o.Settle = 10 * time.Second
		if o.Protocol == CoAP || o.Protocol == CoAPS {
			o.Settle = exchangeLifetime + time.Second
		}
	}
	switch o.Protocol {
	case "", MQTT:
	case CoAP, CoAPS, HTTP, HTTPS:
		return runTokens(ctx, o)
	default:
		return nil, fmt.Errorf("load: protocol %q is not one of %v", o.Protocol, Protocols)
	}
	g := &generator{o: o, count: new(counters)}
	for i := range o.Devices {
		g.clients = append(g.clients, newClient(g, &o.Devices[i], i))
	}
	return g.run(ctx)
}

// A generator is one run.
type generator struct {
	o        Options
	count    *counters
	clients  []*client
	ack      histogram
	reply    histogram
	posting  atomic.Bool // new posts may be sent
	firstErr atomic.Pointer[error]
}

func (g *generator) run(ctx context.Context) (*Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running errgroup.Group
	if err := g.connectAll(ctx); err != nil {
		for _, c := range g.clients {
			c.close()
		}
		return nil, err
	}
	begun := time.Now()
	g.posting.Store(true)
	for _, c := range g.clients {
		running.Go(func() error { c.run(ctx); return nil })
	}
	post, stop := context.WithTimeout(ctx, g.o.Duration)
	defer stop()
	if g.o.Progress != nil {
		running.Go(func() error { progress(post, g.o.Progress, g.count); return nil })
	}
	if g.o.Until != nil {
		running.Go(func() error {
			select {
			case <-g.o.Until:
				stop()
			case <-post.Done():
			}
			return nil
		})
	}
	if g.o.Rate > 0 {
		g.openLoop(post)
	} else {
		<-post.Done()
	}
	g.posting.Store(false)
	elapsed := time.Since(begun)
	g.settle(ctx)
	cancel()
	for _, c := range g.clients {
		c.close()
	}
	if err := running.Wait(); err != nil {
		return nil, err
	}
	r := &Report{Counts: g.count.counts(), Elapsed: elapsed, AckLatency: g.ack.latency(), Reply: g.reply.latency()}
	for _, c := range g.clients {
		r.Open += c.open()
		r.Numbers = append(r.Numbers, c.ackedSeqs)
	}
	if e := g.firstErr.Load(); e != nil {
		r.FirstError = *e
	}
	return r, nil
}

// connectAll brings all devices up, 64 at a time.
func (g *generator) connectAll(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(64)
	for _, c := range g.clients {
		group.Go(func() error {
			for try := 1; ; try++ {
				err := c.connect(ctx)
				if err == nil {
					return nil
				}
				if !g.o.Reconnect || ctx.Err() != nil || try > 100 {
					return fmt.Errorf("connect %s/%s: %w", c.device.ProductKey, c.device.DeviceName, err)
				}
				pause(ctx, 100*time.Millisecond)
			}
		})
	}
	return group.Wait()
}

// openLoop offers posts at the rate, whatever the answers do; a post is timed from the moment it was due.
func (g *generator) openLoop(ctx context.Context) {
	interval := time.Duration(float64(time.Second) / g.o.Rate)
	due := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		if wait := time.Until(due); wait > 0 {
			pause(ctx, wait)
		}
		for try := 0; try < len(g.clients); try++ { // a device whose window is full is passed over
			if g.clients[(i+try)%len(g.clients)].offer(due) {
				break
			}
		}
		due = due.Add(interval)
	}
}

// settle waits until nothing is in flight.
func (g *generator) settle(ctx context.Context) {
	end := time.Now().Add(g.o.Settle)
	for time.Now().Before(end) && ctx.Err() == nil {
		open := 0
		for _, c := range g.clients {
			open += c.open()
		}
		if open == 0 {
			return
		}
		pause(ctx, 5*time.Millisecond)
	}
}

func progress(ctx context.Context, tell func(Counts), count *counters) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			tell(count.counts())
		}
	}
}

func (g *generator) note(err error) {
	if err != nil {
		g.firstErr.CompareAndSwap(nil, &err)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// payloadFrame is what a payload has around its fill.
const payloadFrame = len(`{"id":"4294967295","version":"1.0","params":{"seq":4294967295,"fill":""},"method":"thing.event.property.post"}`)

// appendPayload appends the post number seq of a device.
func (o *Options) appendPayload(dst []byte, device int, seq uint32) []byte {
	dst = append(dst, `{"id":"`...)
	dst = strconv.AppendUint(dst, uint64(seq), 10)
	dst = append(dst, `","version":"1.0","params":{`...)
	if o.Params != nil {
		dst = o.Params(dst, device, seq)
	} else {
		dst = append(dst, `"seq":`...)
		dst = strconv.AppendUint(dst, uint64(seq), 10)
		dst = append(dst, `,"fill":"`...)
		for range o.Bytes - payloadFrame {
			dst = append(dst, 'x')
		}
		dst = append(dst, '"')
	}
	return append(dst, `},"method":"thing.event.property.post"}`...)
}

// Password signs the way a device does: hmacsha256 over its id, name and product key, no timestamp.
func (d Device) Password(clientID string) string {
	mac := hmac.New(sha256.New, []byte(d.DeviceSecret))
	fmt.Fprintf(mac, "clientId%sdeviceName%sproductKey%s", clientID, d.DeviceName, d.ProductKey)
	return hex.EncodeToString(mac.Sum(nil))
}

// ClientID is the MQTT client id of a device that calls itself id.
func (d Device) ClientID(id string) string { return id + "|securemode=3,signmethod=hmacsha256|" }

// Username is the MQTT user name.
func (d Device) Username() string { return d.DeviceName + "&" + d.ProductKey }

// Topic is where the device posts its properties; replies come on Topic + "_reply".
func (d Device) Topic() string {
	return "/sys/" + d.ProductKey + "/" + d.DeviceName + "/thing/event/property/post"
}

// Hold connects devices and leaves them idle until release is called, which drops all connections at once without a word.
func Hold(ctx context.Context, address string, devices []Device) (release func(), err error) {
	g := &generator{o: Options{Address: address, Window: 1, Bytes: 200, KeepAlive: 20 * time.Minute, Reconnect: true}, count: new(counters)}
	for i := range devices {
		g.clients = append(g.clients, newClient(g, &devices[i], i))
	}
	drop := sync.OnceFunc(func() {
		for _, c := range g.clients {
			c.close()
		}
	})
	if err := g.connectAll(ctx); err != nil {
		drop()
		return nil, err
	}
	return drop, nil
}
