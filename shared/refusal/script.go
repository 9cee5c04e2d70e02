package refusal

// Causes that have to do with parsing scripts ("Raw (transparent) data and parsing scripts"). The device hears nothing of them: an error
// could not be put into its format.
const (
	ScriptMissing         Cause = "script_missing"
	ScriptLanguage        Cause = "script_language"
	ScriptFailed          Cause = "script_failed"
	ScriptLimit           Cause = "script_limit"
	ScriptFunctionMissing Cause = "script_function_missing"
	ScriptResultType      Cause = "script_result_type"
	ScriptReturnedNothing Cause = "script_returned_nothing"
	ScriptNoMethod        Cause = "script_no_method"
	ScriptMethodUnknown   Cause = "script_method_unknown"
	ScriptThrottled       Cause = "script_throttled"
	ReplyNotRendered      Cause = "reply_not_rendered"
)

var scripts = []Explanation{
	{ScriptMissing, "The product has no submitted parsing script, which its raw data needs (code 26001).",
		"Submit one (relink script put), or the draft that is there (relink script submit); a draft by itself has no effect."},
	{ScriptLanguage, "The product's parsing script is in a language for which this installation has no interpreter (code 26002).",
		"Port the script to JavaScript; Python and PHP scripts are kept but not run."},
	{ScriptFailed, "The parsing script threw an exception or cannot be compiled (code 26002).",
		"See exception, line, column and payload with relink script failures; try a correction with relink script run before it is put."},
	{ScriptLimit, "The parsing script took more steps, CPU time, memory or depth than a call may (code 26002).",
		"Look for an endless loop or a regular expression that backtracks; relink script run shows the steps and memory of a call."},
	{ScriptFunctionMissing, "The parsing script lacks rawDataToProtocol or protocolToRawData (both are needed, even if one is never used), or transformPayload (code 26006).",
		"Add the function; the spelling is exact."},
	{ScriptResultType, "The parsing script returned something of the wrong type (code 26007).",
		"Return an object from rawDataToProtocol and transformPayload, an array of integers from protocolToRawData."},
	{ScriptReturnedNothing, "The parsing script returned nothing: undefined, null or an empty array (code 6201).",
		"Nothing if the script means to drop this frame; otherwise look for the path that has no return."},
	{ScriptNoMethod, "What the parsing script made of raw data has no method (code 6450).",
		"Set method to thing.event.property.post or another that devices post; answers to the platform have code instead."},
	{ScriptMethodUnknown, "What the parsing script made of raw data has a method that raw data cannot be posted with (code 6300).",
		"Use thing.event.property.post, thing.event.{identifier}.post, or the batch, pack and history posts."},
	{ScriptThrottled, "The parsing script had to be stopped by force several times, and is not run for some seconds (code 26010).",
		"Correct what relink script failures shows; the script runs again by itself."},
	{ReplyNotRendered, "The message was handled, but the parsing script could not make bytes of the reply; the device hears none.",
		"Make protocolToRawData return bytes for replies (they have code and method), or an empty array if the device wants none."},
}
