// Package coap is the CoAP face of the connector ("CoAP device access" in the device protocol; RFC 7252, and RFC 7959 for blocks): devices
// that sleep, or cannot keep a connection, authenticate with POST /auth, post with POST /topic/${topic} under the token that they got, and
// hear the platform's reply in the response. Nothing but the protocol is here: tokens and grants are the Keeper's, what becomes of a
// message is decided by package uplink and the functions behind it, as for every other protocol.
//
// # One exchange layer, several transports
//
// A Server is the exchange layer: it decodes datagrams, repeats the reply to one that comes twice (by peer and message id, for 247 s, never
// deciding it twice), puts bodies together from blocks, answers when the data is stored, and bounds all of that. It has no socket. A
// transport plugs in like this:
//
//   - it implements Transport, the way to its peers. A Peer is a Transport and an address: package coap's own UDP socket (port 5682, see
//     Listen) is one Transport with many addresses; a DTLS connection (port 5684) is a Transport of its own, with one address;
//   - for each datagram that arrives it calls Server.Receive(Peer{transport, address}, datagram). That never blocks: what has to wait for a
//     function goes on without the caller. The datagram is not kept, so its buffer may be used again at once;
//   - responses come by Transport.Send, from any goroutine, during Receive or after it;
//   - when a connection ends it calls Server.Gone(peer), so that nothing is remembered of it;
//   - it is the transport that proves addresses (the HelloVerifyRequest of DTLS) and secrecy. Transport.Protocol says which rules hold:
//     "coap" means that payloads are encrypted here, under the key of the token, and that sequence numbers are checked; "coaps" that both
//     are the transport's.
//
// On Shutdown the Server takes no more requests and sends the answers that are due; transports are closed after that.
//
// # What bounds it
//
// A datagram that does not prove to know a token leaves no trace: it is answered from the stack, in no more bytes than about three times its
// own, or not at all. Only requests with a valid token and sequence number, and authentications, which are bounded in number, are
// remembered. An acknowledgement is sent when the data is stored and not before: there are no empty ACKs, and a retransmission meanwhile
// is absorbed. When the queues of a function are full the datagram is dropped as if it were lost, which makes the device wait and send it
// again; the reader goes on.
package coap
