package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"relink/shared/rulesql"
)

func (a *app) ruleCommand() *cobra.Command {
	c := group("rule", "Rules: what is done with messages of devices; try them, and see what they could not deliver")
	c.AddCommand(a.ruleCreate(), a.ruleList(), a.ruleShow(), a.ruleUpdate(), a.ruleSwitch("start", "StartRule", "Let rules run; it takes effect within five seconds", "started"),
		a.ruleSwitch("stop", "StopRule", "Stop rules", "stopped"), a.ruleSwitch("delete", "DeleteRule", "Delete rules that do not run, with their actions", "deleted"),
		a.ruleAction(), a.ruleTest(), a.ruleDead(), a.ruleReplay())
	return c
}

// ruleText is the flags that say what a rule is.
type ruleText struct {
	sql, selects, topic, where, description string
	binary                                  bool
}

func (t *ruleText) flags(c *cobra.Command) {
	c.Flags().StringVar(&t.sql, "sql", "", `whole statement: SELECT … FROM "/productKey/+/user/update" WHERE …`)
	c.Flags().StringVar(&t.selects, "select", "", "what stands after SELECT")
	c.Flags().StringVar(&t.topic, "topic", "", "what stands after FROM: a topic, with + and #")
	c.Flags().StringVar(&t.where, "where", "", "what stands after WHERE")
	c.MarkFlagsMutuallyExclusive("sql", "select")
	c.MarkFlagsMutuallyExclusive("sql", "topic")
	c.MarkFlagsMutuallyExclusive("sql", "where")
}

// params are those of the API; only what the user said.
func (t *ruleText) params() (map[string]string, error) {
	p := map[string]string{"Select": t.selects, "Topic": t.topic, "Where": t.where, "RuleDesc": t.description}
	if t.binary {
		p["DataType"] = "BINARY"
	}
	if t.sql == "" {
		return p, nil
	}
	s, err := rulesql.Parse(t.sql)
	if err != nil {
		return nil, err
	}
	p["Select"], p["Topic"] = s.SelectText(), s.From
	if s.Where != nil {
		p["Where"] = s.Where.String()
	}
	return p, nil
}

func (a *app) ruleCreate() *cobra.Command {
	var t ruleText
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a rule; it runs once it has an action and is started",
		Example: `  relink rule create hot --sql 'SELECT temperature t, deviceName() d FROM "/a1B2c3D4e5F/+/user/update" WHERE temperature > 38'
  relink rule create power --select '*' --topic /a1B2c3D4e5F/+/thing/event/property/post`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := t.params()
			if err != nil {
				return err
			}
			params["Name"] = args[0]
			var answer struct{ RuleId int64 } //nolint:revive // the API's spelling
			if err := a.own("CreateRule", params, &answer); err != nil {
				return err
			}
			return a.print(cmd, answer, func(w io.Writer) { row(w, "rule id", answer.RuleId) })
		},
	}
	t.flags(c)
	c.Flags().StringVar(&t.description, "description", "", "up to 100 characters")
	c.Flags().BoolVar(&t.binary, "binary", false, "the payload is bytes, not JSON")
	return c
}

func (a *app) ruleUpdate() *cobra.Command {
	var t ruleText
	var name string
	c := &cobra.Command{
		Use:     "update RULE_ID",
		Short:   "Change a rule; what is not said stays. One that runs does so by the new text within five seconds",
		Example: `  relink rule update 396123456789 --where 'temperature > 40'`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := t.params()
			if err != nil {
				return err
			}
			params["RuleId"], params["Name"] = args[0], name
			return a.done(cmd, "updated", "rule "+args[0], a.own("UpdateRule", params, nil))
		},
	}
	t.flags(c)
	c.Flags().StringVar(&name, "name", "", "new name")
	c.Flags().StringVar(&t.description, "description", "", "up to 100 characters")
	return c
}

type ruleInfo struct {
	ID         int64 `json:"Id"`
	Name       string
	Status     string
	DataType   string
	Select     string `json:",omitempty"`
	Topic      string `json:",omitempty"`
	Where      string `json:",omitempty"`
	RuleDesc   string `json:",omitempty"`
	UtcCreated string
}

