package load

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"
)

// bareBroker starts the yardstick on a free port.
func bareBroker(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- BareBroker(ctx, address) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(5 * time.Second); ; {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		pause(ctx, 5*time.Millisecond)
	}
}

var devices = []Device{{"a1ProductKey", "dev-1", "secret-1"}, {"a1ProductKey", "dev-2", "secret-2"}}

// The account of a run against a broker that answers everything: each number once, none left open.
func TestRunKeepsAccount(t *testing.T) {
	t.Parallel()
	address := bareBroker(t)
	for name, o := range map[string]Options{
		"closed_loop": {Window: 4, Duration: 200 * time.Millisecond},
		"open_loop":   {Window: 4, Duration: 200 * time.Millisecond, Rate: 500},
	} {
		o.Address, o.Devices, o.FirstSeq, o.Bytes = address, devices, 1000, 200
		r, err := Run(context.Background(), o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.Sent == 0 || r.Counts.Acked != r.Sent || r.Replied != r.Sent || r.Open+int(r.Failed)+int(r.Different)+int(r.Unexpected)+int(r.Broken) != 0 {
			t.Errorf("%s: %+v, %d open", name, r.Counts, r.Open)
		}
		if r.AckLatency.Count != r.Sent || r.Reply.P99 < r.Reply.P50 || r.Reply.Max <= 0 {
			t.Errorf("%s: latencies %+v %+v", name, r.AckLatency, r.Reply)
		}
		for i, numbers := range r.Numbers {
			slices.Sort(numbers)
			if len(numbers) != len(slices.Compact(slices.Clone(numbers))) || len(numbers) > 0 && numbers[0] < 1000 {
				t.Errorf("%s: numbers of device %d: %v", name, i, numbers)
			}
		}
		if o.Rate > 0 && (r.Sent < 80 || r.Sent > 110) {
			t.Errorf("%d posts in 200 ms at 500 a second", r.Sent)
		}
	}
}

func TestPostAndHold(t *testing.T) {
	t.Parallel()
	address := bareBroker(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	reply, err := Post(ctx, address, devices[0], []byte(`{"a":1}`))
	if want := `{"code":200,"data":{},"id":"1","message":"success","method":"thing.event.property.post","version":"1.0"}`; err != nil || string(reply) != want {
		t.Errorf("%s, %v; want %s", reply, err, want)
	}
	release, err := Hold(ctx, address, devices)
	if err != nil {
		t.Fatal(err)
	}
	release()
	release()
	if _, err := Run(ctx, Options{Address: "127.0.0.1:1", Devices: devices, Duration: time.Second}); err == nil {
		t.Error("nobody listens there")
	}
}

// Vectors M1 to M9 of the protocol sign with a time stamp or other methods; this is M6's construction with hmacsha256.
func TestDeviceSigns(t *testing.T) {
	t.Parallel()
	d := Device{"pk", "device", "secret"}
	if got := d.Password("12345"); len(got) != 64 || got == (Device{"pk", "device", "other"}).Password("12345") {
		t.Errorf("password %s", got)
	}
	if d.Username() != "device&pk" || d.ClientID("12345") != "12345|securemode=3,signmethod=hmacsha256|" || d.Topic() != "/sys/pk/device/thing/event/property/post" {
		t.Errorf("%s %s %s", d.Username(), d.ClientID("12345"), d.Topic())
	}
}
