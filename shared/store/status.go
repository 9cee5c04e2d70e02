package store

import "relink/shared/device"

// StatusOf tells a device's state and since when it has it (Unix milliseconds, 0 if never). session is nil if the device
// never connected; node is the row of the session's node, nil if that is unknown. A session counts as online only while its
// node's lease lasts. A device without a connection counts as online for a time after it was heard of ("Online and offline").
func StatusOf(disabled bool, session *Session, node *Node, now int64) (device.Status, int64) {
	status, since := connection(session, node, now)
	if disabled {
		return device.StatusDisabled, since
	}
	return status, since
}

func connection(session *Session, node *Node, now int64) (device.Status, int64) {
	status, since := connected(session, node, now)
	switch {
	case status != device.StatusOffline:
		return status, since
	case session.HeardUntil > now:
		return device.StatusOnline, session.HeardSince
	}
	return status, max(since, session.HeardUntil)
}

func connected(session *Session, node *Node, now int64) (device.Status, int64) {
	switch {
	case session == nil:
		return device.StatusUnactive, 0
	case session.Node == "":
		return device.StatusOffline, session.OfflineAt
	case node == nil || node.ID != session.Node:
		return device.StatusOffline, session.OnlineAt // when its node went away is not known
	case node.Until <= now:
		return device.StatusOffline, max(node.Until, session.OnlineAt)
	default:
		return device.StatusOnline, session.OnlineAt
	}
}
