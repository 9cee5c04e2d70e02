package serverless

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// maxTriggers bounds the triggers of one function.
const maxTriggers = 50

var triggerTypes = set("timer", "http", "oss", "log", "mns_topic", "tablestore", "eventbridge", "cdn_events")

func (r *reader) triggers(f *Function, n *yaml.Node) {
	if n == nil {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.addf(n.Line, "triggers must be a list")
		return
	}
	if len(n.Content) > maxTriggers {
		r.addf(n.Line, "%d triggers: at most %d", len(n.Content), maxTriggers)
	}
	names, urls := make(map[string]bool), 0
	for _, c := range n.Content {
		t := r.trigger(deref(c))
		if names[t.Name] && t.Name != "" {
			r.addf(c.Line, "trigger %s is declared twice", t.Name)
		}
		names[t.Name] = true
		if t.HTTP != nil {
			if urls++; urls > 1 {
				r.addf(c.Line, "a second http trigger: a function has at most one")
			}
		}
		f.Triggers = append(f.Triggers, t)
	}
}

func (r *reader) trigger(n *yaml.Node) Trigger {
	t := Trigger{Line: n.Line, Qualifier: "LATEST"}
	fs := r.fields(n, "trigger", set("triggerName", "triggerType", "triggerConfig", "qualifier",
		"invocationRole", "sourceArn", "description"))
	if fs == nil {
		return t
	}
	for _, name := range [...]string{"triggerName", "triggerType", "triggerConfig"} {
		if fs[name] == nil {
			r.addf(n.Line, "trigger: %s is missing", name)
			return t
		}
	}
	t.Name = r.str(fs["triggerName"], "triggerName")
	t.Type = r.str(fs["triggerType"], "triggerType")
	if q := fs["qualifier"]; q != nil {
		t.Qualifier = r.str(q, "qualifier")
	}
	switch config := fs["triggerConfig"]; {
	case t.Type == "timer":
		t.Timer = r.timer(config)
	case t.Type == "http":
		t.HTTP = r.http(config)
	case !triggerTypes[t.Type]:
		r.addf(fs["triggerType"].Line, "triggerType %q is unknown", t.Type)
	default:
		r.addf(fs["triggerType"].Line, "triggerType %s is not supported: use timer or http", t.Type)
	}
	return t
}

func (r *reader) timer(n *yaml.Node) *TimerTrigger {
	t := &TimerTrigger{Enable: true}
	fs := r.fields(n, "timer trigger", set("cronExpression", "enable", "payload"))
	cron := fs["cronExpression"]
	if cron == nil {
		r.addf(n.Line, "timer trigger: cronExpression is missing")
		return t
	}
	t.CronExpression = r.str(cron, "cronExpression")
	schedule, err := ParseSchedule(t.CronExpression)
	if err != nil {
		r.addf(cron.Line, "cronExpression: %v", err)
	}
	t.Schedule = schedule
	if v := fs["enable"]; v != nil {
		t.Enable = r.boolean(v, "enable")
	}
	if v := fs["payload"]; v != nil {
		t.Payload = r.str(v, "payload")
	}
	return t
}

var httpMethods = set("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS")

func (r *reader) http(n *yaml.Node) *HTTPTrigger {
	t := &HTTPTrigger{}
	fs := r.fields(n, "http trigger", set("authType", "methods", "disableURLInternet", "authConfig", "corsConfig"))
	if v := fs["authType"]; v == nil {
		r.addf(n.Line, "http trigger: authType is missing")
	} else if t.AuthType = r.str(v, "authType"); t.AuthType != "anonymous" && t.AuthType != "function" {
		r.addf(v.Line, "authType %q: want anonymous or function", t.AuthType)
	}
	if v := fs["methods"]; v == nil {
		r.addf(n.Line, "http trigger: methods is missing")
	} else {
		t.Methods = r.strings(v, "methods")
		for _, m := range t.Methods {
			if !httpMethods[m] {
				r.addf(v.Line, "method %q: want one of GET, POST, PUT, DELETE, HEAD, PATCH, OPTIONS%s", m, upperHint(m))
			}
		}
	}
	if v := fs["disableURLInternet"]; v != nil {
		t.DisableURLInternet = r.boolean(v, "disableURLInternet")
	}
	return t
}

func upperHint(m string) string {
	if httpMethods[strings.ToUpper(m)] {
		return " in capitals"
	}
	return ""
}
