package oss

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// A Code is an error code of the service.
type Code string

// Codes of OSS, "Common errors" and the pages of the operations.
const (
	AccessDenied             Code = "AccessDenied"
	BucketAlreadyExists      Code = "BucketAlreadyExists"
	BucketNotEmpty           Code = "BucketNotEmpty"
	EntityTooLarge           Code = "EntityTooLarge"
	EntityTooSmall           Code = "EntityTooSmall"
	FileAlreadyExists        Code = "FileAlreadyExists"
	IncompleteBody           Code = "IncompleteBody"
	InternalError            Code = "InternalError"
	InvalidAccessKeyID       Code = "InvalidAccessKeyId"
	InvalidArgument          Code = "InvalidArgument"
	InvalidBucketName        Code = "InvalidBucketName"
	InvalidDigest            Code = "InvalidDigest"
	InvalidObjectName        Code = "InvalidObjectName"
	InvalidPart              Code = "InvalidPart"
	InvalidPartOrder         Code = "InvalidPartOrder"
	InvalidRange             Code = "InvalidRange"
	MalformedXML             Code = "MalformedXML"
	MethodNotAllowed         Code = "MethodNotAllowed"
	MissingArgument          Code = "MissingArgument"
	NoSuchBucket             Code = "NoSuchBucket"
	NoSuchKey                Code = "NoSuchKey"
	NoSuchUpload             Code = "NoSuchUpload"
	NotImplemented           Code = "NotImplemented"
	NotModified              Code = "NotModified"
	ObjectNotAppendable      Code = "ObjectNotAppendable"
	PreconditionFailed       Code = "PreconditionFailed"
	PositionNotEqualToLength Code = "PositionNotEqualToLength"
	RequestTimeTooSkewed     Code = "RequestTimeTooSkewed"
	ServiceUnavailable       Code = "ServiceUnavailable"
	SignatureDoesNotMatch    Code = "SignatureDoesNotMatch"
	TooManyBuckets           Code = "TooManyBuckets"
	AuthQueryParameterError  Code = "AuthorizationQueryParametersError"
)

