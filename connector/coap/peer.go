package coap

import (
	"net/netip"

	"relink/shared/iot"
)

// Protocols of a Transport; they are what tokens are issued for.
const (
	ProtocolCoAP  = "coap"  // UDP; payloads are encrypted under the token's key
	ProtocolCoAPS = "coaps" // DTLS
)

// A Transport brings datagrams to peers. It must be comparable: a pointer. Its methods are safe for concurrent use.
type Transport interface {
	// Send sends one datagram and does not keep it. It must not block for longer than the kernel takes. If it fails the datagram is lost,
	// as any may be: the device sends its own again.
	Send(to netip.AddrPort, datagram []byte)
	// Protocol is ProtocolCoAP or ProtocolCoAPS.
	Protocol() string
	// Device is the device that the handshake proved, by a pre-shared key or a certificate; zero if it proved none.
	Device() iot.DeviceRef
	// Verified says that the addresses of peers cannot be forged. To others a Server sends nothing large that they have not paid for.
	Verified() bool
}

// A Peer is the other end of exchanges: message ids are its own.
type Peer struct {
	Transport Transport
	Addr      netip.AddrPort
}

// A Prover is a Transport that wants to know that a device proved its identity: connections of strangers it keeps for a short time only.
type Prover interface {
	Proved()
}

// proved tells the transport of a request that its token is in order.
func (x *Exchange) proved() {
	if t, ok := x.peer.Transport.(Prover); ok {
		t.Proved()
	}
}
