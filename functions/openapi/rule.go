package main

import (
	"context"
	"strconv"

	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/rule"
	"relink/shared/store"
)

// withRules adds the actions about rules of the rule engine ("Rules (SQL, old style)").
func withRules(t openapi.Table, a *api) openapi.Table {
	id, action := []string{"RuleId"}, []string{"ActionId"}
	failed := func(code string) map[iot.Kind]string {
		return map[iot.Kind]string{iot.Internal: code, iot.InvalidParams: code}
	}
	for _, x := range []*openapi.Action{
		{Name: "CreateRule", Required: []string{"Name"}, Limit: 50, Handle: a.createRule, Special: failed("iot.rule.CreateRuleException")},
		{Name: "UpdateRule", Required: id, Limit: 50, Handle: a.updateRule, Special: failed("iot.rule.UpdateRuleFailed")},
		{Name: "GetRule", Required: id, Limit: 50, Handle: a.getRule},
		{Name: "ListRule", Required: []string{"CurrentPage", "PageSize"}, Limit: 20, Handle: a.listRule, Special: failed("iot.rule.QueryRulePageActionError")},
		{Name: "DeleteRule", Required: id, Limit: 50, Handle: a.deleteRule, Special: failed("iot.rule.DeleteRuleFailed")},
		{Name: "StartRule", Required: id, Limit: 50, Handle: a.startRule, Special: failed("iot.rule.StartRuleFailed")},
		{Name: "StopRule", Required: id, Limit: 50, Handle: a.stopRule, Special: failed("iot.rule.StopRuleFailed")},
		{Name: "CreateRuleAction", Required: []string{"Configuration", "RuleId", "Type"}, Limit: 50, Handle: a.createRuleAction, Special: failed("iot.ruleng.CreateRuleActionFailed")},
		{Name: "UpdateRuleAction", Required: []string{"ActionId", "Configuration", "Type"}, Limit: 50, Handle: a.updateRuleAction, Special: failed("iot.ruleng.UpdateRuleActionFailed")},
		{Name: "GetRuleAction", Required: action, Handle: a.getRuleAction, Special: failed("iot.ruleng.QueryRuleActionFailed")},
		{Name: "ListRuleActions", Required: id, Limit: 50, Handle: a.listRuleActions, Special: failed("iot.rule.QueryRuleActionListError")},
		{Name: "DeleteRuleAction", Required: action, Limit: 50, Handle: a.deleteRuleAction, Special: failed("iot.ruleng.DeleteRuleActionFailed")},
	} {
		if t[x.Name] != nil {
			panic("openapi: repeated action " + x.Name)
		}
		x.Codes = openapi.ProductCodes
		t[x.Name] = x
	}
	return t
}

// positive reads an id of a rule or an action; code is for one that none can have.
func positive(c *openapi.Call, name, code string) (int64, error) {
	n, err := c.Params.Int64(name, 0)
	if err == nil && n <= 0 {
		err = openapi.Refusef(code, "%s is malformed", name)
	}
	return n, err
}

func ruleID(c *openapi.Call) (int64, error) { return positive(c, "RuleId", "iot.rule.IncorrentRuleId") }
func actionID(c *openapi.Call) (int64, error) {
	return positive(c, "ActionId", "iot.rule.IncorrentRuleActionId")
}

// given is a parameter as a pointer, nil if the call has none.
func given(c *openapi.Call, name string) *string {
	if !c.Params.Has(name) {
		return nil
	}
	s := c.Params.String(name)
	return &s
}

func ruleChange(c *openapi.Call) (rule.Change, error) {
	change := rule.Change{Name: given(c, "Name"), Description: given(c, "RuleDesc"), Select: given(c, "Select"), Where: given(c, "Where"),
		DataType: given(c, "DataType"), ProductKey: given(c, "ProductKey"), ShortTopic: given(c, "ShortTopic"), Topic: given(c, "Topic")}
	if c.Params.String("TopicType") != "" {
		n, err := c.Params.Int("TopicType", 0)
		if err != nil {
			return change, err
		}
		change.TopicType = &n
	}
	if change.ProductKey != nil && *change.ProductKey != "" {
		if _, err := productKey(c); err != nil {
			return change, err
		}
	}
	return change, nil
}

func (a *api) createRule(ctx context.Context, c *openapi.Call) (any, error) {
	change, err := ruleChange(c)
	if err != nil {
		return nil, err
	}
	r, err := a.rules.Create(ctx, change)
	if err != nil {
		return nil, err
	}
	return struct{ RuleId int64 }{r.ID}, nil
}

func (a *api) updateRule(ctx context.Context, c *openapi.Call) (any, error) {
	id, err := ruleID(c)
	if err != nil {
		return nil, err
	}
	change, err := ruleChange(c)
	if err != nil {
		return nil, err
	}
	return nil, a.rules.Update(ctx, id, change)
}

// A ruleInfo is a rule in answers. TopicType is not in lists.
type ruleInfo struct {
	CreateUserId int64
	Created      string
	DataType     string
	Id           int64
	Modified     string
	Name         string
	ProductKey   string `json:",omitempty"`
	RuleDesc     string `json:",omitempty"`
	Select       string `json:",omitempty"`
	ShortTopic   string `json:",omitempty"`
	Status       string
	Topic        string `json:",omitempty"`
	TopicType    *int   `json:",omitempty"`
	UtcCreated   string
	UtcModified  string
	Where        string `json:",omitempty"`
}

