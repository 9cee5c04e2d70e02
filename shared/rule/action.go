package rule

import (
	"bytes"
	"context"
	"encoding/json"

	"relink/shared/openapi"
	"relink/shared/store"
)

const (
	codeNoAction      = "iot.rule.NotFoundRuleAction"
	codeTooManyAction = "iot.rule.TooManyRuleAction"
	codeActionExists  = "iot.rule.RuleActionIsAlreadyCreated"
	codeActionType    = "iot.rule.IncorrentRuleActionType" // the vendor's spelling
	codeActionConfig  = "iot.rule.ParseRuleActionConfigError"
	codeOneError      = "iot.ruleng.OnlyAllowOneErrorAction"
	codeErrorType     = "iot.ruleng.IncorrectActionTypeForError"
)

// count gives the number of a rule's normal actions and of those for errors.
func count(r *store.Rule) (normal, forErrors int) {
	for _, a := range r.Actions {
		if a.ForErrors {
			forErrors++
		} else {
			normal++
		}
	}
	return normal, forErrors
}

// RuleOf is the rule that an action belongs to.
func RuleOf(action int64) int64 { return action / actionsPerRule }

// CreateAction adds an action to a rule and gives its id.
func (s *Service) CreateAction(ctx context.Context, rule int64, kind, configuration string, forErrors bool) (int64, error) {
	var id int64
	_, err := s.change(ctx, rule, func(r *store.Rule) error {
		a := store.RuleAction{Type: kind, ForErrors: forErrors}
		var err error
		if a.Configuration, err = s.checkAction(ctx, r, kind, configuration); err != nil {
			return err
		}
		normal, errors := count(r)
		switch {
		case forErrors && errors > 0:
			return openapi.Refusef(codeOneError, "the rule has an action for errors")
		case !forErrors && normal >= MaxActions:
			return openapi.Refusef(codeTooManyAction, "a rule has at most %d actions", MaxActions)
		}
		for {
			r.LastAction = r.LastAction%(actionsPerRule-1) + 1
			a.ID = r.ID*actionsPerRule + r.LastAction
			if find(r, a.ID) < 0 {
				break
			}
		}
		if err := checkTogether(r, &a); err != nil {
			return err
		}
		r.Actions = append(r.Actions, a)
		id = a.ID
		return nil
	})
	return id, err
}

func find(r *store.Rule, action int64) int {
	for i := range r.Actions {
		if r.Actions[i].ID == action {
			return i
		}
	}
	return -1
}

// checkTogether refuses an action that does not go with the rule's others.
func checkTogether(r *store.Rule, a *store.RuleAction) error {
	for _, o := range r.Actions {
		switch {
		case o.ID == a.ID:
		case o.ForErrors != a.ForErrors && o.Type == a.Type:
			return openapi.Refusef(codeErrorType, "the action for errors must be of another type than all others")
		case o.ForErrors == a.ForErrors && o.Type == a.Type && bytes.Equal(o.Configuration, a.Configuration):
			return openapi.Refusef(codeActionExists, "the rule has this action")
		}
	}
	return nil
}

// UpdateAction replaces type and configuration of an action.
func (s *Service) UpdateAction(ctx context.Context, action int64, kind, configuration string) error {
	return s.changeAction(ctx, action, func(r *store.Rule, i int) error {
		text, err := s.checkAction(ctx, r, kind, configuration)
		if err != nil {
			return err
		}
		a := r.Actions[i]
		a.Type, a.Configuration = kind, text
		if err := checkTogether(r, &a); err != nil {
			return err
		}
		r.Actions[i] = a
		return nil
	})
}

// DeleteAction deletes an action. A rule whose last one goes runs on and does nothing.
func (s *Service) DeleteAction(ctx context.Context, action int64) error {
	return s.changeAction(ctx, action, func(r *store.Rule, i int) error {
		r.Actions = append(r.Actions[:i], r.Actions[i+1:]...)
		return nil
	})
}

func (s *Service) changeAction(ctx context.Context, action int64, do func(r *store.Rule, i int) error) error {
	if _, _, err := s.Action(ctx, action); err != nil {
		return err
	}
	_, err := s.change(ctx, RuleOf(action), func(r *store.Rule) error {
		i := find(r, action)
		if i < 0 {
			return noAction(action)
		}
		return do(r, i)
	})
	return err
}

// Action gives an action and its rule.
func (s *Service) Action(ctx context.Context, action int64) (*store.RuleAction, *store.Rule, error) {
	r, err := s.tables.Rules().Get(ctx, RuleOf(action))
	if err != nil {
		return nil, nil, err
	}
	if r == nil {
		return nil, nil, noAction(action)
	}
	i := find(r, action)
	if i < 0 {
		return nil, nil, noAction(action)
	}
	return &r.Actions[i], r, nil
}

func noAction(id int64) error { return openapi.Refusef(codeNoAction, "there is no action %d", id) }

// Shown is an action's configuration as callers see it: with uid, the account, and for Tablestore with endPoint.
func Shown(a *store.RuleAction, uid string) string {
	extra, _ := json.Marshal(uid) // a string: never fails
	text := bytes.TrimSuffix(bytes.TrimSpace(a.Configuration), []byte("}"))
	out := append([]byte{}, text...)
	add := func(name string, value []byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(out, `"`+name+`":`...), value...)
	}
	var c struct {
		UID          any    `json:"uid"`
		EndPoint     any    `json:"endPoint"`
		InstanceName string `json:"instanceName"`
		RegionName   string `json:"regionName"`
	}
	if err := json.Unmarshal(a.Configuration, &c); err != nil {
		return string(a.Configuration) // it was checked when it was stored
	}
	if c.UID == nil {
		add("uid", extra)
	}
	if a.Type == "OTS" && c.EndPoint == nil {
		endpoint, _ := json.Marshal("https://" + c.InstanceName + "." + c.RegionName + ".ots.aliyuncs.com")
		add("endPoint", endpoint)
	}
	return string(append(out, '}'))
}
