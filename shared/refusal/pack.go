package refusal

// Causes for which messages that carry several posts, events or desired values are not taken.
const (
	TooManyEvents     Cause = "too_many_events"
	TooManySubDevices Cause = "too_many_sub_devices"
	TooManyDesired    Cause = "too_many_desired"
)

var packs = []Explanation{
	{TooManyEvents, "A pack post carries more than 200 events; nothing was stored (code 6356).",
		"Split the pack into several messages."},
	{TooManySubDevices, "A pack post carries more than 20 sub-devices; nothing was stored (code 6357).",
		"Split the pack into several messages."},
	{TooManyDesired, "The device asked for, or wants to delete, more than 200 desired values at once (code 6104).",
		"Split the request into several."},
}
