package sls_test

import (
	"fmt"
	"testing"
	"time"

	sdk "github.com/aliyun/aliyun-log-go-sdk"
	"google.golang.org/protobuf/proto"

	"relink/localstack/sls"
	"relink/localstack/sls/slstest"
)

func deviceLogs(n int, at time.Time) []sls.Log {
	logs := make([]sls.Log, n)
	for i := range logs {
		logs[i] = sls.Log{Time: at, Fields: []sls.Field{
			{Key: "product_key", Value: "a1B2c3D4e5F"}, {Key: "device_name", Value: fmt.Sprintf("sensor-%05d", i)},
			{Key: "message_id", Value: fmt.Sprint(100000 + i)}, {Key: "topic", Value: "/sys/a1B2c3D4e5F/sensor/thing/event/property/post"},
			{Key: "operation", Value: "property_post"}, {Key: "code", Value: "200"}, {Key: "latency_ms", Value: "3.25"},
		}}
	}
	return logs
}

// BenchmarkPutLogs sends groups of 100 logs through the SDK over a socket; it
// measures client and server.
func BenchmarkPutLogs(b *testing.B) {
	in := slstest.Start(b, sls.Options{Dir: b.TempDir()})
	c := client(in, false)
	setup(b, c)
	g := &sdk.LogGroup{Topic: proto.String("uplink"), Source: proto.String("10.0.0.1")}
	for _, l := range deviceLogs(100, time.Now()) {
		log := &sdk.Log{Time: proto.Uint32(uint32(l.Time.Unix()))}
		for _, f := range l.Fields {
			log.Contents = append(log.Contents, &sdk.LogContent{Key: proto.String(f.Key), Value: proto.String(f.Value)})
		}
		g.Logs = append(g.Logs, log)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.PutLogs(project, logstore, g); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*100), "ns/log")
}

// BenchmarkAppend writes groups of 100 logs in process.
func BenchmarkAppend(b *testing.B) {
	in := slstest.Start(b, sls.Options{Dir: b.TempDir()})
	setup(b, client(in, false))
	logs := deviceLogs(100, time.Now())
	b.ReportAllocs()
	for b.Loop() {
		if err := in.Append(project, logstore, "uplink", "10.0.0.1", logs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*100), "ns/log")
}

// BenchmarkQuery looks through 100,000 logs of a quarter of an hour, of which one
// matches, in groups of 10.
func BenchmarkQuery(b *testing.B) {
	in := slstest.Start(b, sls.Options{Dir: b.TempDir()})
	c := client(in, false)
	setup(b, c)
	start := time.Now().Add(-900 * time.Second)
	for i := range 10000 {
		logs := deviceLogs(10, start.Add(time.Duration(i)*90*time.Millisecond))
		if i == 5000 {
			logs[3].Fields[5].Value = "6100"
		}
		if err := in.Append(project, logstore, "uplink", "10.0.0.1", logs); err != nil {
			b.Fatal(err)
		}
	}
	for _, query := range []string{"6100", "code: 6100", "code > 6000", "not 200"} {
		b.Run(query, func(b *testing.B) {
			for b.Loop() {
				r, err := c.GetLogs(project, logstore, "", start.Unix(), start.Unix()+901, query, 100, 0, true)
				if err != nil || r.Count != 1 {
					b.Fatalf("%d logs, %v", r.Count, err)
				}
			}
		})
	}
}