func (a *app) ruleList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List rules, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := []ruleInfo{}
			for page := 1; ; page++ {
				var answer struct {
					Data  struct{ RuleInfo []ruleInfo }
					Total int
				}
				if err := a.own("ListRule", map[string]string{"CurrentPage": strconv.Itoa(page), "PageSize": "100"}, &answer); err != nil {
					return err
				}
				all = append(all, answer.Data.RuleInfo...)
				if len(answer.Data.RuleInfo) == 0 || len(all) >= answer.Total {
					break
				}
			}
			return a.print(cmd, all, func(w io.Writer) {
				row(w, "RULE ID", "NAME", "STATUS", "TOPIC", "WHERE")
				for _, r := range all {
					row(w, r.ID, r.Name, r.Status, r.Topic, r.Where)
				}
			})
		},
	}
}

type ruleActionInfo struct {
	ID              int64 `json:"Id"`
	Type            string
	Configuration   string
	ErrorActionFlag bool
	Status          string `json:",omitempty"`
}

func (a *app) actionsOf(rule string) ([]ruleActionInfo, error) {
	var answer struct {
		RuleActionList struct{ RuleActionInfo []ruleActionInfo }
	}
	err := a.own("ListRuleActions", map[string]string{"RuleId": rule}, &answer)
	return answer.RuleActionList.RuleActionInfo, err
}

func printActions(w io.Writer, actions []ruleActionInfo) {
	row(w, "ACTION ID", "TYPE", "FOR", "CONFIGURATION")
	for _, x := range actions {
		what := "results"
		if x.ErrorActionFlag {
			what = "failures"
		}
		row(w, x.ID, x.Type, what, x.Configuration)
	}
}

