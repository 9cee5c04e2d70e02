package rule

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/rulesql"
	"relink/shared/store"
)

// maxConfiguration bounds the text of one configuration.
const maxConfiguration = 16 << 10

const (
	codeNoType      = "iot.ruleng.NullRuleActionType"
	codeNoConfig    = "iot.ruleng.NullRuleActionConfig"
	codeNotJSON     = "iot.ruleng.RuleActionConfigurationIsNotJson"
	codeRegion      = "iot.ruleng.IncorrectRegionName"
	codeTag         = "iot.ruleng.InvalidFormattedTagInConfiguration"
	codeKeyValue    = "iot.ruleng.NullPrimaryKeyValueInOts"
	codeNullTopic   = "iot.messagebroker.NullTopicName"
	codeBadTopic    = "iot.messagebroker.InvalidFormattedTopicName"
	codeInvalidHTTP = "iot.ruleng.InvalidEndpoint"
)

// A Configuration is the members of actions' configurations that the platform knows ("Actions"). OSS, SLS and HTTPS are ours. Texts in
// which ${…} is filled in are marked with a star.
type Configuration struct {
	Topic        string       `json:"topic"`     // REPUBLISH*, ONS
	TopicType    *json.Number `json:"topicType"` // REPUBLISH: 0 thing model, 1 custom
	InstanceName string       `json:"instanceName"`
	TableName    string       `json:"tableName"`
	RegionName   string       `json:"regionName"`
	PrimaryKeys  []PrimaryKey `json:"primaryKeys"`
	ServiceName  string       `json:"serviceName"`
	FunctionName string       `json:"functionName"`
	ThemeName    string       `json:"themeName"` // MNS: the topic
	InstanceID   string       `json:"instanceId"`
	Tag          string       `json:"tag"`         // * AMQP, ONS
	ProjectName  string       `json:"projectName"` // DATAHUB, SLS
	TopicName    string       `json:"topicName"`   // DATAHUB; SLS*: the log's topic, may be missing
	SchemaVals   []SchemaVal  `json:"schemaVals"`

	BucketName   string            `json:"bucketName"`   // OSS
	ObjectName   string            `json:"objectName"`   // OSS*
	LogstoreName string            `json:"logstoreName"` // SLS
	URL          string            `json:"url"`          // HTTPS
	Method       string            `json:"method"`       // HTTPS: POST, which is the default, or PUT
	Headers      map[string]string `json:"headers"`      // HTTPS
}

// A PrimaryKey is one key column of an OTS action.
type PrimaryKey struct {
	ColumnType  string `json:"columnType"` // INTEGER, STRING, BINARY
	ColumnName  string `json:"columnName"`
	ColumnValue string `json:"columnValue"` // *
	Option      string `json:"option"`      // AUTO_INCREMENT
}

// A SchemaVal is one column of a DATAHUB action.
type SchemaVal struct {
	Name, Value, Type string
}

// types are the checks of each type of action. What has none is kept as it is; the engine says at run time that it cannot forward there.
var types = map[string]func(c *Configuration) error{
	"REPUBLISH": checkRepublish, "OTS": checkOTS, "FC": checkFC, "MNS": checkMNS, "AMQP": checkAMQP, "ONS": checkONS, "DATAHUB": checkDataHub,
	"RDS": nil, "TSDB": nil, "OSS": checkOSS, "SLS": checkSLS, "HTTPS": checkHTTPS,
}

// checkAction checks an action of a rule and gives its configuration as compact JSON.
func (s *Service) checkAction(ctx context.Context, r *store.Rule, kind, text string) (json.RawMessage, error) {
	check, known := types[kind]
	switch {
	case kind == "":
		return nil, openapi.Refusef(codeNoType, "Type is empty")
	case !known:
		return nil, openapi.Refusef(codeActionType, "there is no type %.40q of actions", kind)
	case r.DataType == "BINARY" && (kind == "OTS" || kind == "RDS" || kind == "TSDB"):
		return nil, openapi.Refusef(codeActionType, "a BINARY rule has no actions of type %s", kind)
	case strings.TrimSpace(text) == "":
		return nil, openapi.Refusef(codeNoConfig, "Configuration is empty")
	case len(text) > maxConfiguration:
		return nil, openapi.Refusef(codeActionConfig, "Configuration has more than %d bytes", maxConfiguration)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(text)); err != nil || compact.Bytes()[0] != '{' {
		return nil, openapi.Refusef(codeNotJSON, "Configuration is no JSON object")
	}
	var c Configuration
	if err := json.Unmarshal(compact.Bytes(), &c); err != nil {
		return nil, openapi.Refusef(codeActionConfig, "Configuration: %v", err)
	}
	if check != nil {
		if err := check(&c); err != nil {
			return nil, err
		}
	}
	if kind == "REPUBLISH" {
		if pk := levels(c.Topic)[0]; !strings.Contains(pk, "${") {
			if _, err := s.products.Get(ctx, iot.ProductKey(pk)); err != nil {
				return nil, err
			}
		}
	}
	return compact.Bytes(), nil
}

