package coap

import (
	"errors"

	"github.com/plgd-dev/go-coap/v3/message/codes"

	devicetoken "relink/connector/token"
	"relink/connector/uplink"
	"relink/shared/refusal"
)

// tooManyRequests is 4.29 (RFC 8516).
const tooManyRequests codes.Code = 4<<5 | 29

// codeOf is how a refusal is told ("Codes"). What is in no line is a server error, after which devices try again.
func codeOf(cause refusal.Cause) codes.Code {
	switch cause {
	case refusal.CoAPMalformed, refusal.TokenLoginMalformed, refusal.RegistrationMalformed, refusal.SignMethodUnknown, refusal.SequenceMalformed, refusal.CiphertextMalformed,
		refusal.BlockMalformed, refusal.TopicMalformed, refusal.TopicTooLong, refusal.TopicTooDeep:
		return codes.BadRequest
	case refusal.SignMismatch, refusal.SignLength, refusal.DeviceNotFound, refusal.ProductNotFound, refusal.RegistrationSignMismatch,
		refusal.TokenUnknown, refusal.TokenMissing, refusal.TokenMalformed, refusal.TokenExpired, refusal.TokenRevoked, refusal.TokenOtherProtocol,
		refusal.TimestampOutOfWindow, refusal.SequenceMissing, refusal.SequenceReplayed, refusal.PSKOtherDevice, refusal.DownloadExpired:
		return codes.Unauthorized
	case refusal.CoAPOptionUnknown:
		return codes.BadOption
	case refusal.DeviceDisabled, refusal.AuthMethodNotAllowed, refusal.TopicNotOwn, refusal.TopicNotPermitted, refusal.SubNotLoggedIn,
		refusal.RegistrationOff, refusal.AlreadyActivated, refusal.DownloadRefused:
		return codes.Forbidden
	case refusal.CoAPPathUnknown, refusal.UnknownTopic, refusal.DownloadMissing:
		return codes.NotFound
	case refusal.CoAPMethod:
		return codes.MethodNotAllowed
	case refusal.BlockIncomplete:
		return codes.RequestEntityIncomplete
	case refusal.BlockTooLarge, refusal.PayloadTooLarge:
		return codes.RequestEntityTooLarge
	case refusal.RateLimitedMessages, refusal.RateLimitedDevice, refusal.RateLimitedSource, refusal.StoreThrottled:
		return tooManyRequests
	}
	return codes.InternalServerError
}

// codeFor is how an error is told; one that is no refusal says that nothing was decided.
func codeFor(err error) (codes.Code, refusal.Cause) {
	cause := uplink.CauseOf(err)
	if _, ok := errors.AsType[*devicetoken.Undecided](err); ok {
		cause = refusal.BackendUnavailable
	}
	return codeOf(cause), cause
}

// number is a code as people write it, without the point: 401.
func number(c codes.Code) int { return int(c>>5)*100 + int(c&31) }
