package refusal

// Causes for which a message of a connected device is not taken, or not wholly ("Codes in replies", "Publish without permission").
const (
	TopicNotOwn          Cause = "topic_not_own"
	TopicNotPermitted    Cause = "topic_not_permitted"
	SubNotLoggedIn       Cause = "sub_not_logged_in"
	TopicMalformed       Cause = "topic_malformed"
	TopicTooLong         Cause = "topic_too_long"
	TopicTooDeep         Cause = "topic_too_deep"
	UnknownTopic         Cause = "unknown_topic"
	NotYetSupported      Cause = "not_yet_supported"
	QoS2Unsupported      Cause = "qos2_unsupported"
	PayloadTooLarge      Cause = "payload_too_large"
	PayloadEmpty         Cause = "payload_empty"
	PayloadNotJSON       Cause = "payload_not_json"
	ParamsMissing        Cause = "params_missing"
	ParamsMalformed      Cause = "params_malformed"
	TooManyProperties    Cause = "too_many_properties"
	ModelMissing         Cause = "model_missing"
	PropertyNotInModel   Cause = "property_not_in_model"
	EventNotInModel      Cause = "event_not_in_model"
	ValueTypeMismatch    Cause = "value_type_mismatch"
	ValueOutOfRange      Cause = "value_out_of_range"
	TimeOutOfRange       Cause = "time_out_of_range"
	RateLimitedMessages  Cause = "rate_limited_messages"
	RRPCUnexpected       Cause = "rrpc_unexpected"
	ReplyUnexpected      Cause = "reply_unexpected"
	SessionSuperseded    Cause = "session_superseded"
	StoreThrottled       Cause = "store_throttled"
	DeadLetter           Cause = "dead_letter"
	FunctionFailed       Cause = "function_failed"
	DeadlineExceeded     Cause = "deadline_exceeded"
	PropertyNotAllowed   Cause = "property_not_allowed"
	TopicAliasOutOfRange Cause = "topic_alias_out_of_range"

	ShadowMalformed       Cause = "shadow_malformed"
	ShadowTooLarge        Cause = "shadow_too_large"
	ShadowVersionConflict Cause = "shadow_version_conflict"
	RateLimitedShadow     Cause = "rate_limited_shadow"
	TagMalformed          Cause = "tag_malformed"
	TooManyTags           Cause = "too_many_tags"
	LogUploadOff          Cause = "log_upload_off"
	NotOffered            Cause = "not_offered"
)

