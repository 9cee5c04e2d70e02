package sls

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// A Code is an errorCode of the service.
type Code string

// Codes of Log Service, "Common error codes" and the pages of the operations.
const (
	BadRequest              Code = "BadRequest"
	IndexAlreadyExist       Code = "IndexAlreadyExist"
	IndexConfigNotExist     Code = "IndexConfigNotExist"
	IndexInfoInvalid        Code = "IndexInfoInvalid"
	InternalServerError     Code = "InternalServerError"
	InvalidAPIVersion       Code = "InvalidAPIVersion"
	InvalidBodyRawSize      Code = "InvalidBodyRawSize"
	InvalidCompressType     Code = "InvalidCompressType"
	InvalidContentType      Code = "InvalidContentType"
	InvalidCursor           Code = "InvalidCursor"
	InvalidDateFormat       Code = "InvalidDateFormat"
	InvalidLine             Code = "InvalidLine"
	InvalidOffset           Code = "InvalidOffset"
	InvalidSignatureMethod  Code = "InvalidSignatureMethod"
	InvalidTimeRange        Code = "InvalidTimeRange"
	LogStoreAlreadyExist    Code = "LogStoreAlreadyExist"
	LogStoreInfoInvalid     Code = "LogStoreInfoInvalid"
	LogStoreNotExist        Code = "LogStoreNotExist"
	LogStoreQuotaExceed     Code = "LogStoreQuotaExceed"
	MissAccessKeyID         Code = "MissAccessKeyId"
	MissingAPIVersion       Code = "MissingAPIVersion"
	MissingBodyRawSize      Code = "MissingBodyRawSize"
	MissingContentType      Code = "MissingContentType"
	MissingDate             Code = "MissingDate"
	MissingHost             Code = "MissingHost"
	NotSupported            Code = "NotSupported"
	ParameterInvalid        Code = "ParameterInvalid"
	PostBodyInvalid         Code = "PostBodyInvalid"
	PostBodyTooLarge        Code = "PostBodyTooLarge"
	PostBodyUncompressError Code = "PostBodyUncompressError"
	ProjectAlreadyExist     Code = "ProjectAlreadyExist"
	ProjectNotExist         Code = "ProjectNotExist"
	ProjectQuotaExceed      Code = "ProjectQuotaExceed"
	ReadQuotaExceed         Code = "ReadQuotaExceed"
	RequestTimeTooSkewed    Code = "RequestTimeTooSkewed"
	ServerBusy              Code = "ServerBusy"
	ShardNotExist           Code = "ShardNotExist"
	SignatureNotMatch       Code = "SignatureNotMatch"
	Unauthorized            Code = "Unauthorized"
)

// codes gives each code its HTTP status and its message; a %s in a message is
// filled by the caller of fail.
var codes = map[Code]struct {
	status  int
	message string
}{
	BadRequest:              {400, "The request is not a known operation: %s"},
	IndexAlreadyExist:       {400, "log store index is already created"},
	IndexConfigNotExist:     {404, "index config doesn't exist"},
	IndexInfoInvalid:        {400, "index info is invalid: %s"},
	InternalServerError:     {500, "Internal server error message."},
	InvalidAPIVersion:       {400, "Invalid API version: %s"},
	InvalidBodyRawSize:      {400, "x-log-bodyrawsize is invalid: %s"},
	InvalidCompressType:     {400, "Compress type %s is unsupported"},
	InvalidContentType:      {415, "Content-Type %s is unsupported."},
	InvalidCursor:           {400, "Invalid cursor %s"},
	InvalidDateFormat:       {400, "Date %s must follow RFC822."},
	InvalidLine:             {400, "line %s is invalid, it must be in [0, 100]"},
	InvalidOffset:           {400, "offset %s is invalid"},
	InvalidSignatureMethod:  {400, "signature method %s is unsupported"},
	InvalidTimeRange:        {400, "request time range is invalid: %s"},
	LogStoreAlreadyExist:    {400, "logstore %s already exists"},
	LogStoreInfoInvalid:     {400, "logstore info is invalid: %s"},
	LogStoreNotExist:        {404, "logstore %s does not exist"},
	LogStoreQuotaExceed:     {403, "logstore count exceeds the quota of %s"},
	MissAccessKeyID:         {400, "x-log-accesskeyid/Authorization header is missing or malformed: %s"},
	MissingAPIVersion:       {400, "x-log-apiversion does not exist in http header"},
	MissingBodyRawSize:      {400, "x-log-bodyrawsize does not exist in http header"},
	MissingContentType:      {400, "Content-Type does not exist in http header when http body is not empty"},
	MissingDate:             {400, "Date does not exist in http header"},
	MissingHost:             {400, "Host does not name a project: %s"},
	NotSupported:            {400, "The operation is not supported by the emulator: %s"},
	ParameterInvalid:        {400, "%s"},
	PostBodyInvalid:         {400, "Post body is invalid: %s"},
	PostBodyTooLarge:        {413, "Body size %s must be less than the limit"},
	PostBodyUncompressError: {400, "Failed to decompress the post body: %s"},
	ProjectAlreadyExist:     {400, "Project %s already exists"},
	ProjectNotExist:         {404, "The Project does not exist : %s"},
	ProjectQuotaExceed:      {403, "Project quota exceeds %s"},
	ReadQuotaExceed:         {403, "project read quota exceeds: %s"},
	RequestTimeTooSkewed:    {400, "Request time exceeds server time more than 15 minutes, request %s"},
	ServerBusy:              {503, "The server is busy, please try again later."},
	ShardNotExist:           {404, "Shard %s does not exist"},
	SignatureNotMatch:       {401, "signature %s does not match"},
	Unauthorized:            {401, "The AccessKeyId is unauthorized : %s"},
}

// An Error is an answer of the service other than success.
type Error struct {
	Code    Code
	Message string
}

// Error returns the code and the message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Status returns the HTTP status that goes with the code.
func (e *Error) Status() int { return codes[e.Code].status }

// fail makes the error of a code; args fill the message of the table.
func fail(code Code, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(codes[code].message, args...)}
}

// invalid is fail(ParameterInvalid) with a formatted text.
func invalid(format string, args ...any) *Error {
	return &Error{Code: ParameterInvalid, Message: fmt.Sprintf(format, args...)}
}

// writeError answers err in the JSON form of the service. An error that is not
// an *Error becomes InternalServerError and its text is not shown.
func writeError(w http.ResponseWriter, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = fail(InternalServerError)
	}
	body, merr := json.Marshal(struct {
		Code    Code   `json:"errorCode"`
		Message string `json:"errorMessage"`
	}{e.Code, e.Message})
	if merr != nil { // two strings always marshal
		http.Error(w, merr.Error(), http.StatusInternalServerError)
		return
	}
	writeBody(w, e.Status(), "application/json", body)
}
