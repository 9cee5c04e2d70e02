// Package forward brings what rules and subscriptions made of messages to its destinations (rule engine reference, "Actions";
// "Server-side subscription", "MNS subscription").
//
// A delivery is an Item: it names its destination with everything that ${…} stood for filled in, so that it can be handed on and tried
// again without the rule. The function `rule` makes items and tries each once; what did not arrive it hands, as a Batch, to the function
// `forward`, which waits and tries again, then runs the rule's error action and keeps a dead letter.
//
// Delivery is at least once: whatever breaks off in the middle is done again, and consumers tell duplicates by the message id.
package forward
