package serverless

import (
	"time"

	"gopkg.in/yaml.v3"
)

func (r *reader) customRuntime(f *Function, n *yaml.Node) {
	if f.Custom() {
		f.Command = []string{"/code/bootstrap"} // the cloud's default
	}
	if n == nil {
		return
	}
	fs := r.fields(n, "customRuntimeConfig", set("command", "args", "port", "healthCheckConfig"))
	if f.Runtime != "" && !f.Custom() {
		r.addf(n.Line, "customRuntimeConfig: runtime %s is not a custom runtime", f.Runtime)
	}
	if c := fs["command"]; c != nil {
		if f.Command = r.strings(c, "customRuntimeConfig.command"); len(f.Command) == 0 || f.Command[0] == "" {
			r.addf(c.Line, "customRuntimeConfig.command is empty")
		}
	}
	if a := fs["args"]; a != nil {
		f.Args = r.strings(a, "customRuntimeConfig.args")
	}
	if p := fs["port"]; p != nil {
		f.Port = r.integer(p, "customRuntimeConfig.port", 1, 65535)
	}
	if h := fs["healthCheckConfig"]; h != nil {
		hs := r.fields(h, "healthCheckConfig", set("httpGetUrl", "initialDelaySeconds", "periodSeconds",
			"timeoutSeconds", "failureThreshold", "successThreshold"))
		if u := hs["httpGetUrl"]; u != nil {
			f.HealthCheck = r.str(u, "httpGetUrl")
		}
	}
}

func (r *reader) lifecycle(f *Function, n *yaml.Node) {
	if n == nil {
		return
	}
	fs := r.fields(n, "instanceLifecycleConfig", set("initializer", "preStop"))
	if h := fs["initializer"]; h != nil {
		f.Initializer = r.hook(h, "initializer", 300)
	}
	if h := fs["preStop"]; h != nil {
		f.PreStop = r.hook(h, "preStop", 90)
	}
}

func (r *reader) hook(n *yaml.Node, what string, maxTimeout int) *Hook {
	h := &Hook{Timeout: 3 * time.Second}
	fs := r.fields(n, what, set("handler", "command", "timeout"))
	if c := fs["command"]; c != nil {
		r.addf(c.Line, "%s: command is not supported here, use handler", what)
	} else if fs["handler"] == nil {
		r.addf(n.Line, "%s: handler is missing", what)
	}
	if v := fs["handler"]; v != nil {
		h.Handler = r.str(v, what+".handler")
	}
	if t := fs["timeout"]; t != nil {
		h.Timeout = time.Duration(r.integer(t, what+".timeout", 1, maxTimeout)) * time.Second
	}
	return h
}

func (r *reader) asyncInvoke(f *Function, n *yaml.Node) {
	if n == nil {
		return
	}
	f.Async.Configured = true
	fs := r.fields(n, "asyncInvokeConfig", set("maxAsyncRetryAttempts", "maxAsyncEventAgeInSeconds",
		"asyncTask", "destinationConfig", "qualifier"))
	if v := fs["maxAsyncRetryAttempts"]; v != nil {
		f.Async.MaxAttempts = r.integer(v, "maxAsyncRetryAttempts", 0, 8)
	}
	if v := fs["maxAsyncEventAgeInSeconds"]; v != nil {
		f.Async.MaxAge = time.Duration(r.integer(v, "maxAsyncEventAgeInSeconds", 1, 2592000)) * time.Second
	}
	if v := fs["asyncTask"]; v != nil {
		f.Async.Task = r.boolean(v, "asyncTask")
	}
	if v := fs["destinationConfig"]; v != nil {
		ds := r.fields(v, "destinationConfig", set("onSuccess", "onFailure"))
		f.Async.OnSuccess = r.destination(ds["onSuccess"], "onSuccess")
		f.Async.OnFailure = r.destination(ds["onFailure"], "onFailure")
	}
}

func (r *reader) destination(n *yaml.Node, what string) string {
	if n == nil {
		return ""
	}
	d := r.fields(n, what, set("destination"))["destination"]
	if d == nil {
		r.addf(n.Line, "%s: destination is missing", what)
		return ""
	}
	arn := r.str(d, what+".destination")
	if len(arn) < 4 || arn[:4] != "acs:" {
		r.addf(d.Line, "%s.destination %q: want an ARN that begins with acs:", what, arn)
	}
	return arn
}

func (r *reader) logConfig(f *Function, n *yaml.Node) {
	if n == nil {
		return
	}
	if n.Kind == yaml.ScalarNode {
		r.addf(n.Line, "logConfig %s is not supported: name project and logstore", n.Value)
		return
	}
	fs := r.fields(n, "logConfig", set("project", "logstore", "logBeginRule", "enableRequestMetrics", "enableInstanceMetrics"))
	for _, name := range [...]string{"project", "logstore"} {
		if fs[name] == nil {
			r.addf(n.Line, "logConfig: %s is missing", name)
		}
	}
	if v := fs["project"]; v != nil {
		f.Log.Project = r.str(v, "logConfig.project")
	}
	if v := fs["logstore"]; v != nil {
		f.Log.Logstore = r.str(v, "logConfig.logstore")
	}
	if v := fs["logBeginRule"]; v != nil {
		if rule := r.str(v, "logBeginRule"); rule != "None" && rule != "DefaultRegex" {
			r.addf(v.Line, "logBeginRule %q: want None or DefaultRegex", rule)
		}
	}
	if v := fs["enableRequestMetrics"]; v != nil {
		f.Log.RequestMetrics = r.boolean(v, "enableRequestMetrics")
	}
	if v := fs["enableInstanceMetrics"]; v != nil {
		r.boolean(v, "enableInstanceMetrics")
	}
}
