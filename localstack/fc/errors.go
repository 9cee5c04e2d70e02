package fc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// An apiError is an answer of the service itself (client or system error), not of a function.
// Codes and statuses: Function Compute, "Error codes".
type apiError struct {
	Status  int
	Code    string
	Message string
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message) }

func errInvalidArgument(format string, args ...any) *apiError {
	return &apiError{http.StatusBadRequest, "InvalidArgument", fmt.Sprintf(format, args...)}
}

func errMissingHeader(name string) *apiError {
	return &apiError{http.StatusBadRequest, "MissingRequiredHeader", "required HTTP header " + name + " was not specified"}
}

func errTooLarge(limit int) *apiError {
	return &apiError{http.StatusBadRequest, "EntityTooLarge", fmt.Sprintf("payload size exceeds maximum allowed size (%d bytes)", limit)}
}

func errPath(method, path string) *apiError {
	return &apiError{http.StatusBadRequest, "PathNotSupported", "the requested operation " + method + " " + path + " is not supported"}
}

func errFunctionNotFound(name string) *apiError {
	return &apiError{http.StatusNotFound, "FunctionNotFound", "function '" + name + "' does not exist"}
}

func errNotStarted(why string, log []byte) *apiError {
	message := "Function instance cannot be started: " + why
	if len(log) > 0 {
		message += ". Logs:\n" + string(log)
	}
	return &apiError{http.StatusPreconditionFailed, "FunctionNotStarted", message}
}

func errExhausted(format string, args ...any) *apiError {
	return &apiError{http.StatusTooManyRequests, "ResourceExhausted", fmt.Sprintf(format, args...)}
}

func errBadResponse(err error) *apiError {
	return &apiError{http.StatusBadGateway, "BadResponse", "the response of the function is not valid: " + err.Error()}
}

var (
	errClientClosed = &apiError{499, "ClientClosedRequest", "Invocation canceled by client"}
	errClosing      = &apiError{http.StatusServiceUnavailable, "ServiceUnavailable", "the service is shutting down"}
	errInternal     = &apiError{http.StatusInternalServerError, "InternalServerError", "an internal error has occurred"}
)

// writeError answers with the JSON that darabonba-openapi decodes: RequestId, Code, Message.
func writeError(w http.ResponseWriter, requestID string, e *apiError) {
	body, err := json.Marshal(struct{ RequestId, Code, Message string }{requestID, e.Code, e.Message})
	if err != nil { // strings always marshal
		panic(err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Fc-Request-Id", requestID)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	w.Write(body) // an error means that the client has gone
}
