// Package sls is an emulator of Alibaba Cloud Log Service (SLS) API 0.6.0 as
// github.com/aliyun/aliyun-log-go-sdk v0.1.127 speaks it. The documents that
// define it are help.aliyun.com/zh/sls (common request headers, common error
// codes, query syntax) and the sources of that SDK.
//
// A [Server] is an http.Handler. The project is the first label of the Host
// header; a client keeps the real endpoint name and dials the emulator through
// its transport, or uses the emulator as an HTTP proxy. Signatures (V1 and V4),
// Content-MD5 and the 15 minute clock window are checked as the service does.
//
// # Storage and durability
//
// Everything is in one Pebble store. Logs are kept as received: one key per run
// of logs of a LogGroup that share a second, ordered by (logstore, second,
// arrival), and a small key per run ordered by (logstore, arrival) for cursors.
// Logs are observability: a write is acknowledged once it is in the log of the
// store, and a background goroutine syncs that log every 100 ms, so a power cut
// or kill -9 loses at most the last moments. The in-process [Server.Append]
// takes the same path. Projects, logstores and indexes are synced before they
// are acknowledged.
//
// # Differences from the service
//
// An index applies to logs written before it as well; a logstore has one shard;
// logs are visible at once; SQL is limited to counting (see sql.go); letters are
// folded for ASCII only. The operations table in routes.go lists what is done.
package sls
