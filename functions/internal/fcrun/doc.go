// Package fcrun is the only code that knows the runtimes of Function Compute. A function is a handler; fcrun serves it
// under both contracts, and the environment says which:
//
//   - FC_RUNTIME_API is set: built-in runtime go1, polled through fc-runtime-go-sdk, one invocation at a time;
//   - otherwise: custom runtime, an HTTP server on 0.0.0.0:$FC_CUSTOM_LISTEN_PORT (default 9000) that answers
//     POST /invoke, POST /initialize and GET /pre-stop, and hands HTTP-trigger requests to the handler.
//
// Sources: fc-runtime-go-sdk v0.2.7; Function Compute, "Custom runtime" and "Environment variables".
package fcrun
