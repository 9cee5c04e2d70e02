package fc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Status says how much of an operation is emulated.
type Status string

// Statuses of operations.
const (
	Done    Status = "done"
	Partial Status = "partial"
	Missing Status = "missing"
)

// An operation of the API 2023-03-30. A pattern's * matches one path segment.
type operation struct {
	action  string
	method  string
	pattern string
	status  Status
	handle  func(*call) *apiError
}

// operations is the whole table; fc-20230330/v4 client.go names what the service has. Functions come from s.yaml,
// so nothing here creates or changes them.
var operations []operation

func init() {
	const f = "functions/*"
	operations = []operation{
		{"InvokeFunction", "POST", f + "/invocations", Done, (*call).invokeFunction},
		{"GetFunction", "GET", f, Partial, (*call).getFunction},
		{"ListFunctions", "GET", "functions", Partial, (*call).listFunctions},
		{"GetTrigger", "GET", f + "/triggers/*", Partial, (*call).getTrigger},
		{"ListTriggers", "GET", f + "/triggers", Partial, (*call).listTriggers},
		{"GetAsyncInvokeConfig", "GET", f + "/async-invoke-config", Done, (*call).getAsyncInvokeConfig},
		{"GetConcurrencyConfig", "GET", f + "/concurrency", Done, (*call).getConcurrencyConfig},
		{"ListInstances", "GET", f + "/instances", Partial, (*call).listInstances},
		{"CreateFunction", "POST", "functions", Missing, nil},
		{"UpdateFunction", "PUT", f, Missing, nil},
		{"DeleteFunction", "DELETE", f, Missing, nil},
		{"GetFunctionCode", "GET", f + "/code", Missing, nil},
		{"CreateTrigger", "POST", f + "/triggers", Missing, nil},
		{"UpdateTrigger", "PUT", f + "/triggers/*", Missing, nil},
		{"DeleteTrigger", "DELETE", f + "/triggers/*", Missing, nil},
		{"PutAsyncInvokeConfig", "PUT", f + "/async-invoke-config", Missing, nil},
		{"DeleteAsyncInvokeConfig", "DELETE", f + "/async-invoke-config", Missing, nil},
		{"ListAsyncInvokeConfigs", "GET", "async-invoke-configs", Missing, nil},
		{"ListAsyncTasks", "GET", f + "/async-tasks", Missing, nil},
		{"GetAsyncTask", "GET", f + "/async-tasks/*", Missing, nil},
		{"StopAsyncTask", "PUT", f + "/async-tasks/*/stop", Missing, nil},
		{"PutConcurrencyConfig", "PUT", f + "/concurrency", Missing, nil},
		{"DeleteConcurrencyConfig", "DELETE", f + "/concurrency", Missing, nil},
		{"GetScalingConfig", "GET", f + "/scaling-config", Missing, nil},
		{"PutScalingConfig", "PUT", f + "/scaling-config", Missing, nil},
		{"DeleteScalingConfig", "DELETE", f + "/scaling-config", Missing, nil},
		{"GetProvisionConfig", "GET", f + "/provision-config", Missing, nil},
		{"PutProvisionConfig", "PUT", f + "/provision-config", Missing, nil},
		{"DeleteProvisionConfig", "DELETE", f + "/provision-config", Missing, nil},
		{"ListVpcBindings", "GET", f + "/vpc-bindings", Missing, nil},
		{"CreateVpcBinding", "POST", f + "/vpc-bindings", Missing, nil},
		{"PublishFunctionVersion", "POST", f + "/versions", Missing, nil},
		{"ListFunctionVersions", "GET", f + "/versions", Missing, nil},
		{"CreateAlias", "POST", f + "/aliases", Missing, nil},
		{"ListAliases", "GET", f + "/aliases", Missing, nil},
		{"GetAlias", "GET", f + "/aliases/*", Missing, nil},
	}
}

// Operations lists the operations of the table with their status, in the order of the table.
func Operations() (names []string, status map[string]Status) {
	status = make(map[string]Status, len(operations))
	for _, op := range operations {
		names = append(names, op.action)
		status[op.action] = op.status
	}
	return names, status
}

// route finds the operation of an escaped path and the segments that its pattern leaves open, unescaped.
func route(method, path string) (*operation, []string) {
	rest, ok := strings.CutPrefix(path, "/2023-03-30/")
	if !ok {
		return nil, nil
	}
	segments := strings.Split(rest, "/")
next:
	for i := range operations {
		op := &operations[i]
		if op.method != method || strings.Count(op.pattern, "/") != len(segments)-1 {
			continue
		}
		var args []string
		pattern := op.pattern
		for _, seg := range segments {
			var want string
			want, pattern, _ = strings.Cut(pattern, "/")
			if want != "*" {
				if want != seg {
					continue next
				}
				continue
			}
			arg, err := url.PathUnescape(seg)
			if err != nil || arg == "" {
				continue next
			}
			args = append(args, arg)
		}
		return op, args
	}
	return nil, nil
}

// A call is one authenticated request. body may be taken over by setting it to nil.
type call struct {
	s    *Server
	w    http.ResponseWriter
	r    *http.Request
	id   string
	args []string
	body *[]byte
}

func (c *call) done() { putBuffer(c.body) }

// function finds the function that the path names, at the qualifier LATEST: there are no versions here.
func (c *call) function() (*function, *apiError) {
	f := c.s.functions[c.args[0]]
	if f == nil {
		return nil, errFunctionNotFound(c.args[0])
	}
	if c.r.URL.RawQuery != "" {
		if q := c.r.URL.Query().Get("qualifier"); q != "" && q != "LATEST" {
			return nil, &apiError{http.StatusNotFound, "VersionNotFound", "version or alias '" + q + "' does not exist in function '" + f.Name + "'"}
		}
	}
	return f, nil
}

// reply answers 200 with JSON.
func (c *call) reply(v any) *apiError {
	body, err := json.Marshal(v)
	if err != nil {
		c.s.log.Error("answer not encoded", "request_id", c.id, "error", err)
		return errInternal
	}
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Fc-Request-Id", c.id)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.Write(body) // an error means that the client has gone
	return nil
}
