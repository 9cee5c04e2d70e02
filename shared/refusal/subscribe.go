package refusal

// Causes for which a filter of a SUBSCRIBE is refused (SUBACK 0x80), or a message for a device is not delivered.
const (
	FilterMalformed      Cause = "filter_malformed"
	FilterNotPermitted   Cause = "filter_not_permitted"
	TooManySubscriptions Cause = "too_many_subscriptions"
	TooManyFilters       Cause = "too_many_filters"
	SharedUnsupported    Cause = "shared_subscription_unsupported"
	DeviceOffline        Cause = "device_offline"
	NotSubscribed        Cause = "not_subscribed"
	ReceiveNotPermitted  Cause = "receive_not_permitted"
	OutboundQueueFull    Cause = "outbound_queue_full"
	CallTimedOut         Cause = "call_timed_out"
	RateLimitedDown      Cause = "rate_limited_downlink"
	OfflineQueueFull     Cause = "offline_queue_full"
)

var subscriptions = []Explanation{
	{FilterMalformed, "The filter is empty, too long, not UTF-8, or has a wildcard where none is allowed.",
		"A + stands alone between slashes, a # alone at the end."},
	{FilterNotPermitted, "The filter could match topics of other devices, or no topic class of the product with permission to subscribe.",
		"Put the device's own product key and device name before any wildcard; of custom topics, every product has user/get, and filters such as user/# are granted too."},
	{TooManySubscriptions, "The device has as many subscriptions as it may; system topics do not count.",
		"Unsubscribe what is not needed, or use one filter with a wildcard."},
	{TooManyFilters, "One SUBSCRIBE or UNSUBSCRIBE has more filters than are taken.",
		"Spread them over several packets."},
	{SharedUnsupported, "The filter is a shared subscription, which the platform announces not to have.",
		"Subscribe without $share; every topic belongs to one device."},
	{DeviceOffline, "The device is not connected, and the message cannot wait.",
		"Send again when it is online, or use a desired value or a QoS 1 message."},
	{NotSubscribed, "The device is connected, but has not subscribed this topic, or has unsubscribed it.",
		"Let the firmware subscribe; custom topics are never delivered without."},
	{ReceiveNotPermitted, "The device may not receive this topic.",
		"Address the device's own topics; a custom one needs a topic class with permission to subscribe."},
	{OutboundQueueFull, "The device reads more slowly than messages for it arrive, and its queue is full.",
		"Send less often, or look at the device's network. At most 50 messages a second are meant for one device."},
	{RateLimitedDown, "More messages a second came for the device than it may be sent (RELINK_DOWNLINK_PER_SECOND, 50).",
		"Send less often, or with QoS 1 to a device with a persistent session: those messages wait for their turn."},
	{OfflineQueueFull, "The device is away, and as many messages as may wait for it already (RELINK_OFFLINE_MESSAGES, RELINK_OFFLINE_BYTES). Nothing was kept of the new one.",
		"Find out why the device does not connect or acknowledge; use desired values for state of which only the last counts."},
	{CallTimedOut, "The device got a synchronous call and did not answer in time.",
		"Check that the firmware answers on the response topic with the same message id, within 8 seconds."},
}
