package mqtt_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"relink/connector/mqtt"
	"relink/connector/session"
	"relink/connector/uplink"
	"relink/shared/record"
)

// inline is a cloud that answers posts in batches from one goroutine, as a lane does.
type inline struct {
	fakeCloud
	lane chan func()
}

func (l *inline) Submit(ctx context.Context, function string, r record.Record, done func(record.Result, error)) error {
	if function != "property" {
		return l.fakeCloud.Submit(ctx, function, r, done)
	}
	replies := []record.Reply{{Topic: r.Topic + "_reply", QoS: r.QoS, Payload: []byte(`{"code":200,"data":{},"id":"1","message":"success","method":"thing.event.property.post","version":"1.0"}`)}}
	l.lane <- func() { done(record.Result{Code: 200, Replies: replies}, nil) }
	return nil
}

func (l *inline) run() {
	for f := range l.lane {
		f()
	}
}

type silent struct{}

func (silent) Record(session.Event) {}

// BenchmarkPost is a QoS 1 post with its reply and acknowledgement, over loopback TCP, clients included.
func BenchmarkPost(b *testing.B) {
	for _, window := range []int{1, 16} {
		b.Run(fmt.Sprintf("window_%d", window), func(b *testing.B) {
			cloud := &inline{lane: make(chan func(), 1024)}
			go cloud.run()
			defer close(cloud.lane)
			n := start(b, func(o *mqtt.Options) {
				o.Dispatcher, o.Journal = cloud, silent{}
				o.Router = &uplink.Router{Dispatcher: cloud, Journal: silent{}, Meter: noMeter{}, IDs: uplink.NewIDs(1)}
			})
			const devices = 64
			todo := make(chan int, devices)
			for i := range devices {
				todo <- (b.N + i) / devices / window
			}
			b.ReportAllocs()
			b.ResetTimer()
			done := make(chan error, devices)
			for i := range devices {
				name := fmt.Sprintf("lamp-%03d", i)
				w := n.login(b, 4, name, "")
				if err := w.SetDeadline(time.Time{}); err != nil {
					b.Fatal(err)
				}
				rounds := <-todo
				go func() {
					one := publishPacket(4, 1, 1, "/sys/"+pk+"/"+name+"/thing/event/property/post", `{"id":"1","params":{"a":1,"b":"some text that makes it two hundred bytes long, which is what a small device sends every minute or so"}}`)
					var many []byte
					for range window {
						many = append(many, one...)
					}
					answer := make([]byte, window*(4+len("/sys/"+pk+"/"+name+"/thing/event/property/post_reply")+2+len(`{"code":200,"data":{},"id":"1","message":"success","method":"thing.event.property.post","version":"1.0"}`)+1+4))
					for range rounds {
						if _, err := w.Write(many); err != nil {
							done <- err
							return
						}
						if _, err := io.ReadFull(w, answer); err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for range devices {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
