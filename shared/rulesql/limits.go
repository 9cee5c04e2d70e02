package rulesql

// Limits of a rule and of what it may do. The number of fields is the platform's (rule engine reference, "What happens to a
// message"); the others are ours and far beyond what a rule that people write needs.
const (
	MaxStatement = 16 << 10 // bytes of SELECT, FROM and WHERE together
	MaxFields    = 50       // fields in SELECT; thingPropertyFlatMap lifts it to maxFlatFields
	MaxName      = 256      // bytes of a path
	MaxKey       = 1024     // bytes of the name of a field: an alias, or the text of an expression without one
	MaxDepth     = 32       // parentheses, calls and CASE inside each other
	MaxNodes     = 2048     // operators, operands and calls of one statement
	MaxString    = 4096     // bytes of one string constant
	MaxNumber    = 64       // characters of one number constant
	MaxTemplate  = 4096     // bytes of one text with ${…}

	MaxPayload      = 1 << 20   // bytes of a message
	MaxPayloadDepth = 100       // objects and arrays inside each other
	MaxResult       = 512 << 10 // bytes of a result, and of each string on the way to it: twice the largest message
	DefaultMaxSteps = 1_000_000 // see Env.MaxSteps

	maxFlatFields = 500
	maxDigits     = 400 // characters of a number of a message that is computed with; longer ones are copied, and null in expressions
	maxLevels     = 32  // of a topic pattern
)
