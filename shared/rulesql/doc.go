// Package rulesql is the SQL of the rule engine: it reads a rule's SELECT, FROM and WHERE, checks and compiles them once, and
// then answers for each message whether the rule wants it and what it makes of it. It also finds, among many rules, those that
// may want a message (Index), and fills ${…} in the configuration of actions (Template). It is defined by the rule engine
// reference, "SQL", "Functions", "FROM: topics", "Actions, Common" and "Golden cases".
//
// The package does no I/O. What a message cannot say by itself, a device's tags, is asked through Attributes, and only when a
// rule that gets that far uses it. Time and chance are in Env.
//
// A Rule, an Index and a Template are safe for concurrent use. A Message is not: one goroutine asks all rules about it, so that
// its payload is read once. The work that a rule may do per message is bounded: see Env.MaxSteps and the Max constants.
package rulesql
