// Lifecycle is the function that keeps who is online: it looks once more at who came online, ends
// sessions, notes when devices without a connection were heard of, keeps what devices have subscribed, and renews the leases of connectors; it hands out what is queued for a
// device that comes online, and forgets what a device has acknowledged.
package main

import (
	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/offline"
)

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	return &handler{devices: p.Store.Devices(), sessions: p.Store.Sessions(), nodes: p.Store.Nodes(), links: p.Store.Topology(), queue: offline.New(p.Store.OfflineMessages(), offline.DefaultBounds(), nil), log: p.Log, rules: p.Rules}, nil
}
