package fc

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Read operations. Shapes: fc-20230330/v4 client/*_model.go.

func (f *function) arn() string {
	return "acs:fc:" + f.s.opt.Region + ":" + f.s.opt.AccountID + ":functions/" + f.Name
}

const timeLayout = "2006-01-02T15:04:05Z"

func (f *function) describe() map[string]any {
	f.mu.Lock()
	checksum, size := f.checksum, f.codeSize
	f.mu.Unlock()
	created := f.created.UTC().Format(timeLayout)
	env := f.Environment
	if env == nil {
		env = map[string]string{}
	}
	d := map[string]any{
		"functionName": f.Name, "functionArn": f.arn(), "functionId": f.Name, "description": f.Description,
		"runtime": f.Runtime, "handler": f.Handler, "cpu": f.CPU, "memorySize": f.MemoryMB, "diskSize": f.DiskMB,
		"timeout": int(f.Timeout / time.Second), "instanceConcurrency": f.InstanceConcurrency, "role": f.Role,
		"environmentVariables": env, "internetAccess": true, "codeChecksum": checksum, "codeSize": size,
		"createdTime": created, "lastModifiedTime": created, "state": "Active", "lastUpdateStatus": "Successful",
		"layers": []any{}, "tags": []any{},
		"logConfig": map[string]any{"project": f.Log.Project, "logstore": f.Log.Logstore, "enableRequestMetrics": f.Log.RequestMetrics},
	}
	if f.Custom() {
		args := f.Args
		if args == nil {
			args = []string{}
		}
		d["customRuntimeConfig"] = map[string]any{"command": f.Command, "args": args, "port": f.Port}
	}
	hooks := map[string]any{}
	if h := f.Initializer; h != nil {
		hooks["initializer"] = map[string]any{"handler": h.Handler, "timeout": int(h.Timeout / time.Second)}
	}
	if h := f.PreStop; h != nil {
		hooks["preStop"] = map[string]any{"handler": h.Handler, "timeout": int(h.Timeout / time.Second)}
	}
	if len(hooks) > 0 {
		d["instanceLifecycleConfig"] = hooks
	}
	return d
}

func (c *call) getFunction() *apiError {
	f, e := c.function()
	if e != nil {
		return e
	}
	return c.reply(f.describe())
}

// listFunctions pages with a token that is the index of the next function.
func (c *call) listFunctions() *apiError {
	q := c.r.URL.Query()
	limit, start := 20, 0
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 100 {
			return errInvalidArgument("limit %q: want 1 to 100", v)
		}
		limit = n
	}
	if v := q.Get("nextToken"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return errInvalidArgument("nextToken is not valid")
		}
		start = n
	}
	out := struct {
		Functions []any  `json:"functions"`
		NextToken string `json:"nextToken,omitempty"`
	}{Functions: []any{}}
	for i := start; i < len(c.s.order); i++ {
		f := c.s.order[i]
		if !strings.HasPrefix(f.Name, q.Get("prefix")) {
			continue
		}
		if len(out.Functions) == limit {
			out.NextToken = strconv.Itoa(i)
			break
		}
		out.Functions = append(out.Functions, f.describe())
	}
	return c.reply(out)
}

func (f *function) describeTrigger(i int) (map[string]any, error) {
	t := f.Triggers[i]
	created := f.created.UTC().Format(timeLayout)
	var config any
	d := map[string]any{
		"triggerName": t.Name, "triggerType": t.Type, "qualifier": t.Qualifier, "triggerId": f.Name + "-" + t.Name,
		"targetArn": f.arn(), "createdTime": created, "lastModifiedTime": created,
	}
	switch {
	case t.Timer != nil:
		config = map[string]any{"cronExpression": t.Timer.CronExpression, "enable": t.Timer.Enable, "payload": t.Timer.Payload}
	case t.HTTP != nil:
		config = map[string]any{"authType": t.HTTP.AuthType, "methods": t.HTTP.Methods, "disableURLInternet": t.HTTP.DisableURLInternet}
	}
	text, err := json.Marshal(config)
	d["triggerConfig"] = string(text) // JSON in a string, as the service has it
	return d, err
}

func (c *call) getTrigger() *apiError {
	f, e := c.function()
	if e != nil {
		return e
	}
	for i, t := range f.Triggers {
		if t.Name == c.args[1] {
			d, err := f.describeTrigger(i)
			if err != nil {
				return errInternal
			}
			return c.reply(d)
		}
	}
	return &apiError{http.StatusNotFound, "TriggerNotFound", "trigger '" + c.args[1] + "' does not exist in function '" + f.Name + "'"}
}

func (c *call) listTriggers() *apiError {
	f, e := c.function()
	if e != nil {
		return e
	}
	list := make([]any, 0, len(f.Triggers))
	for i := range f.Triggers {
		d, err := f.describeTrigger(i)
		if err != nil {
			return errInternal
		}
		list = append(list, d)
	}
	return c.reply(map[string]any{"triggers": list})
}

func (c *call) getAsyncInvokeConfig() *apiError {
	f, e := c.function()
	if e != nil {
		return e
	}
	if !f.Async.Configured {
		return &apiError{http.StatusNotFound, "AsyncConfigNotExists", "function '" + f.Name + "' has no asynchronous configuration"}
	}
	created := f.created.UTC().Format(timeLayout)
	destinations := map[string]any{}
	if f.Async.OnSuccess != "" {
		destinations["onSuccess"] = map[string]string{"destination": f.Async.OnSuccess}
	}
	if f.Async.OnFailure != "" {
		destinations["onFailure"] = map[string]string{"destination": f.Async.OnFailure}
	}
	return c.reply(map[string]any{"functionArn": f.arn(), "maxAsyncRetryAttempts": f.Async.MaxAttempts, "asyncTask": f.Async.Task,
		"maxAsyncEventAgeInSeconds": int64(f.Async.MaxAge / time.Second), "destinationConfig": destinations,
		"createdTime": created, "lastModifiedTime": created})
}

func (c *call) getConcurrencyConfig() *apiError {
	f, e := c.function()
	if e != nil {
		return e
	}
	if f.ReservedConcurrency == 0 {
		return &apiError{http.StatusNotFound, "ConcurrencyConfigNotFound", "function '" + f.Name + "' has no concurrency configuration"}
	}
	return c.reply(map[string]any{"functionArn": f.arn(), "reservedConcurrency": f.ReservedConcurrency})
}

func (c *call) listInstances() *apiError {
	f, e := c.function()
	if e != nil {
		return e
	}
	list := []any{}
	for _, inst := range f.all() {
		if !inst.gone() {
			list = append(list, map[string]any{"instanceId": inst.id, "versionId": "LATEST", "qualifier": "LATEST", "status": "Running"})
		}
	}
	return c.reply(map[string]any{"requestId": c.id, "instances": list})
}
