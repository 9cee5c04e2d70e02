package tablestore

import "sync/atomic"

// Stats are counters since Open.
type Stats struct {
	Requests   int64 // all, whatever the answer
	Failures   int64 // answered with an error status
	RowsPut    int64 // rows written by any write operation
	RowsRead   int64 // rows returned
	RowsFailed int64 // rows of batches that failed by themselves
	ReadCU     int64 // capacity units, as billed
	WriteCU    int64
	BytesIn    int64 // request bodies
	BytesOut   int64 // response bodies
}

type counters struct {
	requests, failures, rowsPut, rowsRead, rowsFailed atomic.Int64
	readCU, writeCU, bytesIn, bytesOut                atomic.Int64
}

func (c *counters) count(rq *request, f *failure) {
	c.requests.Add(1)
	c.bytesIn.Add(int64(len(rq.body)))
	if f != nil {
		c.failures.Add(1)
		if f.status >= 500 { // such errors cost nothing
			return
		}
	}
	c.readCU.Add(int64(rq.readCU))
	c.writeCU.Add(int64(rq.writeCU))
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	c := &s.stats
	return Stats{
		Requests: c.requests.Load(), Failures: c.failures.Load(),
		RowsPut: c.rowsPut.Load(), RowsRead: c.rowsRead.Load(), RowsFailed: c.rowsFailed.Load(),
		ReadCU: c.readCU.Load(), WriteCU: c.writeCU.Load(),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
	}
}
