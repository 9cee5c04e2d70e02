package rule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"relink/shared/rulesql"
	"relink/shared/store"
)

// A Target is one text of an action's configuration, filled in from a result.
type Target struct {
	Name  string // member of the configuration; of a key column primaryKeys.{name}
	Value string
	Err   error // the result lacks what the text needs: the delivery would fail
}

// Targets tells where an action would deliver a result, in the order of the configuration's members. result is nil for bytes that are no
// JSON, of which nothing can be filled in.
func Targets(a *store.RuleAction, result *rulesql.Document) ([]Target, error) {
	var c Configuration
	if err := json.Unmarshal(a.Configuration, &c); err != nil {
		return nil, fmt.Errorf("configuration of action %d: %w", a.ID, err)
	}
	var list []Target
	add := func(name, text string, filled bool) {
		if text == "" {
			return
		}
		t := Target{Name: name, Value: text}
		if filled && strings.Contains(text, "${") {
			t.Value, t.Err = fill(text, result)
		}
		list = append(list, t)
	}
	add("topic", c.Topic, a.Type == "REPUBLISH")
	add("instanceName", c.InstanceName, false)
	add("instanceId", c.InstanceID, false)
	add("tableName", c.TableName, false)
	for _, k := range c.PrimaryKeys {
		if k.Option != "" {
			add("primaryKeys."+k.ColumnName, k.Option, false)
			continue
		}
		add("primaryKeys."+k.ColumnName, k.ColumnValue, true)
	}
	add("serviceName", c.ServiceName, false)
	add("functionName", c.FunctionName, false)
	add("themeName", c.ThemeName, false)
	add("projectName", c.ProjectName, false)
	add("logstoreName", c.LogstoreName, false)
	add("topicName", c.TopicName, a.Type == "SLS")
	for _, v := range c.SchemaVals {
		add("schemaVals."+v.Name, v.Value, true)
	}
	add("bucketName", c.BucketName, false)
	add("objectName", c.ObjectName, true)
	add("url", c.URL, false)
	add("tag", c.Tag, true)
	return slices.Clip(list), nil
}

func fill(text string, result *rulesql.Document) (string, error) {
	t, err := rulesql.CompileTemplate(text)
	if err != nil {
		return "", err
	}
	if result == nil {
		return "", &rulesql.MissingError{Name: t.Names()[0]}
	}
	return t.Text(result, nil)
}