func (a *app) ruleShow() *cobra.Command {
	return &cobra.Command{
		Use: "show RULE_ID", Short: "Show a rule and its actions", Args: cobra.ExactArgs(1),
		Example: `  relink rule show 396123456789 -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var answer struct{ RuleInfo ruleInfo }
			if err := a.own("GetRule", map[string]string{"RuleId": args[0]}, &answer); err != nil {
				return err
			}
			actions, err := a.actionsOf(args[0])
			if err != nil {
				return err
			}
			r := answer.RuleInfo
			return a.print(cmd, struct {
				ruleInfo
				Actions []ruleActionInfo
			}{r, actions}, func(w io.Writer) {
				row(w, "rule id", r.ID)
				row(w, "name", r.Name)
				row(w, "status", r.Status)
				row(w, "data", r.DataType)
				row(w, "statement", fmt.Sprintf("SELECT %s FROM %q WHERE %s", or(r.Select, "?"), r.Topic, or(r.Where, "(always)")))
				row(w, "description", r.RuleDesc)
				row(w, "created", r.UtcCreated)
				printActions(w, actions)
			})
		},
	}
}

// ruleSwitch is a command that does one thing to each of some rules.
func (a *app) ruleSwitch(use, action, short, verb string) *cobra.Command {
	return &cobra.Command{
		Use: use + " RULE_ID…", Short: short, Args: cobra.MinimumNArgs(1),
		Example: "  relink rule " + use + " 396123456789",
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, id := range args {
				if err := a.done(cmd, verb, "rule "+id, a.own(action, map[string]string{"RuleId": id}, nil)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) ruleAction() *cobra.Command {
	c := group("action", "Actions of a rule: where its results go")
	var forErrors bool
	add := &cobra.Command{
		Use:   "add RULE_ID TYPE CONFIGURATION",
		Short: "Add an action: REPUBLISH, OTS, FC, MNS, OSS, SLS, HTTPS, …; the configuration is JSON",
		Long: `Add an action to a rule. TYPE is REPUBLISH, OTS, FC, MNS, OSS, SLS or HTTPS; others are kept, but nothing is forwarded to them.
CONFIGURATION is a JSON object; ${…} in it takes a member of the rule's result.`,
		Example: `  relink rule action add 396123456789 REPUBLISH '{"topic":"/a1B2c3D4e5F/${d}/user/get","topicType":1}'
  relink rule action add 396123456789 OTS '{"instanceName":"relink","tableName":"readings","regionName":"cn-shanghai","primaryKeys":[{"columnType":"STRING","columnName":"d","columnValue":"${d}"}]}'
  relink rule action add 396123456789 HTTPS '{"url":"https://alarm.example.com/hook"}' --for-errors`,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			var answer struct{ ActionId int64 } //nolint:revive // the API's spelling
			params := map[string]string{"RuleId": args[0], "Type": args[1], "Configuration": args[2]}
			if forErrors {
				params["ErrorActionFlag"] = "true"
			}
			if err := a.own("CreateRuleAction", params, &answer); err != nil {
				return err
			}
			return a.print(cmd, answer, func(w io.Writer) { row(w, "action id", answer.ActionId) })
		},
	}
	add.Flags().BoolVar(&forErrors, "for-errors", false, "the action gets what the others could not deliver")
	c.AddCommand(add, &cobra.Command{
		Use: "list RULE_ID", Short: "List the actions of a rule", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			actions, err := a.actionsOf(args[0])
			if err != nil {
				return err
			}
			return a.print(cmd, actions, func(w io.Writer) { printActions(w, actions) })
		},
	}, &cobra.Command{
		Use: "update ACTION_ID TYPE CONFIGURATION", Short: "Replace type and configuration of an action", Args: cobra.ExactArgs(3),
		Example: `  relink rule action update 1622521686976001 MNS '{"themeName":"hot","regionName":"cn-shanghai"}'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.own("UpdateRuleAction", map[string]string{"ActionId": args[0], "Type": args[1], "Configuration": args[2]}, nil)
			return a.done(cmd, "updated", "action "+args[0], err)
		},
	}, &cobra.Command{
		Use: "delete ACTION_ID", Short: "Delete an action", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.done(cmd, "deleted", "action "+args[0], a.own("DeleteRuleAction", map[string]string{"ActionId": args[0]}, nil))
		},
	})
	return c
}

type tested struct {
	Outcome      string
	Topic        string
	Result       string `json:",omitempty"`
	ResultBase64 string `json:",omitempty"`
	Reason       string `json:",omitempty"`
	Where        []testedTrial
	Fields       []testedTrial
	Actions      []testedAction
}

type testedTrial struct {
	Depth        int
	Text         string
	Value        json.RawMessage `json:",omitempty"`
	ErrorMessage string          `json:",omitempty"`
}

type testedAction struct {
	ActionID        int64 `json:"ActionId"`
	Type            string
	ErrorActionFlag bool
	Target          []struct {
		Name         string
		Value        string `json:",omitempty"`
		ErrorMessage string `json:",omitempty"`
	}
}

func (a *app) ruleTest() *cobra.Command {
	var t ruleText
	var device, messageTopic, rule string
	c := &cobra.Command{
		Use:   "test PAYLOAD",
		Short: "Try a stored rule (--rule) or a statement (--sql) with a message; nothing is forwarded",
		Example: `  relink rule test '{"temperature":39.5}' --rule 396123456789 --device lamp-001
  relink rule test '{"temperature":39.5}' --sql 'SELECT temperature t FROM "/a1B2c3D4e5F/+/user/update" WHERE temperature > 38'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := t.params()
			if err != nil {
				return err
			}
			params["RuleId"], params["Payload"], params["DeviceName"], params["MessageTopic"] = rule, args[0], device, messageTopic
			var answer tested
			if err := a.own("RelinkTestRule", params, &answer); err != nil {
				return err
			}
			return a.print(cmd, answer, func(w io.Writer) { printTested(w, &answer) })
		},
	}
	t.flags(c)
	c.Flags().StringVar(&rule, "rule", "", "id of a stored rule")
	c.Flags().StringVar(&device, "device", "", "name of the device that publishes")
	c.Flags().StringVar(&messageTopic, "message-topic", "", "topic of the message, as rules see it (default: one that the rule takes)")
	c.Flags().BoolVar(&t.binary, "binary", false, "the payload is bytes, not JSON")
	c.MarkFlagsMutuallyExclusive("rule", "sql")
	c.MarkFlagsMutuallyExclusive("rule", "select")
	c.MarkFlagsOneRequired("rule", "sql", "select")
	return c
}

func printTested(w io.Writer, t *tested) {
	row(w, "outcome", t.Outcome)
	row(w, "topic", t.Topic)
	if t.Reason != "" {
		row(w, "reason", t.Reason)
	}
	if t.Outcome == "matched" {
		row(w, "result", or(t.Result, t.ResultBase64))
	}
	for _, x := range t.Where {
		row(w, "where", x.Text, or(x.ErrorMessage, string(x.Value)))
	}
	for _, x := range t.Fields {
		row(w, "select", x.Text, or(x.ErrorMessage, string(x.Value)))
	}
	for _, x := range t.Actions {
		for _, target := range x.Target {
			value := target.Value
			if target.ErrorMessage != "" {
				value = "fails: " + target.ErrorMessage
			}
			row(w, fmt.Sprintf("action %d", x.ActionID), x.Type+" "+target.Name, value)
		}
	}
}
