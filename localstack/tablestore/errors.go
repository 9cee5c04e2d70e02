package tablestore

import "fmt"

// A code is one error code of the service with its HTTP status and its usual message ("Tablestore, Error codes").
type code struct {
	name    string
	status  int
	message string
}

var (
	codeParameterInvalid    = &code{"OTSParameterInvalid", 400, "The input parameter is invalid."}
	codeInvalidPK           = &code{"OTSInvalidPK", 400, "Primary key schema mismatch."}
	codeOutOfRowSize        = &code{"OTSOutOfRowSizeLimit", 400, "The total data size of columns in one row exceeded the limit."}
	codeOutOfColumnCount    = &code{"OTSOutOfColumnCountLimit", 400, "The number of columns in one row exceeded the limit."}
	codeForbiddenUpdateCU   = &code{"OTSForbiddenUpdateCapacityUnit", 400, "Your instance is forbidden to update capacity unit."}
	codeUnsupportOperation  = &code{"OTSUnsupportOperation", 400, "Unsupported operation."}
	codeMissingHeader       = &code{"OTSMissingHeader", 400, "Missing header."}
	codeAuthFailed          = &code{"OTSAuthFailed", 403, "Signature mismatch."}
	codeConditionCheckFail  = &code{"OTSConditionCheckFail", 403, "Condition check failed."}
	codeCUExhausted         = &code{"OTSCapacityUnitExhausted", 403, "Capacity unit is not enough."}
	codeNotEnoughCU         = &code{"OTSNotEnoughCapacityUnit", 403, "Remaining capacity unit is not enough."}
	codeQuotaExhausted      = &code{"OTSQuotaExhausted", 403, "Number of tables exceeded the quota."}
	codeTooFrequentCU       = &code{"OTSTooFrequentReservedThroughputAdjustment", 403, "Capacity unit adjustment is too frequent."}
	codeObjectNotExist      = &code{"OTSObjectNotExist", 404, "Requested table does not exist."}
	codeTableNotReady       = &code{"OTSTableNotReady", 404, "The table is not ready."}
	codeMethodNotAllowed    = &code{"OTSMethodNotAllowed", 405, "Only POST method for requests is supported."}
	codeRequestTimeout      = &code{"OTSRequestTimeout", 408, "Request timeout."}
	codeObjectAlreadyExist  = &code{"OTSObjectAlreadyExist", 409, "Requested table already exists."}
	codeRowConflict         = &code{"OTSRowOperationConflict", 409, "Data is being modified by the other request."}
	codeBodyTooLarge        = &code{"OTSRequestBodyTooLarge", 413, "The size of POST data is too large."}
	codeInternalServerError = &code{"OTSInternalServerError", 500, "Internal server error."}
	codeServerBusy          = &code{"OTSServerBusy", 503, "Server is busy."}
	codePartitionUnavail    = &code{"OTSPartitionUnavailable", 503, "The partition is not available."}
	codeTimeout             = &code{"OTSTimeout", 503, "Operation timeout."}
	codeServerUnavailable   = &code{"OTSServerUnavailable", 503, "Server is not available."}
)

// codes is every code this server can answer, by name: faults choose from it.
var codes = func() map[string]*code {
	m := make(map[string]*code)
	for _, c := range []*code{
		codeParameterInvalid, codeInvalidPK, codeOutOfRowSize, codeOutOfColumnCount, codeForbiddenUpdateCU,
		codeUnsupportOperation, codeMissingHeader, codeAuthFailed, codeConditionCheckFail, codeCUExhausted,
		codeNotEnoughCU, codeQuotaExhausted, codeTooFrequentCU, codeObjectNotExist, codeTableNotReady,
		codeMethodNotAllowed, codeRequestTimeout, codeObjectAlreadyExist, codeRowConflict, codeBodyTooLarge,
		codeInternalServerError, codeServerBusy, codePartitionUnavail, codeTimeout, codeServerUnavailable,
	} {
		m[c.name] = c
	}
	return m
}()

// A failure is an answer other than success: of a request, or of one row of a batch.
type failure struct {
	*code
	text string // what the client reads; never holds a secret
}

// Error implements error, for the log.
func (f *failure) Error() string { return f.name + ": " + f.text }

// fail is c with its usual message.
func fail(c *code) *failure { return &failure{c, c.message} }

// invalid is OTSParameterInvalid with a message of the service's table where it has one.
func invalid(format string, args ...any) *failure {
	return &failure{codeParameterInvalid, fmt.Sprintf(format, args...)}
}

// unsupported says clearly that this emulator, not the service, lacks something.
func unsupported(what string) *failure {
	return &failure{codeUnsupportOperation, "Unsupported operation: " + what + " is not emulated."}
}

// Failures of the hot path carry no detail and are shared.
var (
	failCondition = fail(codeConditionCheckFail)
	failPK        = fail(codeInvalidPK)
	failProtobuf  = invalid("Failed to parse the ProtoBuf message.")
)
