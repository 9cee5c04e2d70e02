// Package tablestore is an emulator of Alibaba Cloud Tablestore (OTS), the wide-column part of it, on the real wire
// protocol: POST /<Operation> with protobuf bodies, rows as PlainBuffer, signature V2 and V4, capacity units, limits and
// error codes. It is written from the service's API reference ("Tablestore, API reference" and "Error codes") and from
// the wire format of aliyun-tablestore-go-sdk v1.8.0, whose message types (package otsprotocol) it shares.
//
// It is also the durable store of a small single-node site: rows live in Pebble, every write is on disk before it is
// answered, a kill loses nothing that was acknowledged.
//
// # Layout on disk
//
//	'i'                        next table id, uint32 big endian
//	't' instance 0x00 table    definition of a table, JSON
//	'd' id(4) key columns      one row; value as described in rowvalue.go
//
// # Locks, in the order they are taken
//
//  1. Server.life (read) for the length of a request; Close takes it to wait for them
//  2. catalog.mu, never held while another lock below is taken by a data operation
//  3. row stripes, in ascending index; held from reading the old row until the new one is visible, not over the fsync
package tablestore
