package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"relink/scripts/load"
)

const benchModel = `{"properties":[
 {"identifier":"seq","name":"seq","accessMode":"r","required":false,"dataType":{"type":"int","specs":{"min":"0","max":"2147483647","step":"1"}}},
 {"identifier":"fill","name":"fill","accessMode":"r","required":false,"dataType":{"type":"text","specs":{"length":"10240"}}}],
 "events":[],"services":[]}`

// A measurement is one run of the load against one server.
type measurement struct {
	Target       string             `json:"target"`
	PostsPerSec  float64            `json:"postsPerSecond"`
	Posts        int64              `json:"posts"`
	Acked        int64              `json:"acknowledged"`
	Replied      int64              `json:"answered200"`
	Failed       int64              `json:"answeredOtherwise"`
	Open         int                `json:"open"`
	Broken       int64              `json:"brokenConnections"`
	AckP50       float64            `json:"ackP50Ms"`
	AckP99       float64            `json:"ackP99Ms"`
	AckMax       float64            `json:"ackMaxMs"`
	ReplyP50     float64            `json:"replyP50Ms"`
	ReplyP99     float64            `json:"replyP99Ms"`
	ReplyMax     float64            `json:"replyMaxMs"`
	Declined     int64              `json:"refused"`
	Codes        map[string]int64   `json:"refusedByCode,omitempty"`
	TimedOut     int64              `json:"timedOut"`
	Repeated     int64              `json:"retransmissions"`
	Unsent       int64              `json:"dueButNotSent"`
	Logins       int64              `json:"authentications"`
	CPUPerPostUs map[string]float64 `json:"cpuPerPostUs"`
	CPUShare     map[string]float64 `json:"cpuShareOfOneCore"`
	RSSMB        map[string]float64 `json:"rssMB"`
	roles        []string
}

// A comparison is what `relink bench` prints.
type comparison struct {
	Protocol load.Protocol      `json:"protocol"`
	Devices  int                `json:"devices"`
	Window   int                `json:"window"`
	Rate     float64            `json:"offeredPerSecond"`
	Bytes    int                `json:"bytes"`
	Relink   *measurement       `json:"relink"`
	Stored   *load.Verification `json:"stored,omitempty"`
	Bare     *measurement       `json:"bare,omitempty"`
	Ratio    float64            `json:"ratio,omitempty"`
}

