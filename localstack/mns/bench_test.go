package mns_test

import (
	"strings"
	"sync/atomic"
	"testing"

	ali "github.com/aliyun/aliyun-mns-go-sdk"

	"relink/localstack/mns"
)

// BenchmarkSend sends over the wire with the SDK, to a store on disk; every send is fsynced.
func BenchmarkSend(b *testing.B) {
	for _, size := range []int{200, 4096} {
		b.Run(map[int]string{200: "200B", 4096: "4KB"}[size], func(b *testing.B) {
			_, endpoint := start(b, mns.Options{Dir: b.TempDir()})
			c := client(endpoint)
			newQueue(b, c, "q")
			body := strings.Repeat("x", size)
			b.SetParallelism(16)
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				q := queueOf(c, "q")
				for p.Next() {
					if _, err := q.SendMessage(ali.MessageSendRequest{MessageBody: body}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkBatches sends, receives and deletes 16 at a time; one iteration is one message's whole way.
func BenchmarkBatches(b *testing.B) {
	_, endpoint := start(b, mns.Options{Dir: b.TempDir()})
	c := client(endpoint)
	newQueue(b, c, "q")
	list := make([]ali.MessageSendRequest, 16)
	for i := range list {
		list[i].MessageBody = strings.Repeat("x", 200)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	b.SetParallelism(8)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		q := queueOf(c, "q")
		for p.Next() {
			if left.Add(-16) < -15 {
				continue
			}
			if _, err := q.BatchSendMessage(list...); err != nil {
				b.Error(err)
			}
			got, err := receiveBatch(q, 16, 1)
			if err != nil {
				b.Error(err)
				continue
			}
			var handles []string
			for _, m := range got {
				handles = append(handles, m.ReceiptHandle)
			}
			if _, err := q.BatchDeleteMessage(handles...); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkBacklog receives and deletes from a queue that has had many messages: what is gone costs nothing.
func BenchmarkBacklog(b *testing.B) {
	_, endpoint := start(b, mns.Options{Dir: b.TempDir()})
	q := newQueue(b, client(endpoint), "q")
	list := make([]ali.MessageSendRequest, 16)
	for i := range list {
		list[i].MessageBody = "x"
	}
	for range (b.N + 15) / 16 {
		if _, err := q.BatchSendMessage(list...); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for range b.N {
		m, err := receive(q)
		if err != nil {
			b.Fatal(err)
		}
		if err := q.DeleteMessage(m.ReceiptHandle); err != nil {
			b.Fatal(err)
		}
	}
}