// codes gives each code its HTTP status and its message.
var codes = map[Code]struct {
	status  int
	message string
}{
	AccessDenied:             {403, "You have no right to access this object because of bucket acl."},
	AuthQueryParameterError:  {400, "The authorization query parameters are invalid."},
	BucketAlreadyExists:      {409, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."},
	BucketNotEmpty:           {409, "The bucket has objects. Please delete them first."},
	EntityTooLarge:           {400, "Your proposed upload exceeds the maximum allowed size."},
	EntityTooSmall:           {400, "Your proposed upload is smaller than the minimum allowed size."},
	FileAlreadyExists:        {409, "The object you specified already exists and can not be overwritten."},
	IncompleteBody:           {400, "You did not provide the number of bytes specified by the Content-Length HTTP header."},
	InternalError:            {500, "We encountered an internal error. Please try again."},
	InvalidAccessKeyID:       {403, "The OSS Access Key Id you provided does not exist in our records."},
	InvalidArgument:          {400, "An argument is invalid."},
	InvalidBucketName:        {400, "The specified bucket is not valid."},
	InvalidDigest:            {400, "The Content-MD5 you specified was invalid."},
	InvalidObjectName:        {400, "The specified object is not valid."},
	InvalidPart:              {400, "One or more of the specified parts could not be found or the specified entity tag might not have matched the part's entity tag."},
	InvalidPartOrder:         {400, "The list of parts was not in ascending order. The parts list must be specified in order by part number."},
	InvalidRange:             {416, "The requested range cannot be satisfied"},
	MalformedXML:             {400, "The XML you provided was not well-formed or did not validate against our published schema."},
	MethodNotAllowed:         {405, "The specified method is not allowed against this resource."},
	MissingArgument:          {400, "A required argument is missing."},
	NoSuchBucket:             {404, "The specified bucket does not exist."},
	NoSuchKey:                {404, "The specified key does not exist."},
	NoSuchUpload:             {404, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."},
	NotImplemented:           {501, "A header or query you provided implies functionality that is not implemented."},
	NotModified:              {304, "Not Modified"},
	ObjectNotAppendable:      {409, "The object is not appendable"},
	PositionNotEqualToLength: {409, "Position is not equal to file length"},
	PreconditionFailed:       {412, "At least one of the pre-conditions you specified did not hold"},
	RequestTimeTooSkewed:     {403, "The difference between the request time and the current time is too large."},
	ServiceUnavailable:       {503, "Please reduce your request rate."},
	SignatureDoesNotMatch:    {403, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	TooManyBuckets:           {400, "You have attempted to create more buckets than allowed."},
}

// An Error is an answer of the service other than success. Fields left empty are
// not part of the XML.
type Error struct {
	XMLName        xml.Name `xml:"Error"`
	Code           Code     `xml:"Code"`
	Message        string   `xml:"Message"`
	RequestID      string   `xml:"RequestId"`
	HostID         string   `xml:"HostId"`
	Bucket         string   `xml:"BucketName,omitempty"`
	Key            string   `xml:"Key,omitempty"`
	UploadID       string   `xml:"UploadId,omitempty"`
	ArgumentName   string   `xml:"ArgumentName,omitempty"`
	ArgumentValue  string   `xml:"ArgumentValue,omitempty"`
	StringToSign   string   `xml:"StringToSign,omitempty"`     // what the server signed
	CanonicalReq   string   `xml:"CanonicalRequest,omitempty"` // V4
	AccessKeyID    string   `xml:"OSSAccessKeyId,omitempty"`
	ServerTime     string   `xml:"ServerTime,omitempty"`
	RequestTime    string   `xml:"RequestTime,omitempty"`
	ExpireTime     string   `xml:"Expires,omitempty"`
	ContentRange   string   `xml:"-"` // header of InvalidRange
	NextPosition   string   `xml:"-"` // header of PositionNotEqualToLength
	NotImplemented string   `xml:"NotImplemented,omitempty"`
}

// Error returns the code and the message.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Status returns the HTTP status that goes with the code.
func (e *Error) Status() int { return codes[e.Code].status }

// fail makes the error of a code with the message of the table.
func fail(code Code) *Error { return &Error{Code: code, Message: codes[code].message} }

// argument is InvalidArgument for one header, parameter or element.
func argument(name, value, format string, args ...any) *Error {
	return &Error{Code: InvalidArgument, Message: fmt.Sprintf(format, args...), ArgumentName: name, ArgumentValue: value}
}

// writeError answers err in the XML form of the service; an answer to HEAD has it
// in a header. An error that is not an *Error becomes InternalError and its text
// is not shown.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	var known *Error
	if !errors.As(err, &known) {
		known = fail(InternalError)
	}
	e := *known
	e.RequestID, e.HostID = w.Header().Get("x-oss-request-id"), r.Host
	h := w.Header()
	if e.ContentRange != "" {
		h.Set("Content-Range", e.ContentRange)
	}
	if e.NextPosition != "" {
		h.Set("x-oss-next-append-position", e.NextPosition)
	}
	if e.Code == NotModified {
		w.WriteHeader(e.Status())
		return
	}
	body, merr := xml.MarshalIndent(&e, "", "  ")
	if merr != nil { // strings always marshal
		http.Error(w, merr.Error(), http.StatusInternalServerError)
		return
	}
	body = append([]byte(xml.Header), body...)
	h.Set("Content-Type", "application/xml")
	if r.Method == http.MethodHead {
		// The service repeats the error in a header because HEAD has no body.
		h.Set("x-oss-err", base64.StdEncoding.EncodeToString(body))
		w.WriteHeader(e.Status())
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status())
	w.Write(body) // the client may be gone; nothing is left to tell it
}