func (a *app) benchCommand() *cobra.Command {
	var o load.Options
	var protocol string
	var devices int
	var every time.Duration
	var noBare, noVerify bool
	c := &cobra.Command{
		Use:   "bench",
		Short: "Post as fast as answers come, or at a rate, and check every acknowledged post in the store; MQTT next to a bare broker",
		Long: `Devices post, and every post must be acknowledged and answered. Then bench reads from Tablestore that every acknowledged post is stored. A
missing post is an error.

Over MQTT (QoS 1) devices have a window of posts in flight. In the same run the same load goes to a bare mochi-mqtt broker that stores
nothing and answers from its publish hook; the ratio of the two is what counts.

Over CoAP (UDP 5682, encrypted payloads) and HTTP a device has one post in flight: each has a socket of its own, sends a datagram again
after 2 s, doubling, 4 times, and over HTTP keeps its connection. A post that is refused is counted by its code and not repeated. There is
no bare server to compare with for these two.`,
		Example: `  relink bench --devices 1000 --window 16 --duration 30s
  relink bench --rate 1000 --duration 30s --no-bare
  relink bench --protocol coap --devices 5000 --every 1s --duration 1m
  relink bench --protocol http --devices 200 --duration 30s
  relink bench idle --connections 10000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if devices < 1 || devices > 15_000 {
				return fmt.Errorf("--devices is 1 to 15000, not %d", devices)
			}
			if o.Window < 1 || o.Window > 1000 || o.Duration <= 0 || o.Bytes < 120 || o.Bytes > 8000 || o.Rate < 0 || every < 0 {
				return errors.New("--window is 1 to 1000, --bytes 120 to 8000, --duration positive, --rate and --every not negative")
			}
			if every > 0 {
				o.Rate = float64(devices) / every.Seconds()
			}
			switch p := load.Protocol(protocol); p {
			case load.MQTT:
			case load.CoAP, load.HTTP:
				if cmd.Flags().Changed("window") {
					return fmt.Errorf("--window is of mqtt: over %s a device has one post in flight", p)
				}
				if p == load.CoAP && o.Bytes > maxCoAPBytes {
					return fmt.Errorf("--bytes is 120 to %d over coap: a message is one datagram", maxCoAPBytes)
				}
				o.Window, noBare = 1, true
			default:
				return fmt.Errorf("--protocol is mqtt, coap or http, not %q", protocol)
			}
			if err := a.reach(&o, protocol, false); err != nil {
				return err
			}
			return a.bench(cmd, o, devices, !noBare, !noVerify)
		},
	}
	f := c.Flags()
	f.StringVar(&protocol, "protocol", "mqtt", "how the devices speak: mqtt, coap or http")
	f.IntVar(&devices, "devices", 1000, "connections, or sockets")
	f.IntVar(&o.Window, "window", 16, "posts in flight per device (mqtt)")
	f.DurationVar(&o.Duration, "duration", 30*time.Second, "how long to post")
	f.IntVar(&o.Bytes, "bytes", 200, "size of a payload")
	f.Float64Var(&o.Rate, "rate", 0, "posts per second of all devices together (open loop); 0: as fast as answers come")
	f.DurationVar(&every, "every", 0, "interval of each device's posts: another way to say --rate")
	f.BoolVar(&noBare, "no-bare", false, "leave the bare broker out (mqtt)")
	f.BoolVar(&noVerify, "no-verify", false, "do not read back what was stored")
	c.MarkFlagsMutuallyExclusive("rate", "every")
	c.AddCommand(a.benchIdleCommand())
	return c
}

// maxCoAPBytes leaves room in a datagram of 1280 bytes (RFC 7252, 4.6) for the path, the token of up to 192, and the padding.
const maxCoAPBytes = 850

func (a *app) bench(cmd *cobra.Command, o load.Options, devices int, bare, verify bool) error {
	say := func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) }
	say("registering %d devices", devices)
	fleet, err := a.fleet("relink_bench", benchModel, devices)
	if err != nil {
		return err
	}
	o.Devices = fleet
	o.FirstSeq = rand.Uint32N(1_000_000_000) / 1000 * 1000 // numbers of earlier runs are not mistaken for this one's
	result := comparison{Protocol: o.Protocol, Devices: devices, Window: o.Window, Rate: o.Rate, Bytes: o.Bytes}
	begun := time.Now()
	say("posting to the platform for %s", o.Duration)
	m, report, err := a.measure(cmd.Context(), "relink", o, a.processes)
	if err != nil {
		return err
	}
	result.Relink = m
	if verify {
		say("reading back %d posts", m.Acked)
		tables, err := a.tables()
		if err != nil {
			return err
		}
		defer tables.Close()
		if result.Stored, err = load.Verify(cmd.Context(), tables.Properties(), fleet, report.Numbers, begun); err != nil {
			return err
		}
	}
	if bare {
		say("posting to a bare broker for %s", o.Duration)
		if result.Bare, err = a.measureBare(cmd.Context(), o); err != nil {
			return err
		}
		result.Ratio = result.Relink.PostsPerSec / result.Bare.PostsPerSec
	}
	if err := a.print(cmd, result, func(w io.Writer) { writeComparison(w, &result) }); err != nil {
		return err
	}
	switch {
	case result.Stored != nil && result.Stored.Missing > 0:
		return fmt.Errorf("%d acknowledged posts are not in the store", result.Stored.Missing)
	case m.Declined > 0 || m.TimedOut > 0:
		return fmt.Errorf("%d posts were refused (first: %v), %d were not answered", m.Declined, report.FirstError, m.TimedOut)
	case m.Failed > 0 || m.Open > 0 || report.Different > 0:
		return fmt.Errorf("%d posts were answered with an error, %d were left open, %d were answered twice differently", m.Failed, m.Open, report.Different)
	}
	return nil
}

// measure runs the load and says what it cost each process.
func (a *app) measure(ctx context.Context, target string, o load.Options, processes func() ([]usage, error)) (*measurement, *load.Report, error) {
	var before []usage
	o.Begin = func() (err error) { // what authentications cost is not the posts'
		if before, err = processes(); err != nil {
			return err
		}
		self, _, err := processUsage(os.Getpid())
		before = append(before, usage{role: "load generator", cpu: self})
		return err
	}
	if err := o.Begin(); err != nil {
		return nil, nil, err
	}
	r, err := load.Run(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	after, err := processes()
	if err != nil {
		return nil, nil, err
	}
	self1, selfRSS, err := processUsage(os.Getpid())
	if err != nil {
		return nil, nil, err
	}
	after = append(after, usage{role: "load generator", cpu: self1, rss: selfRSS})
	answered := r.Replied
	if o.Protocol == load.HTTP { // which delivers no reply
		answered = r.Acked
	}
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	m := &measurement{
		Target: target, PostsPerSec: float64(answered) / r.Elapsed.Seconds(), Posts: r.Sent, Acked: r.Acked, Replied: r.Replied,
		Failed: r.Failed, Open: r.Open, Broken: r.Broken,
		AckP50: ms(r.AckLatency.P50), AckP99: ms(r.AckLatency.P99), AckMax: ms(r.AckLatency.Max),
		ReplyP50: ms(r.Reply.P50), ReplyP99: ms(r.Reply.P99), ReplyMax: ms(r.Reply.Max),
		Declined: r.Declined, Codes: r.Codes, TimedOut: r.TimedOut, Repeated: r.Retransmitted, Unsent: r.Unsent, Logins: r.Logins,
		CPUPerPostUs: map[string]float64{}, CPUShare: map[string]float64{}, RSSMB: map[string]float64{},
	}
	for _, u := range after {
		cpu := u.cpu
		for _, b := range before {
			if b.role == u.role {
				cpu -= b.cpu
			}
		}
		m.roles = append(m.roles, u.role)
		m.CPUPerPostUs[u.role] = float64(cpu) / float64(time.Microsecond) / float64(max(1, r.Acked))
		m.CPUShare[u.role] = cpu.Seconds() / r.Elapsed.Seconds()
		m.RSSMB[u.role] = float64(u.rss) / (1 << 20)
	}
	return m, r, nil
}

// measureBare starts a bare broker as a process of its own, like the platform's, and puts the same load on it.
func (a *app) measureBare(ctx context.Context, o load.Options) (*measurement, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o.Address = l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	broker := exec.CommandContext(ctx, exe, "bare-broker", "--listen", o.Address)
	broker.Env = append(os.Environ(), "GOGC=400") // as the connector
	broker.Stderr = os.Stderr
	if err := broker.Start(); err != nil {
		return nil, err
	}
	defer func() {
		cancel()
		_ = broker.Wait() // it was killed; its error says just that
	}()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", o.Address)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the bare broker does not listen: %w", err)
		}
	}
	m, _, err := a.measure(ctx, "bare mochi", o, func() ([]usage, error) {
		cpu, rss, err := processUsage(broker.Process.Pid)
		return []usage{{role: "broker", cpu: cpu, rss: rss}}, err
	})
	return m, err
}

func (a *app) bareBrokerCommand() *cobra.Command {
	var listen string
	c := &cobra.Command{
		Use:    "bare-broker",
		Short:  "Serve the bare broker that bench compares with",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return load.BareBroker(cmd.Context(), listen) },
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:18830", "host:port")
	return c
}

type lineWriter func(name string, cell func(m *measurement) string)

func writeMQTT(line lineWriter) {
	line("acknowledged", func(m *measurement) string { return fmt.Sprint(m.Acked) })
	line("answered 200", func(m *measurement) string { return fmt.Sprint(m.Replied) })
	line("answered otherwise, open", func(m *measurement) string { return fmt.Sprintf("%d, %d", m.Failed, m.Open) })
	line("PUBACK p50/p99/max ms", func(m *measurement) string { return fmt.Sprintf("%.2f / %.2f / %.1f", m.AckP50, m.AckP99, m.AckMax) })
	line("reply p50/p99/max ms", func(m *measurement) string {
		return fmt.Sprintf("%.2f / %.2f / %.1f", m.ReplyP50, m.ReplyP99, m.ReplyMax)
	})
}

func writeTokens(line lineWriter, c *comparison) {
	name := "2.05"
	if c.Protocol == load.HTTP {
		name = "code 0"
	}
	line("sent", func(m *measurement) string { return fmt.Sprint(m.Posts) })
	line("acknowledged with "+name, func(m *measurement) string { return fmt.Sprint(m.Acked) })
	if c.Protocol == load.CoAP {
		line("their reply 200, otherwise", func(m *measurement) string { return fmt.Sprintf("%d, %d", m.Replied, m.Failed) })
		line("datagrams sent again", func(m *measurement) string { return fmt.Sprint(m.Repeated) })
	}
	line("refused", func(m *measurement) string { return fmt.Sprint(m.Declined) })
	for _, code := range slices.Sorted(maps.Keys(c.Relink.Codes)) {
		line("  code "+code, func(m *measurement) string { return fmt.Sprint(m.Codes[code]) })
	}
	line("not answered", func(m *measurement) string { return fmt.Sprint(m.TimedOut) })
	line("open, due but not sent", func(m *measurement) string { return fmt.Sprintf("%d, %d", m.Open, m.Unsent) })
	line("authentications", func(m *measurement) string { return fmt.Sprint(m.Logins) })
	line("latency p50/p99/max ms", func(m *measurement) string { return fmt.Sprintf("%.2f / %.2f / %.1f", m.AckP50, m.AckP99, m.AckMax) })
}

func writeComparison(w io.Writer, c *comparison) {
	loop := fmt.Sprintf("window %d", c.Window)
	if c.Rate > 0 {
		loop = fmt.Sprintf("%.0f posts/s offered", c.Rate)
	}
	what := string(c.Protocol)
	if c.Protocol == load.MQTT {
		what = "QoS 1"
	}
	fmt.Fprintf(w, "%d devices, %s, %s, %d bytes\n\n", c.Devices, loop, what, c.Bytes)
	targets := []*measurement{c.Relink}
	if c.Bare != nil {
		targets = append(targets, c.Bare)
	}
	line := func(name string, cell func(m *measurement) string) {
		fmt.Fprint(w, name)
		for _, m := range targets {
			fmt.Fprint(w, "\t"+cell(m))
		}
		fmt.Fprintln(w)
	}
	line("", func(m *measurement) string { return m.Target })
	line("posts/s", func(m *measurement) string { return fmt.Sprintf("%.0f", m.PostsPerSec) })
	if c.Protocol == load.MQTT {
		writeMQTT(line)
	} else {
		writeTokens(line, c)
	}
	if c.Bare != nil {
		fmt.Fprintf(w, "ratio to bare\t%.1f %%\n", 100*c.Ratio)
	}
	if c.Stored != nil {
		fmt.Fprintf(w, "read back from the store\t%d of %d acknowledged, %d missing\n", c.Stored.Found, c.Stored.Acked, c.Stored.Missing)
	}
	for _, m := range targets {
		fmt.Fprintf(w, "\n%s\tCPU µs/post\tof one core\tRSS MB\n", strings.ToUpper(m.Target))
		total := 0.0
		for _, r := range m.roles {
			total += m.CPUPerPostUs[r]
			fmt.Fprintf(w, "%s\t%.1f\t%.0f %%\t%.0f\n", r, m.CPUPerPostUs[r], 100*m.CPUShare[r], m.RSSMB[r])
		}
		fmt.Fprintf(w, "all\t%.1f\n", total)
	}
}
