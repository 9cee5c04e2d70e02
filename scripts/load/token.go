package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A poster is the connectionless half of a device: CoAP or HTTP. One goroutine uses it; close may come from another one.
type poster interface {
	// login gets a token. Its errors are a *Refusal, errNoAnswer, or one of the network.
	login(ctx context.Context) error
	// post sends a payload to a topic under the token. nil: the platform has stored it. The reply is valid until the next call.
	post(ctx context.Context, topic string, payload []byte) (reply []byte, err error)
	close()
}

// errNoAnswer says that nothing came in time, however often the device asked.
var errNoAnswer = errors.New("no answer")

// again is the pause of a device before it tries what failed a second time ("C3 retries after 1 s").
const again = time.Second

// A tokenRun is one run of devices that speak with tokens.
type tokenRun struct {
	o       Options
	count   *counters
	clients []*tokenClient
	ack     histogram
	reply   histogram

	mu    sync.Mutex
	codes map[string]int64
	first error
}

// A tokenClient is one device. It has one post on its way, as CoAP wants it (NSTART) and as devices do it over HTTP.
type tokenClient struct {
	r       *tokenRun
	device  *Device
	number  int
	topic   string
	poster  poster
	seq     uint32
	acked   []uint32
	waiting bool // after run: the last post was not decided when time was up
	buf     []byte
}

