// Package fc emulates Function Compute 3.0: the API of version 2023-03-30 as the official SDK calls it, the
// built-in runtime go1 (Runtime API of fc-runtime-go-sdk), the custom runtimes (an HTTP server per instance),
// asynchronous invocations that survive a restart, and timer and HTTP triggers.
//
// Each instance of a function is a process of this machine. Signatures are verified, limits are those of the
// service, and faults can be injected. Where the documentation is silent and no experiment has been made, the
// code says "unconfirmed".
//
// Sources: modules fc-20230330/v4, darabonba-openapi/v2 and fc-runtime-go-sdk; Function Compute "Limits of usage",
// "Custom runtime", "Asynchronous invocation", "Error codes".
package fc