// javaDate is the form of Created and Modified ("Paging and time formats").
func javaDate(ms int64) string { return format(ms, cst, "Mon Jan 02 15:04:05 MST 2006") }

func (a *api) inform(r *store.Rule) ruleInfo {
	info := ruleInfo{CreateUserId: a.account, Created: javaDate(r.CreatedAt), Modified: javaDate(r.ModifiedAt), UtcCreated: utc(r.CreatedAt),
		UtcModified: utc(r.ModifiedAt), DataType: r.DataType, Id: r.ID, Name: r.Name, ProductKey: string(r.ProductKey), RuleDesc: r.Description,
		Select: r.Select, ShortTopic: r.ShortTopic, Where: r.Where, Status: "STOP"}
	if r.Running {
		info.Status = "RUNNING"
	}
	if r.ShortTopic != "" {
		info.Topic = "/" + string(r.ProductKey) + "/" + r.ShortTopic
	}
	return info
}

func (a *api) getRule(ctx context.Context, c *openapi.Call) (any, error) {
	id, err := ruleID(c)
	if err != nil {
		return nil, err
	}
	r, err := a.rules.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	info := a.inform(r)
	info.TopicType = &r.TopicType
	return struct{ RuleInfo ruleInfo }{info}, nil
}

func (a *api) listRule(ctx context.Context, c *openapi.Call) (any, error) {
	number, size, err := page(c, 0, 100)
	if err != nil {
		return nil, err
	}
	if number > rule.MaxPage {
		return nil, openapi.Refusef(openapi.CodePage, "CurrentPage is at most %d", rule.MaxPage)
	}
	rules, err := a.rules.List(ctx)
	if err != nil {
		return nil, err
	}
	total := len(rules)
	rules = rules[min((number-1)*size, total):min(number*size, total)]
	var answer struct {
		Data                  struct{ RuleInfo []ruleInfo }
		Page, PageSize, Total int
	}
	answer.Data.RuleInfo = list(len(rules), func(i int) ruleInfo { return a.inform(rules[i]) })
	answer.Page, answer.PageSize, answer.Total = number, size, total
	return answer, nil
}

// onRule does something with the rule that the call names and answers nothing.
func onRule(ctx context.Context, c *openapi.Call, do func(context.Context, int64) error) (any, error) {
	id, err := ruleID(c)
	if err != nil {
		return nil, err
	}
	return nil, do(ctx, id)
}

func (a *api) deleteRule(ctx context.Context, c *openapi.Call) (any, error) {
	return onRule(ctx, c, a.rules.Delete)
}

func (a *api) startRule(ctx context.Context, c *openapi.Call) (any, error) {
	return onRule(ctx, c, a.rules.Start)
}

func (a *api) stopRule(ctx context.Context, c *openapi.Call) (any, error) {
	return onRule(ctx, c, a.rules.Stop)
}

func (a *api) createRuleAction(ctx context.Context, c *openapi.Call) (any, error) {
	id, err := ruleID(c)
	if err != nil {
		return nil, err
	}
	forErrors, err := c.Params.Bool("ErrorActionFlag", false)
	if err != nil {
		return nil, err
	}
	action, err := a.rules.CreateAction(ctx, id, c.Params.String("Type"), c.Params.String("Configuration"), forErrors)
	if err != nil {
		return nil, err
	}
	return struct{ ActionId int64 }{action}, nil
}

func (a *api) updateRuleAction(ctx context.Context, c *openapi.Call) (any, error) {
	id, err := actionID(c)
	if err != nil {
		return nil, err
	}
	return nil, a.rules.UpdateAction(ctx, id, c.Params.String("Type"), c.Params.String("Configuration"))
}

// A ruleActionInfo is an action in answers. Status is only in lists.
type ruleActionInfo struct {
	Configuration   string
	ErrorActionFlag bool
	Id, RuleId      int64
	Status          string `json:",omitempty"`
	Type            string
}

func (a *api) informAction(r *store.Rule, x *store.RuleAction) ruleActionInfo {
	return ruleActionInfo{Configuration: rule.Shown(x, strconv.FormatInt(a.account, 10)), ErrorActionFlag: x.ForErrors, Id: x.ID, RuleId: r.ID, Type: x.Type}
}

func (a *api) getRuleAction(ctx context.Context, c *openapi.Call) (any, error) {
	id, err := actionID(c)
	if err != nil {
		return nil, err
	}
	action, r, err := a.rules.Action(ctx, id)
	if err != nil {
		return nil, err
	}
	return struct{ RuleActionInfo ruleActionInfo }{a.informAction(r, action)}, nil
}

func (a *api) listRuleActions(ctx context.Context, c *openapi.Call) (any, error) {
	id, err := ruleID(c)
	if err != nil {
		return nil, err
	}
	r, err := a.rules.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	var answer struct {
		RuleActionList struct{ RuleActionInfo []ruleActionInfo }
	}
	answer.RuleActionList.RuleActionInfo = list(len(r.Actions), func(i int) ruleActionInfo {
		info := a.informAction(r, &r.Actions[i])
		info.Status = "NORMAL"
		return info
	})
	return answer, nil
}

func (a *api) deleteRuleAction(ctx context.Context, c *openapi.Call) (any, error) {
	id, err := actionID(c)
	if err != nil {
		return nil, err
	}
	return nil, a.rules.DeleteAction(ctx, id)
}