// A need is a member that must be there, and the code for when it is not.
type need struct{ value, name, code string }

func needs(list ...need) error {
	for _, n := range list {
		if n.value == "" {
			return openapi.Refusef(n.code, "%s is missing in Configuration", n.name)
		}
	}
	return nil
}

// template checks a text with ${…} in it.
func template(text, name, code string) error {
	if _, err := rulesql.CompileTemplate(text); err != nil {
		return openapi.Refusef(code, "%s: %v", name, err)
	}
	return nil
}

// levels are the parts of a topic of the REPUBLISH action behind /sys.
func levels(topic string) []string {
	return strings.Split(strings.TrimPrefix(strings.TrimPrefix(topic, "/"), "sys/"), "/")
}

// checkRepublish: a custom topic, or that of a property set or a service.
func checkRepublish(c *Configuration) error {
	if err := needs(need{c.Topic, "topic", codeNullTopic}); err != nil {
		return err
	}
	if err := template(c.Topic, "topic", codeBadTopic); err != nil {
		return err
	}
	kind := int64(-1)
	if c.TopicType != nil {
		if n, err := strconv.ParseInt(c.TopicType.String(), 10, 64); err == nil {
			kind = n
		}
	}
	parts := levels(c.Topic)
	system := strings.HasPrefix(strings.TrimPrefix(c.Topic, "/"), "sys/")
	switch {
	case kind != 0 && kind != 1:
		return openapi.Refusef(codeActionConfig, "topicType is 0 (thing model) or 1 (custom)")
	case strings.ContainsAny(c.Topic, "+#") || len(c.Topic) > 512:
		return openapi.Refusef(codeBadTopic, "a message is published to one topic, without + and #")
	case kind == 1 && (system || len(parts) < 4 || parts[2] != "user" || parts[3] == ""):
		return openapi.Refusef(codeBadTopic, "a custom topic is /productKey/deviceName/user/…")
	case kind == 0 && (len(parts) < 5 || parts[2] != "thing" || parts[3] != "service" ||
		!(len(parts) == 5 && parts[4] != "" || len(parts) == 6 && parts[4] == "property" && parts[5] == "set")):
		return openapi.Refusef(codeBadTopic, "a topic of the thing model is /sys/productKey/deviceName/thing/service/property/set or …/thing/service/{identifier}")
	}
	return nil
}

func checkOTS(c *Configuration) error {
	err := needs(need{c.InstanceName, "instanceName", "iot.ruleng.NullOtsInstanceName"}, need{c.TableName, "tableName", "iot.ruleng.NullTableNameInOtsInstance"},
		need{c.RegionName, "regionName", codeRegion})
	if err != nil {
		return err
	}
	if len(c.PrimaryKeys) == 0 || len(c.PrimaryKeys) > 4 {
		return openapi.Refusef("iot.ruleng.NullPrimaryKeyInOtsTable", "primaryKeys are 1 to 4")
	}
	for _, k := range c.PrimaryKeys {
		if err := needs(need{k.ColumnName, "columnName", "iot.ruleng.NullPrimaryKeyNameInOts"}, need{k.ColumnType, "columnType", "iot.ruleng.NullPrimaryKeyTypeInOts"}); err != nil {
			return err
		}
		if k.ColumnType != "INTEGER" && k.ColumnType != "STRING" && k.ColumnType != "BINARY" {
			return openapi.Refusef("iot.ruleng.NullPrimaryKeyTypeInOts", "columnType is INTEGER, STRING or BINARY")
		}
		switch k.Option {
		case "":
			if err := needs(need{k.ColumnValue, "columnValue", codeKeyValue}); err != nil {
				return err
			}
			if err := template(k.ColumnValue, "columnValue", "iot.ruleng.IncorrectPrimaryKeyValueInOtsTable"); err != nil {
				return err
			}
		case "AUTO_INCREMENT":
			if k.ColumnType != "INTEGER" {
				return openapi.Refusef("iot.ruleng.IncorrectPrimaryKeyValueInOtsTable", "AUTO_INCREMENT is for INTEGER")
			}
		default:
			return openapi.Refusef("iot.ruleng.IncorrectPrimaryKeyValueInOtsTable", "option is AUTO_INCREMENT or missing")
		}
	}
	return nil
}

