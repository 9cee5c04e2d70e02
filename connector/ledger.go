package main

import "relink/shared/device"

// lanes are the counters of the dispatcher as the ledger wants them. The lease's own lane is left out: its record is always in flight.
func (c *connector) lanes() map[string]device.LaneCounts {
	counts := make(map[string]device.LaneCounts)
	for name, s := range c.dispatcher.Snapshot() {
		if name == "lease" || s.Accepted == 0 {
			continue
		}
		// Each counter is read by itself while others grow: what is refused follows from three of them and may lag behind for a moment.
		rejected := uint64(0)
		if s.Decided > s.Stored+s.DeadLetters {
			rejected = s.Decided - s.Stored - s.DeadLetters
		}
		counts[name] = device.LaneCounts{In: s.Accepted, Stored: s.Stored, Rejected: rejected, DeadLettered: s.DeadLetters, Undecided: s.Undecided}
	}
	return counts
}
