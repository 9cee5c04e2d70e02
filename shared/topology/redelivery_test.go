package topology_test

import (
	"testing"

	"relink/shared/record"
	"relink/shared/redelivery"
	"relink/shared/topology"
)

// A topo/delete that MQTT delivers again has a message id of its own, and is answered as the first time.
func TestDeleteRedelivered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, topology.DefaultLimits())
	w.desk.Again = redelivery.New(w.store.Receipts())
	w.link(gw, sub01)
	rec := record.Record{
		MessageID: "first", Device: gw, Topic: "/sys/" + gw.String() + "/thing/topo/delete", Payload: []byte(request(names(sub01))),
		QoS: 1, PacketID: 5, Since: 7, ReceivedAt: w.at,
	}
	again := rec
	again.MessageID, again.Dup, again.ReceivedAt = "second", true, w.at+5000
	for _, r := range []record.Record{rec, again} {
		if got := w.desk.Serve(t.Context(), "n1", []record.Record{r})[0]; got.Code != 200 {
			t.Errorf("%s: %+v", r.MessageID, got)
		}
	}
}
