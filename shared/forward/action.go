package forward

import (
	"encoding/json"
	"strconv"
	"strings"

	"relink/shared/rule"
	"relink/shared/rulesql"
)

// An Action is an action of a rule whose configuration is compiled. It is safe for concurrent use.
type Action struct {
	target Target // what is constant
	topic  *rulesql.Template
	keys   []*rulesql.Template // as target.Keys
	err    error               // why it can deliver nothing
}

// Compile compiles an action. One that this build does not know, or that is not complete, is compiled too: each of its deliveries fails,
// and so the failure is told to whom the rule says.
func Compile(kind string, c *rule.Configuration) *Action {
	a := &Action{target: Target{Type: kind, Region: c.RegionName}}
	switch kind {
	case Republish:
		a.target.Resource = c.Topic
		a.topic, a.err = rulesql.CompileTemplate(c.Topic)
		if c.TopicType != nil {
			n, err := strconv.Atoi(c.TopicType.String())
			if err != nil || n != rulesql.ThingTopic && n != rulesql.CustomTopic {
				a.err = refused("topicType %s is not known", c.TopicType)
			}
			a.target.TopicType = n
		}
	case OTS:
		a.target.Instance, a.target.Resource = c.InstanceName, c.TableName
		for _, k := range c.PrimaryKeys {
			t, err := rulesql.CompileTemplate(k.ColumnValue)
			if err != nil {
				a.err = err
			}
			a.keys = append(a.keys, t)
			a.target.Keys = append(a.target.Keys, Key{Name: k.ColumnName, Type: strings.ToUpper(k.ColumnType), Auto: k.Option == "AUTO_INCREMENT"})
		}
	case FC:
		a.target.Resource = c.FunctionName
	case MNS:
		a.target.Resource = c.ThemeName
	case HTTPS:
		a.target.Resource, a.target.Method, a.target.Headers = c.URL, c.Method, c.Headers
	default:
		a.err = refused("not supported: actions of type %s", kind)
	}
	if a.err == nil && a.target.Resource == "" {
		a.err = refused("the action does not say where to")
	}
	return a
}

// CompileErrorAction compiles the error action that an item carries.
func CompileErrorAction(e *ErrorAction) *Action {
	var c rule.Configuration
	if err := json.Unmarshal(e.Configuration, &c); err != nil {
		return &Action{target: Target{Type: e.Type}, err: refused("configuration: %v", err)}
	}
	return Compile(e.Type, &c)
}

// Templated tells whether Fill needs the result.
func (a *Action) Templated() bool { return a.topic != nil && !a.topic.Constant() || len(a.keys) > 0 }

// Fill gives the target of one result, which is nil if it is no JSON. With an error the target is good for telling where it was to go.
func (a *Action) Fill(result *rulesql.Document) (Target, error) {
	t := a.target
	if a.err != nil {
		return t, &Error{Reason: a.err.Error(), Final: true}
	}
	if a.topic != nil {
		topic, err := a.topic.Text(result, nil)
		if err != nil {
			return t, refused("topic: %v", err)
		}
		t.Resource = topic
	}
	if len(a.keys) > 0 {
		t.Keys = append([]Key(nil), t.Keys...)
		for n, template := range a.keys {
			if t.Keys[n].Auto {
				continue
			}
			v, err := template.Value(result)
			if err != nil {
				return t, refused("primary key %s: %v", t.Keys[n].Name, err)
			}
			if v.IsNull() {
				return t, refused("primary key %s: the result has no such member, or it is null", t.Keys[n].Name)
			}
			t.Keys[n].Value = v.Text()
		}
	}
	return t, nil
}
