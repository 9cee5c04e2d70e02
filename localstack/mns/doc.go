// Package mns is an emulator of Alibaba Cloud MNS (Message Service, now Simple Message Queue), version 2015-06-06, as
// github.com/aliyun/aliyun-mns-go-sdk v1.0.11 speaks it: XML over HTTP, signed with HMAC-SHA1. The documents that define it are
// help.aliyun.com/zh/mns ("API reference", "Error codes", "NotifyStrategy", "NotifyContentFormat", "HttpEndpoint") and the
// sources of that SDK.
//
// It is also the durable queue service of a small single-node site: what was sent or published is on disk before it is answered,
// and so is every delivery, deletion and change of visibility, so that a kill and a restart go on where they were.
//
// # Addresses
//
// The SDK wants exactly four dots in its endpoint, and the service puts the account into the host name. An endpoint without a
// name to resolve has the account in its path, http://127.0.0.1:9004/ACCOUNT.local: the first segment of a path is cut off unless
// it is one of the API's own. It is not part of what is signed.
//
// # Layout on disk
//
//	'n'                                          next number of a queue or subscription, 4 bytes
//	'k'                                          key and certificate that sign notifications, PEM
//	'q' name                                     queue, JSON
//	't' name                                     topic, JSON
//	's' topic 0x00 name                          subscription, JSON
//	'x' queue(4) id(8)                           state of a message, see state.go
//	'm' queue(4) id(8)                           its body
//	'v' queue(4) priority(1) visible(8) id(8)    a message that may be received: those of one priority in the order they became so
//	'w' queue(4) visible(8) id(8)                a message that is delayed or out with a consumer, by the time that ends
//	'h' subscription(4) due(8) id(8)             a notification to be pushed; number of attempts so far
//	'p' subscription(4) id(8)                    its content, JSON
//
// Numbers are big endian and never used again; times are milliseconds of the server's clock; an id is its clock in nanoseconds, made
// strictly increasing. Memory does not grow with the number of messages: queues keep counters and the places where the next
// message may be found.
//
// # Locks, in the order they are taken
//
//  1. Server.life (read) for the length of a request; Close takes it to wait for them
//  2. Server.mu, of the catalogue of queues, topics and subscriptions; not held while messages are read or written
//  3. queue.mu, ascending by number
//  4. lane.mu, ascending by number
//
// None is held over the fsync of messages: a write is visible to others before it is on disk, but whatever they write because of it lies
// behind it in the log.
//
// # Differences from the service
//
// A receiver gets what is there at once, and in order within a priority. Queues that were deleted may be created again at
// once. Endpoints for mail and short messages are refused. There is one account. operations in routes.go lists what is done.
package mns
