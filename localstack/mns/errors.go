package mns

import (
	"errors"
	"fmt"
	"net/http"
)

// A Code is the Code element of an error of the service.
type Code string

// Codes of the service, "Error codes"; the misspelt ones are the service's.
const (
	AccessDenied                Code = "AccessDenied"
	EndpointInvalid             Code = "EndpointInvalid"
	InternalError               Code = "InternalError"
	InvalidAccessKeyID          Code = "InvalidAccessKeyId"
	InvalidArgument             Code = "InvalidArgument"
	InvalidAuthorizationHeader  Code = "InvalidAuthorizationHeader"
	InvalidContentType          Code = "InvalidContentType"
	InvalidDateHeader           Code = "InvalidDateHeader"
	InvalidDegist               Code = "InvalidDegist"
	InvalidQueryString          Code = "InvalidQueryString"
	InvalidQueueName            Code = "InvalidQueueName"
	InvalidRequestURL           Code = "InvalidRequestURL"
	InvalidVersionHeader        Code = "InvalidVersionHeader"
	MalformedXML                Code = "MalformedXML"
	MessageNotExist             Code = "MessageNotExist"
	MissingAuthorizationHeader  Code = "MissingAuthorizationHeader"
	MissingDateHeader           Code = "MissingDateHeader"
	MissingReceiptHandle        Code = "MissingReceiptHandle"
	MissingVersionHeader        Code = "MissingVersionHeader"
	MissingVisibilityTimeout    Code = "MissingVisibilityTimeout"
	QpsLimitExceeded            Code = "QpsLimitExceeded"
	QueueAlreadyExist           Code = "QueueAlreadyExist"
	QueueNameLengthError        Code = "QueueNameLengthError"
	QueueNotExist               Code = "QueueNotExist"
	QueueNumExceededLimit       Code = "QueueNumExceededLimit"        // not documented
	SubscriptionNumExceeded     Code = "SubscriptionNumExceededLimit" // not documented
	TopicNumExceededLimit       Code = "TopicNumExceededLimit"        // not documented
	ReceiptHandleError          Code = "ReceiptHandleError"
	SignatureDoesNotMatch       Code = "SignatureDoesNotMatch"
	SubscriberNotExist          Code = "SubscriberNotExist" // as in the SDK's table
	SubscriptionAlreadyExist    Code = "SubscriptionAlreadyExist"
	SubscriptionNameInvalid     Code = "SubsriptionNameInvalid"
	SubscriptionNameLengthError Code = "SubscriptionNameLengthError"
	TimeExpired                 Code = "TimeExpired"
	TopicAlreadyExist           Code = "TopicAlreadyExist"
	TopicNameInvalid            Code = "TopicNameInvalid"
	TopicNameLengthError        Code = "TopicNameLengthError"
	TopicNotExist               Code = "TopicNotExist"
)

// codes gives each code its HTTP status and its message; a %s in a message is filled by the caller of fail.
var codes = map[Code]struct {
	status  int
	message string
}{
	AccessDenied:                {403, "The OwnerId that your Access Key Id associated to is forbidden for this operation."},
	EndpointInvalid:             {400, "The endpoint you provided is invalid: %s"},
	InternalError:               {500, "Internal error."},
	InvalidAccessKeyID:          {403, "The AccessKey Id you provided is not exist."},
	InvalidArgument:             {400, "%s"},
	InvalidAuthorizationHeader:  {400, "The Authorization header format is invalid."},
	InvalidContentType:          {400, "The Content-Type you provided is invalid: %s"},
	InvalidDateHeader:           {400, "The Date header format is invalid."},
	InvalidDegist:               {400, "The Content-MD5 you specified is invalid."},
	InvalidQueryString:          {400, `Http request URL contains invalid querystring item "%s".`},
	InvalidQueueName:            {400, "The queue name you provided is invalid. QueueName should start with alphabetic characters and contain only alphabetic characters, digits and hyphens."},
	InvalidRequestURL:           {400, "Http request URL format invalid."},
	InvalidVersionHeader:        {400, "The x-mns-version header is invalid: %s"},
	MalformedXML:                {400, "The XML you provided was not well-formed."},
	MessageNotExist:             {404, "Message not exist."},
	MissingAuthorizationHeader:  {400, "Authorization header is required."},
	MissingDateHeader:           {400, "Date header is required."},
	MissingReceiptHandle:        {400, "ReceiptHandle is required."},
	MissingVersionHeader:        {400, "x-mns-version header is required."},
	MissingVisibilityTimeout:    {400, "VisibilityTimeout is required."},
	QpsLimitExceeded:            {403, "The QPS of the queue or topic exceeds the limit."},
	QueueAlreadyExist:           {409, "The queue you want to create is already exist."},
	QueueNameLengthError:        {400, "The length of queue name should between 1 and 256."},
	QueueNotExist:               {404, "The queue name you provided is not exist."},
	QueueNumExceededLimit:       {403, "The number of queues exceeds the limit of %s."},
	SubscriptionNumExceeded:     {403, "The number of subscriptions of the topic exceeds the limit of %s."},
	TopicNumExceededLimit:       {403, "The number of topics exceeds the limit of %s."},
	ReceiptHandleError:          {400, "The receipt handle you provide is not valid."},
	SignatureDoesNotMatch:       {403, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	SubscriberNotExist:          {404, "The subscription name you provided is not exist."},
	SubscriptionAlreadyExist:    {409, "The subscription you want to create is already exist."},
	SubscriptionNameInvalid:     {400, "The subscription name you provided is invalid."},
	SubscriptionNameLengthError: {400, "The length of subscription name should between 1 and 256."},
	TimeExpired:                 {408, "The http request you sent is expired."},
	TopicAlreadyExist:           {409, "The topic you want to create is already exist."},
	TopicNameInvalid:            {400, "The topic name you provided is invalid."},
	TopicNameLengthError:        {400, "The length of topic name should between 1 and 256."},
	TopicNotExist:               {404, "The topic name you provided is not exist."},
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

// expired is what a receipt handle gets whose time is over, or that a later one replaced.
func expired() *Error {
	return &Error{Code: ReceiptHandleError, Message: "The receipt handle you provide has expired."}
}

// outOfRange is InvalidArgument for a number or a length.
func outOfRange(element string, low, high int64, unit string) *Error {
	return fail(InvalidArgument, fmt.Sprintf("The value of %s should between %d and %d %s.", element, low, high, unit))
}

// notValid is InvalidArgument for an element that the schema does not have, lacks, or wants otherwise.
func notValid(element string) *Error {
	return fail(InvalidArgument, "The XML you provided did not validate against our published schema, cause by "+element+".")
}

// asError makes an error that the service can answer of any: what is not an *Error is an InternalError, and its text stays here.
func asError(err error) *Error {
	var e *Error
	if !errors.As(err, &e) {
		return fail(InternalError)
	}
	return e
}

// writeError answers err.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	var d document
	d.open("Error")
	d.leaf("Code", string(e.Code))
	d.leaf("Message", e.Message)
	d.leaf("RequestId", w.Header().Get(headerRequestID))
	d.leaf("HostId", "http://"+r.Host)
	d.close("Error")
	writeBody(w, e.Status(), d.bytes())
}