var publishes = []Explanation{
	{TopicNotOwn, "The topic names another device. The message was dropped.",
		"Build topics from the product key and device name that the device logged in with."},
	{SubNotLoggedIn, "A gateway used a topic of a device that is not logged in through its connection. A message was dropped, and the gateway told on /ext/error with code 520; a filter was refused.",
		"Let the gateway log the sub-device in (combine/login) first, and again whenever it is told code 520, 427 or 522. It has to be in the gateway's topology."},
	{TopicNotPermitted, "The device may not publish on this topic: it is one on which the platform sends, or the product has no such topic class with publish permission.",
		"Correct the topic: every product has user/update and user/update/error to publish on; others are added with relink topic create PRODUCT_KEY NAME (CreateProductTopic), which live connections learn at once."},
	{TopicMalformed, "The topic is empty, or contains a wildcard, a control character or invalid UTF-8. The connection was closed.",
		"Publish on a plain topic name that begins with a slash."},
	{TopicTooLong, "The topic is longer than 128 bytes (for /ext/rrpc/: the part after the message id). The message was dropped.",
		"Shorten the custom part of the topic."},
	{TopicTooDeep, "A custom topic has more than seven slashes. The message was dropped.",
		"Use fewer levels in the product's topic class."},
	{UnknownTopic, "The topic is none of the platform's and does not name a device. The message was dropped or answered with code 6203.",
		"Compare the topic with the table in the README: spelling, leading slash, order of product key and device name."},
	{NotYetSupported, "The topic belongs to a function that this release does not serve yet. The device was answered with an error where a reply is due.",
		"Look the topic up in the README's table for its status; upgrade, or do without that function."},
	{QoS2Unsupported, "The device published with QoS 2, which the platform never offered. The connection was closed.",
		"Publish with QoS 0 or 1."},
	{PayloadTooLarge, "The message is larger than 256 KB over MQTT, whose connection was closed, or 128 KB over HTTP (code 10001) or CoAP (code 4.13).",
		"Split the message, or send files through file upload."},
	{PayloadEmpty, "The payload of a request has no bytes (code 460).",
		"Send the JSON envelope; a request without arguments has \"params\":{}."},
	{PayloadNotJSON, "The payload is not a JSON object, or it has duplicate names, is nested too deep or is not UTF-8 (code 6207).",
		"Look at the payload at log level debug; usual mistakes are a truncated buffer, a missing quote and text in a local encoding. Products that send binary data must have data format raw."},
	{ParamsMissing, "The request has no params, or they are empty (code 460).",
		"Put at least one property into params."},
	{ParamsMalformed, "The params of the request are not of the shape that this topic takes (code 460).",
		"The detail, where there is one, names the member and what is wrong with it. Compare params with the topic's example in the protocol: an object or an array, required members, JSON types, and how many entries are allowed."},
	{TooManyProperties, "A post carries more than 200 properties; nothing was stored (code 6106).",
		"Split the post; 200 properties go into one message."},
	{ModelMissing, "The product has no published thing model, so nothing that it posts has a meaning.",
		"Import a thing model and publish it (relink thing-model import, publish); a draft has no effect. A basic product cannot have one: create it with AliyunCommodityCode iothub_senior."},
	{PropertyNotInModel, "The published thing model has no property with this identifier; the other properties of the post were stored (code 5092, or 6304 with strict validation).",
		"Correct the identifier (case-sensitive; module:identifier for a custom module), or add the property and publish the model."},
	{EventNotInModel, "The published thing model has no event with this identifier (code 6320).",
		"Correct the identifier in the topic, or add the event and publish the model."},
	{ValueTypeMismatch, "A value has another JSON type than the thing model says; it was not stored (codes 6306 to 6312, 6322, 6328).",
		"Send numbers without quotes, bool as 0 or 1, date as a string of milliseconds. Nothing is converted."},
	{ValueOutOfRange, "A value is outside the range, length or enumeration of the thing model, and the product validates strictly.",
		"Correct the value, or widen the definition and publish the model."},
	{TimeOutOfRange, "The time of a value is not a number of milliseconds, or lies more than 24 hours in the future (code 6326).",
		"Send milliseconds since 1970, not seconds, and set the device's clock (NTP is served)."},
	{RateLimitedMessages, "More messages of the device came than are taken: it sends more than 30 a second with QoS 0 or 10 with QoS 1, or it is behind a gateway and so many of its earlier messages are undecided that the other sub-devices would have to wait. The excess was dropped without an acknowledgement.",
		"Collect values and post them together; up to 200 properties go into one message. If it is behind a gateway and sends little, look at the latency of the function that takes its messages."},
	{ReplyUnexpected, "A device answered a property set or a service, but no such request of the last seven days waits for an answer.",
		"Answer with the id of the request, once. Firmware that answers what it was not asked does no harm."},
	{RRPCUnexpected, "A device answered a synchronous call that is not waiting any more, or never was.",
		"Answer within the caller's time-out (at most 8 seconds), on the response topic with the same message id."},
	{SessionSuperseded, "The message came from a session that a newer one of the same device has replaced; it was not taken.",
		"Nothing if the device has just reconnected. If it repeats, two devices use the same identity."},
	{StoreThrottled, "The storage asked to slow down until the deadline of the message passed; it was not acknowledged.",
		"The device sends it again by itself. If it lasts, raise the reserved throughput or lower the rate."},
	{DeadLetter, "The function failed on this very message several times; it was put aside and its neighbours were stored.",
		"Read it in the table dead_letter under the message id, and correct what the function trips over."},
	{FunctionFailed, "The function that handles this topic failed or ran out of time.",
		"Look at the way of the message: relink logs --message MESSAGE_ID, which has the invocation and what the function printed."},
	{DeadlineExceeded, "The message waited longer than it may for its function; it was not acknowledged.",
		"The device sends it again by itself. If it lasts, look at the lag and at throttling of the function."},
	{PropertyNotAllowed, "An MQTT 5.0 message has more than 20 user properties, one whose key begins with _ or that is longer than 128 characters, or a Response Topic or Correlation Data of more than 128. The message was dropped.",
		"Put into the payload what does not fit; keys that begin with _ are reserved."},
	{TopicAliasOutOfRange, "An MQTT 5.0 topic alias is 0, greater than announced, or was never defined. The connection was closed.",
		"Keep to the Topic Alias Maximum of CONNACK, and define aliases anew on each connection."},
	{ShadowMalformed, "A message about the device's shadow is not JSON, or lacks method, state or version (codes 400 to 407).",
		"Compare with {\"method\":\"update\",\"state\":{\"reported\":{\"color\":\"red\"}},\"version\":1}; the reply says what is missing."},
	{ShadowTooLarge, "The shadow would have more than 128 reported attributes, 16 KB or five levels (codes 408 and 400).",
		"Delete attributes that nobody needs any more (method delete), or keep them elsewhere."},
	{ShadowVersionConflict, "The version is not greater than the shadow's: it was changed meanwhile, or the device counts from its start (code 409).",
		"Get the shadow, and go on from the version that it has; -1 clears it."},
	{TagMalformed, "A tag has no key, a key of more than 64 bytes or a value of more than 4096 bytes; none of the message was stored (code 460).",
		"Shorten it; a tag is {\"attrKey\":\"room\",\"attrValue\":\"2.14\"}."},
	{TooManyTags, "The device would have more than 100 tags, or the message carries more than 200; none was stored (code 460).",
		"Delete tags that nobody needs any more: thing/deviceinfo/delete, or relink tag delete."},
	{LogUploadOff, "The device uploaded its log, which is not wanted; the lines were dropped and answered with 200.",
		"Nothing, or switch its upload on: relink device log PRODUCT_KEY DEVICE_NAME on."},
	{NotOffered, "The device asked for a service of the vendor's consumer platform, or a tunnel for remote login, which this platform does not have (code 400).",
		"Nothing: firmware goes on without. Remote login needs a tool of your own."},
	{RateLimitedShadow, "The device asked for its shadow more than 20 times a second; the excess was dropped without a reply.",
		"Report attributes together, and ask again only after an answer or a time-out."},
}
