package refusal

// Causes for which something about a gateway's sub-devices is refused ("Gateways and sub-devices").
const (
	NotGateway          Cause = "not_a_gateway"
	NotSubDevice        Cause = "not_a_sub_device"
	TopologyMissing     Cause = "topology_missing"
	TopologySelf        Cause = "topology_self"
	TopologyFull        Cause = "topology_full"
	BoundElsewhere      Cause = "bound_to_another_gateway"
	SubSignMismatch     Cause = "sub_sign_mismatch"
	SubLoginsTooMany    Cause = "sub_logins_too_many"
	SubDevicesOnline    Cause = "sub_devices_online_too_many"
	SubSessionMissing   Cause = "sub_session_missing"
	SubRegistrationOff  Cause = "sub_registration_off"
	SubActivated        Cause = "sub_already_activated"
	FoundNameMalformed  Cause = "found_name_malformed"
	SubEntriesExcessive Cause = "sub_entries_excessive"
)

var gateways = []Explanation{
	{NotGateway, "A device of a product that is no gateway asked for what gateways alone may do (code 460).",
		"Register the device under a product of node type 1 (gateway); the node type cannot be changed afterwards."},
	{NotSubDevice, "The named device belongs to a gateway product, so it cannot be a sub-device (code 5244).",
		"Register it under a product of node type 0; a gateway connects by itself."},
	{TopologyMissing, "The sub-device does not belong to this gateway (code 6401).",
		"Let the gateway send thing/topo/add first, or add the relation from the cloud (relink gateway add); relink gateway list shows what it has."},
	{TopologySelf, "A gateway named itself as its own sub-device (code 6402).",
		"Put the sub-device's product key and device name into params; the gateway's own are in the topic already."},
	{TopologyFull, "The gateway has as many sub-devices as it may (code 6400); nothing was added.",
		"Remove relations that are not needed, or raise RELINK_MAX_SUB_DEVICES of the function topology."},
	{BoundElsewhere, "The sub-device belongs to another gateway already (code 6619).",
		"Remove it there first (relink gateway remove), or let the new gateway send thing/topo/add with the sub-device's signature, which moves it."},
	{SubSignMismatch, "The sub-device's signature is not the one that its secret gives (code 6287 at login, 401 in topo/add, 6600 at registration).",
		"Sign clientId, deviceName, productKey and timestamp exactly as sent, sorted by name, with the sub-device's own secret, not the gateway's."},
	{SubLoginsTooMany, "The sub-device logged in more often than five times within a minute (code 429).",
		"Keep the sub-device logged in, and wait longer after a failure. RELINK_SUB_LOGINS_PER_MINUTE of the function topology changes the limit."},
	{SubDevicesOnline, "The gateway has as many sub-devices logged in as it may (code 428).",
		"Log out sub-devices that are away, or raise RELINK_MAX_SUB_DEVICES_ONLINE of the function topology."},
	{SubSessionMissing, "The sub-device is not logged in through this gateway (code 520).",
		"Log it in with combine/login; after the gateway reconnects, all its sub-devices have to be logged in again."},
	{SubRegistrationOff, "The product of the sub-device does not hand out secrets: dynamic registration is off (code 6288).",
		"Switch it on (relink product registration PRODUCT_KEY on), or give the gateway the secret in another way."},
	{SubActivated, "A device that is in use and belongs to no gateway was to be registered through this one (code 6289).",
		"Let the gateway send thing/topo/add with the secret that the device has; its secret is not handed out a second time. After a reset of the device (ResetThing) it is."},
	{FoundNameMalformed, "A gateway reported a device whose name is none (code 6280).",
		"A device name has 4 to 32 of letters, digits, and _-@.: characters."},
	{SubEntriesExcessive, "A request about sub-devices has no entries, or more than it may have (code 460).",
		"Split it: 30 entries in registrations, 50 in a batch of logins, 200 in other requests."},
}
