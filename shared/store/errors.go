package store

import (
	"errors"
	"fmt"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"relink/shared/iot"
)

// errCondition says that a conditional write found another row than it expected. It never leaves the package.
var errCondition = errors.New("store: condition not met")

// otsError gives an error of the service or of the way to it the kind that callers act on. Codes: Tablestore, "Error codes".
func otsError(err error, doing string) error {
	var ots *tablestore.OtsError
	if errors.As(err, &ots) {
		return codeError(ots.Code, ots.Message, doing)
	}
	return iot.Wrap(iot.Unavailable, fmt.Errorf("%s: %w", doing, err), "the database does not answer")
}

func codeError(code, message, doing string) error {
	cause := fmt.Errorf("%s: %s: %s", doing, code, message)
	switch code {
	case "OTSConditionCheckFail":
		return fmt.Errorf("%s: %w", doing, errCondition)
	case "OTSServerBusy", "OTSStorageServerBusy", "OTSNotEnoughCapacityUnit", "OTSCapacityUnitExhausted", "OTSQuotaExhausted", "OTSRowOperationConflict":
		return iot.Wrap(iot.Throttled, cause, "the database is busy")
	case "OTSTimeout", "OTSRequestTimeout", "OTSPartitionUnavailable", "OTSServerUnavailable", "OTSInternalServerError", "OTSTableNotReady":
		return iot.Wrap(iot.Unavailable, cause, "the database is not available")
	default:
		return iot.Wrap(iot.Internal, cause, "")
	}
}

// passing reports whether the same call may succeed later.
func passing(err error) bool { return iot.Is(err, iot.Throttled) || iot.Is(err, iot.Unavailable) }
