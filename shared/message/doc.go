// Package message is what the sources of the rule engine hand to the function `rule`: what devices did and what happened to them, in
// the converted form that rules and subscribers see (rule engine reference, "Sources" and "Message bodies").
package message
