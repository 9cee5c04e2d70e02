package coap

import (
	"context"
	"net/netip"

	"relink/connector/session"
	devicetoken "relink/connector/token"
	"relink/shared/device"
	"relink/shared/token"
)

// A Keeper gives out tokens and knows the grants behind them; *token.Keeper of the connector is one. It notes in the device log whom it
// turns away, and counts it. An error that is a *refusal.Error says that the device is refused; any other that nothing was decided.
type Keeper interface {
	Login(ctx context.Context, l *device.TokenLogin) (*devicetoken.Ticket, error)
	// LoginAgain is Login for a device that has proved itself from the same address before: that others fail from there does not stop it.
	LoginAgain(ctx context.Context, l *device.TokenLogin) (*devicetoken.Ticket, error)
	// Session gives what a token's device is granted; it may wait for function auth.
	Session(ctx context.Context, token, protocol, remoteAddr string) (*session.Session, error)
	// Try is Session without waiting; false: Session has to be asked, and knows why.
	Try(token, protocol string) (*session.Session, error, bool)
	// Allow counts a message against the device's rate.
	Allow(s *session.Session, qos byte) error
	// Heard says that the device has spoken, and from where.
	Heard(s *session.Session, protocol string, from netip.AddrPort)
}

// An Opener reads what a token says without asking anybody; *token.Sealer is one. It is for the log alone.
type Opener interface {
	Open(text string) (token.Claims, error)
}
