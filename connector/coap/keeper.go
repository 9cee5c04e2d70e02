package coap

import (
	"context"
	"time"

	"relink/connector/session"
)

// A Login is what a device presented to get a token.
type Login struct {
	Protocol   string
	Params     map[string]string
	RemoteAddr string
}

// A Ticket is a token that was given out.
type Ticket struct {
	Token, Random string
	Key           []byte
	ExpiresAt     time.Time
	Session       *session.Session
}

// A Keeper gives out tokens and knows the grants behind them. An error that is a *refusal.Error says that the device is refused; any other
// that nothing was decided.
type Keeper interface {
	Login(ctx context.Context, l *Login) (*Ticket, error)
	// Session gives what a token's device is granted; it may wait for function auth.
	Session(ctx context.Context, token, protocol, remoteAddr string) (*session.Session, error)
	// Try is Session without waiting; false: Session has to be asked.
	Try(token, protocol string) (*session.Session, error, bool)
	// Heard says that the device has spoken.
	Heard(s *session.Session, protocol string)
}
