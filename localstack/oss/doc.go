// Package oss is an emulator of Alibaba Cloud Object Storage Service (OSS) as
// github.com/aliyun/aliyun-oss-go-sdk v3.0.2 and browsers with presigned URLs
// speak to it. The documents that define it are the OSS developer reference
// (help.aliyun.com/zh/oss/developer-reference: operations, header and URL
// signatures V1 and V4, common errors) and the sources of that SDK.
//
// A [Server] is an http.Handler that takes buckets from the host name
// (BUCKET.oss-REGION.aliyuncs.com, BUCKET.Domain) or from the first segment of
// the path. Signatures, Content-MD5, expiry and the 15 minute clock window are
// checked as the service does.
//
// # Storage and durability
//
// Data is in files with random names under Dir/data, so that a key never becomes
// a path; what is known of objects is in a Pebble store under Dir/meta, ordered
// by bucket and key. An upload is streamed into a temporary file, synced, renamed
// and then named by a synced write to the store: an acknowledged object survives
// kill -9 and a power cut, and an upload that was cut off leaves at most a file
// that the next start removes. Completing a multipart upload names its part files
// and copies nothing.
//
// # Differences from the service
//
// There are no versions, tags, lifecycle rules, callbacks or ACLs of objects;
// requests for them are answered NotImplemented. Every origin passes CORS. The
// operations table in routes.go lists what is done.
package oss