func checkFC(c *Configuration) error {
	return needs(need{c.ServiceName, "serviceName", "iot.ruleng.NullServiceNameInFc"}, need{c.FunctionName, "functionName", "iot.ruleng.NullFunctionNameInFc"},
		need{c.RegionName, "regionName", codeRegion})
}

func checkMNS(c *Configuration) error {
	return needs(need{c.ThemeName, "themeName", "iot.ruleng.NullTopicNameInMns"}, need{c.RegionName, "regionName", codeRegion})
}

func checkAMQP(c *Configuration) error { return checkTag(c) }

func checkONS(c *Configuration) error {
	if err := needs(need{c.InstanceID, "instanceId", "iot.ruleng.InstanceNotFound"}, need{c.Topic, "topic", codeNullTopic}, need{c.RegionName, "regionName", codeRegion}); err != nil {
		return err
	}
	return checkTag(c)
}

func checkTag(c *Configuration) error {
	if len(c.Tag) > 128 {
		return openapi.Refusef(codeTag, "tag has at most 128 bytes")
	}
	return template(c.Tag, "tag", codeTag)
}

func checkDataHub(c *Configuration) error {
	err := needs(need{c.ProjectName, "projectName", "iot.ruleng.NullProjectOfDatahub"}, need{c.TopicName, "topicName", "iot.ruleng.NullTopicInDatahubProject"},
		need{c.RegionName, "regionName", codeRegion})
	if err != nil {
		return err
	}
	if len(c.SchemaVals) == 0 {
		return openapi.Refusef("iot.ruleng.NullOrEmptySchemaOfTopic", "schemaVals is missing in Configuration")
	}
	for _, v := range c.SchemaVals {
		if err := needs(need{v.Name, "name", "iot.ruleng.EmptySchemaNameOfTopic"}, need{v.Type, "type", "iot.ruleng.EmptySchemaTypeOfTopic"},
			need{v.Value, "value", "iot.ruleng.EmptySchemaValueOfTopic"}); err != nil {
			return err
		}
		if err := template(v.Value, "value", "iot.ruleng.IncorrectSchemaValueOfTopic"); err != nil {
			return err
		}
	}
	return nil
}

func checkOSS(c *Configuration) error {
	if err := needs(need{c.BucketName, "bucketName", codeActionConfig}, need{c.ObjectName, "objectName", codeActionConfig}); err != nil {
		return err
	}
	return template(c.ObjectName, "objectName", codeActionConfig)
}

func checkSLS(c *Configuration) error {
	if err := needs(need{c.ProjectName, "projectName", codeActionConfig}, need{c.LogstoreName, "logstoreName", codeActionConfig}); err != nil {
		return err
	}
	return template(c.TopicName, "topicName", codeActionConfig)
}

// checkHTTPS looks at the text of the URL; whether its host may be reached is decided when it is.
func checkHTTPS(c *Configuration) error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil:
		return openapi.Refusef(codeInvalidHTTP, "url is https://host/path, without a user")
	case c.Method != "" && c.Method != "POST" && c.Method != "PUT":
		return openapi.Refusef(codeActionConfig, "method is POST or PUT")
	}
	for name, value := range c.Headers {
		if name == "" || strings.ContainsAny(name, " \r\n:\x00") || strings.ContainsAny(value, "\r\n\x00") {
			return openapi.Refusef(codeActionConfig, "a header is malformed")
		}
	}
	return nil
}
