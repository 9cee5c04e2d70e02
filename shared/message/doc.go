// Package message is what the sources of the rule engine hand to the function `rule`: what devices did and what happened to them, in
// the converted form that rules and subscribers see (rule engine reference, "Sources" and "Message bodies").
//
// A source stores what it has to store, asks its Sender whether anybody wants the message, makes the body with one of the builders, and
// sends it before it answers the device. What a source hands over twice, because a device or a connector repeated it, has the same
// message id both times: consumers tell duplicates by it.
package message
