package refusal

// Causes for which a session ends.
const (
	Disconnected     Cause = "disconnect"
	ConnectionClosed Cause = "closed"
	TakenOver        Cause = "taken_over"
	Disabled         Cause = "disabled"
	Deleted          Cause = "deleted"
	Kicked           Cause = "kicked"
	KeepAliveExpired Cause = "keepalive_expired"
	ProtocolError    Cause = "protocol_error"
	WriteTimeout     Cause = "write_timeout"
	GrantExpired     Cause = "grant_expired"
	Shutdown         Cause = "shutdown"
	InternalError    Cause = "internal_error"
	SubLoggedOut     Cause = "sub_logged_out"
	GatewayGone      Cause = "gateway_gone"
	TopologyRemoved  Cause = "topology_removed"
	GatewayFull      Cause = "gateway_full"
)

var ends = []Explanation{
	{Disconnected, "The device said DISCONNECT.", "Nothing; this is how a session ends in order."},
	{ConnectionClosed, "The device, or the network between, closed the connection without DISCONNECT.",
		"If it repeats at even intervals, look for a NAT or firewall that forgets idle connections, and lower the keep-alive."},
	{TakenOver, "The same device connected again, and the newer connection holds the session.",
		"Nothing if the device lost its network. If both keep pushing each other out, two devices have the same identity."},
	{Disabled, "The device was disabled while connected.", "Enable it (relink device enable PRODUCT_KEY DEVICE_NAME); it connects at its next attempt."},
	{Deleted, "The device or its product was deleted while connected.", "Register it again if that was a mistake (relink device create); it then has a new secret."},
	{Kicked, "An operator ended the connection.", "Nothing; the device may connect again."},
	{KeepAliveExpired, "Nothing came from the device for one and a half times its keep-alive.",
		"Check that the firmware sends PINGREQ in time, and the network's quality. This is also what a switched-off device looks like."},
	{ProtocolError, "A packet does not follow the MQTT specification.",
		"Check the client library and its version; the log line says what was wrong."},
	{WriteTimeout, "The device did not read what was sent to it.", "Look at the device's network, and whether its receive loop is blocked."},
	{GrantExpired, "What the device was allowed had to be asked again, and was refused or not answered.",
		"See the login's refusal next to this line; the device connects again by itself."},
	{Shutdown, "The connector was stopped.", "Nothing; the device reaches another connector."},
	{InternalError, "The connector failed while it handled this connection, and closed it.",
		"Report it with the connector's own log line of that time, which has the stack; other connections are not affected."},
	{SubLoggedOut, "The gateway logged its sub-device out.", "Nothing; the gateway logs it in again when it is back."},
	{GatewayGone, "The connection of the gateway ended, and with it the sessions of all its sub-devices.",
		"Look why the gateway's own session ended; after its next CONNECT it logs its sub-devices in again."},
	{TopologyRemoved, "The sub-device was taken out of the topology of the gateway through which it was connected.",
		"Nothing if that was wanted; else add it again (topo/add by the gateway), and log it in."},
	{GatewayFull, "The gateway has as many sub-devices logged in as one connection may carry (2,000).",
		"Log sub-devices out that are not there, or spread them over several gateways."},
}
