// Lifecycle is the function that keeps who is online: it looks once more at who came online, ends
// sessions, keeps what devices have subscribed, and renews the leases of connectors.
package main

import (
	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
)

func main() { tables.Main(newHandler) }

func newHandler(p tables.Parts) (fcrun.Handler, error) {
	return &handler{devices: p.Store.Devices(), sessions: p.Store.Sessions(), nodes: p.Store.Nodes(), log: p.Log}, nil
}