func runTokens(ctx context.Context, o Options) (*Report, error) {
	if err := checkDevices(len(o.Devices)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &tokenRun{o: o, count: new(counters), codes: map[string]int64{}}
	for i := range o.Devices {
		d := &o.Devices[i]
		c := &tokenClient{r: r, device: d, number: i, topic: d.Topic(), seq: o.FirstSeq}
		if o.Protocol == CoAP || o.Protocol == CoAPS {
			c.poster = newCoAPClient(&r.o, d, r.count)
		} else {
			c.poster = newHTTPClient(&r.o, d)
		}
		r.clients = append(r.clients, c)
	}
	closeAll := func() {
		for _, c := range r.clients {
			c.poster.close()
		}
	}
	defer context.AfterFunc(ctx, closeAll)() // whoever waits for an answer wakes up
	defer closeAll()
	if err := r.loginAll(ctx, closeAll); err != nil {
		return nil, err
	}
	return r.run(ctx, cancel)
}

// silent is how long nothing may be heard before that is said: a device gives up a datagram after a minute only.
const silent = 5 * time.Second

// loginAll gets every device its token, 64 at a time. Devices that try again do so for the time of the run at most; closeAll wakes them up
// when it is over.
func (r *tokenRun) loginAll(ctx context.Context, closeAll func()) error {
	if r.o.Reconnect {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.o.Duration, fmt.Errorf("not all devices could authenticate at %s within %s", r.o.Address, r.o.Duration))
		defer cancel()
		stop := context.AfterFunc(ctx, closeAll)
		defer stop() // before cancel
	}
	if r.o.Heard != nil {
		notice := time.AfterFunc(silent, func() {
			if r.count.logins.Load() == 0 && r.count.refused.Load() == 0 {
				r.o.Heard(Answer{Device: r.clients[0].device, Err: fmt.Errorf("authentication: no answer from %s yet", r.o.Address)})
			}
		})
		defer notice.Stop()
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(64)
	for _, c := range r.clients {
		group.Go(func() error {
			for try := 1; ; try++ {
				err := c.login(ctx)
				if err == nil || ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if !r.o.Reconnect || try > 100 {
					return fmt.Errorf("authenticate %s/%s: %w", c.device.ProductKey, c.device.DeviceName, err)
				}
				pause(ctx, again)
			}
		})
	}
	return group.Wait()
}

func (r *tokenRun) run(ctx context.Context, cancel context.CancelFunc) (*Report, error) {
	if r.o.Begin != nil {
		if err := r.o.Begin(); err != nil {
			return nil, err
		}
	}
	begun := time.Now()
	post, stop := context.WithTimeout(ctx, r.o.Duration)
	defer stop()
	var others, running errgroup.Group
	for i, c := range r.clients {
		running.Go(func() error { c.run(ctx, post, begun, i); return nil })
	}
	if r.o.Progress != nil {
		others.Go(func() error { progress(post, r.o.Progress, r.count); return nil })
	}
	if r.o.Until != nil {
		others.Go(func() error {
			select {
			case <-r.o.Until:
				stop()
			case <-post.Done():
			}
			return nil
		})
	}
	<-post.Done()
	elapsed := time.Since(begun)
	settle := time.AfterFunc(r.o.Settle, cancel)
	defer settle.Stop()
	if err := errors.Join(running.Wait(), others.Wait()); err != nil {
		return nil, err
	}
	report := &Report{Counts: r.count.counts(), Elapsed: elapsed, AckLatency: r.ack.latency(), Reply: r.reply.latency(), Codes: maps.Clone(r.codes), FirstError: r.first}
	for _, c := range r.clients {
		report.Numbers = append(report.Numbers, c.acked)
		if c.waiting {
			report.Open++
		}
	}
	return report, nil
}

// run posts until post ends; ctx ends what is under way then. With a rate the device posts at its own even interval, at a place in it that
// differs from the others', and a post is timed from the moment when it was due, however long the one before took.
func (c *tokenClient) run(ctx, post context.Context, begun time.Time, place int) {
	var interval time.Duration
	due := begun
	if c.r.o.Rate > 0 {
		n := float64(len(c.r.clients))
		interval = time.Duration(float64(time.Second) * n / c.r.o.Rate)
		due = begun.Add(time.Duration(float64(interval) * float64(place) / n))
	}
	for {
		if interval == 0 {
			due = time.Now()
		} else if wait := time.Until(due); wait > 0 {
			pause(post, wait)
		}
		if post.Err() != nil {
			break
		}
		c.one(ctx, due)
		due = due.Add(interval)
	}
	if end, _ := post.Deadline(); interval > 0 && due.Before(end) && ctx.Err() == nil && errors.Is(post.Err(), context.DeadlineExceeded) {
		c.r.count.unsent.Add(int64(end.Sub(due)/interval) + 1)
	}
}

// one makes a post, under a new token if the old one is not taken any more.
func (c *tokenClient) one(ctx context.Context, due time.Time) {
	count := c.r.count
	c.buf = c.r.o.appendPayload(c.buf[:0], c.number, c.seq)
	seq := c.seq
	c.seq++
	count.sent.Add(1)
	for try := 0; ; try++ {
		reply, err := c.poster.post(ctx, c.topic, c.buf)
		if err == nil {
			c.stored(seq, due, reply)
			return
		}
		if ctx.Err() != nil {
			c.waiting = true
			return
		}
		refusal, refused := errors.AsType[*Refusal](err)
		c.heard(err, refusal)
		retry := c.r.o.Reconnect && try < 3
		switch {
		case refused && refusal.stale():
			retry = try == 0 || retry && try < 2 // a token that was just got and is not taken will not get better
			if !c.renew(ctx) {
				retry = false
			}
		case refused:
			retry = retry && refusal.passing()
			c.wait(ctx, try)
		case errors.Is(err, errNoAnswer):
			retry = false
		default: // the connection broke
			count.broken.Add(1)
			c.wait(ctx, try)
			if !c.renew(ctx) {
				retry = false
			}
		}
		if retry && ctx.Err() == nil {
			continue
		}
		switch {
		case refused:
			count.declined.Add(1)
		default:
			count.timedOut.Add(1)
		}
		return
	}
}

// wait keeps a device that was refused from asking as fast as it is refused.
func (c *tokenClient) wait(ctx context.Context, try int) {
	pause(ctx, again<<min(try, 3)+rand.N(again/4))
}

// renew gets a new token.
func (c *tokenClient) renew(ctx context.Context) bool {
	err := c.login(ctx)
	if err != nil && ctx.Err() == nil {
		c.wait(ctx, 0)
	}
	return err == nil
}

func (c *tokenClient) login(ctx context.Context) error {
	err := c.poster.login(ctx)
	if err == nil {
		c.r.count.logins.Add(1)
		return nil
	}
	if ctx.Err() == nil {
		c.r.count.refused.Add(1)
		refusal, _ := errors.AsType[*Refusal](err)
		c.heard(fmt.Errorf("authentication: %w", err), refusal)
	}
	return err
}

func (c *tokenClient) stored(seq uint32, due time.Time, reply []byte) {
	count := c.r.count
	took := time.Since(due)
	c.acked = append(c.acked, seq)
	count.acked.Add(1)
	c.r.ack.record(took)
	if code, ok := numberAfter(reply, `"code":`); ok {
		c.r.reply.record(took)
		if code == 200 {
			count.replied.Add(1)
		} else {
			count.failed.Add(1)
		}
	}
	if c.r.o.Heard != nil {
		c.r.o.Heard(Answer{Device: c.device, Code: successOf(c.r.o.Protocol), Reply: reply})
	}
}

func (c *tokenClient) heard(err error, refusal *Refusal) {
	answer := Answer{Device: c.device, Err: err}
	c.r.mu.Lock()
	if c.r.first == nil {
		c.r.first = err
	}
	if refusal != nil {
		answer.Code = refusal.Code
		c.r.codes[refusal.Code]++
	}
	c.r.mu.Unlock()
	if c.r.o.Heard != nil {
		c.r.o.Heard(answer)
	}
}

func successOf(p Protocol) string {
	switch p {
	case CoAP, CoAPS:
		return "2.05"
	case HTTP, HTTPS:
		return "0"
	}
	return "200"
}
