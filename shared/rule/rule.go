// Package rule keeps the rules of the rule engine: what the OpenAPI may make of them, their limits, the configuration of their actions,
// and for the function `rule` those that run, compiled (rule engine reference, "The rule object" and "Actions"; OpenAPI, "Rules").
//
// A rule and its actions are one row, so that a change is whole or not there. A change that matters to what runs is followed by a new
// interest document; one that broke off between the two is made good for by the next change of any rule, or by asking for it again: see
// interest.Rebuild.
package rule

import (
	"context"
	"errors"
	"time"

	"relink/shared/interest"
	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/rulesql"
	"relink/shared/store"
)

// Limits ("What happens to a message") and states of rules.
const (
	MaxRules     = 1000
	MaxActions   = 10 // and one for errors
	MaxPage      = 1000
	NoTopic      = -1 // TopicType of a rule without SQL
	maxNameWidth = 30
	maxDesc      = 100
)

// Codes of refusals; the spelling is the vendor's ("Error codes", "Rules").
const (
	codeNotFound      = "iot.rule.NotFoundRule"
	codeNameTaken     = "iot.rule.RuleNameIsAlreadyExisted"
	codeTooMany       = "iot.rule.RuleCountExceedMax"
	codeCreate        = "iot.rule.CreateRuleException"
	codeUpdate        = "iot.rule.UpdateRuleFailed"
	codeDelete        = "iot.rule.DeleteRuleFailed"
	codeNoSQL         = "iot.rule.NullSqlForRule"
	codeNoDestination = "iot.rule.NullForwardDestForRule"
	codeStarted       = "iot.ruleng.RuleAlreadyIsStarted"
	codeType          = "iot.ruleng.IncorrectType"
	codeSystemTopic   = "iot.ruleng.IncorrectSysTopic"
	codeSQL           = "iot.messagebroker.IncorrectRuleSql"
)

// Products tells whether a product exists; *product.Service is one.
type Products interface {
	Get(ctx context.Context, pk iot.ProductKey) (*store.Product, error) // ProductNotFound
}

// A Service is the use cases about rules. Its errors are *openapi.Refusal where the API has a code of its own. It is safe for
// concurrent use.
type Service struct {
	tables   interest.Stores
	products Products
	now      func() time.Time
}

// New makes a service.
func New(tables interest.Stores, products Products, now func() time.Time) *Service {
	return &Service{tables, products, now}
}

// A Change is the members of a rule that a caller gives; nil leaves a member as it is.
type Change struct {
	Name, Description, Select, Where *string
	DataType                         *string // only of a new rule
	ProductKey, ShortTopic           *string
	TopicType                        *int
	Topic                            *string // replaces ProductKey, ShortTopic and TopicType
}

// Create makes a rule that does not run, and gives it an id.
func (s *Service) Create(ctx context.Context, c Change) (*store.Rule, error) {
	now := s.now().UnixMilli()
	r := &store.Rule{ID: now - idEpoch, DataType: "JSON", TopicType: NoTopic, CreatedAt: now, ModifiedAt: now}
	if c.DataType != nil && *c.DataType != "" {
		r.DataType = *c.DataType
	}
	if err := s.apply(ctx, r, c, codeCreate); err != nil {
		return nil, err
	}
	if err := s.room(ctx, r); err != nil {
		return nil, err
	}
	for range store.ReviseRounds { // ids are milliseconds: several rules of one are told apart by going on
		err := s.tables.Rules().Put(ctx, r)
		if iot.Is(err, iot.Conflict) {
			r.ID++
			continue
		}
		if err != nil {
			return nil, err
		}
		// Who made a rule of the same name, or the last one that there is room for, at the same time is seen now by at least one of the
		// two, who gives way.
		if err := s.room(ctx, r); err != nil {
			return nil, errors.Join(err, s.tables.Rules().Delete(ctx, r.ID, r.Revision))
		}
		return r, nil
	}
	return nil, iot.Errorf(iot.Throttled, "too many rules are being created")
}

// idEpoch is what ids of rules count milliseconds from. An action's id is its rule's, times actionsPerRule, plus its number: all
// fit into 53 bits, which is what JavaScript has.
const (
	idEpoch        = 1_400_000_000_000
	actionsPerRule = 4096
)

// room refuses a rule whose name is taken, or for which there is no room.
func (s *Service) room(ctx context.Context, r *store.Rule) error {
	list, err := s.tables.Rules().List(ctx)
	if err != nil {
		return err
	}
	others := 0
	for _, o := range list {
		if o.ID == r.ID && r.Revision != 0 {
			continue
		}
		others++
		if o.Name == r.Name {
			return openapi.Refusef(codeNameTaken, "there is a rule %s", r.Name)
		}
	}
	if others >= MaxRules {
		return openapi.Refusef(codeTooMany, "there are %d rules, which is the most there may be", MaxRules)
	}
	return nil
}

// apply changes a rule and checks what comes out of it; code is for what has no code of its own.
func (s *Service) apply(ctx context.Context, r *store.Rule, c Change, code string) error {
	set := func(to *string, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&r.Name, c.Name)
	set(&r.Description, c.Description)
	set(&r.Select, c.Select)
	set(&r.Where, c.Where)
	if !validName(r.Name) {
		return openapi.Refusef(code, "a rule's name has 1 to %d letters, digits, _ and -, of which Chinese ones count twice", maxNameWidth)
	}
	if len([]rune(r.Description)) > maxDesc {
		return openapi.Refusef(code, "a description has at most %d characters", maxDesc)
	}
	if r.DataType != "JSON" && r.DataType != "BINARY" {
		return openapi.Refusef(code, "DataType is JSON or BINARY")
	}
	if err := changeTopic(r, c); err != nil {
		return err
	}
	if r.ProductKey != "" && (c.ProductKey != nil || c.Topic != nil) {
		if _, err := s.products.Get(ctx, r.ProductKey); err != nil {
			return err
		}
	}
	return checkSQL(r)
}

// Sample makes a rule that is not stored, to be tried.
func Sample(c Change) (*store.Rule, error) {
	r := &store.Rule{DataType: "JSON", TopicType: NoTopic}
	for to, from := range map[*string]*string{&r.DataType: c.DataType, &r.Select: c.Select, &r.Where: c.Where} {
		if from != nil && *from != "" {
			*to = *from
		}
	}
	if err := changeTopic(r, c); err != nil {
		return nil, err
	}
	return r, checkSQL(r)
}

// changeTopic reads the members of FROM and writes them as the platform shows them.
func changeTopic(r *store.Rule, c Change) error {
	if c.Topic != nil && *c.Topic != "" {
		from, err := rulesql.ParseFrom(*c.Topic)
		if err != nil {
			return sqlError(err)
		}
		r.ProductKey, r.ShortTopic, r.TopicType = from.ProductKey, from.ShortTopic(), from.TopicType()
		return nil
	}
	if c.ProductKey != nil {
		r.ProductKey = iot.ProductKey(*c.ProductKey)
	}
	if c.ShortTopic != nil {
		r.ShortTopic = *c.ShortTopic
	}
	if c.TopicType != nil {
		r.TopicType = *c.TopicType
		if r.TopicType < rulesql.ThingTopic || r.TopicType > rulesql.StatusTopic {
			return openapi.Refusef(codeType, "TopicType is 0 (thing model and system), 1 (custom) or 2 (status)")
		}
	}
	if c.ProductKey == nil && c.ShortTopic == nil && c.TopicType == nil || r.ShortTopic == "" {
		return nil
	}
	if r.TopicType == NoTopic {
		r.TopicType = rulesql.CustomTopic
	}
	from, err := rulesql.FromParts(r.ProductKey, r.ShortTopic, r.TopicType)
	if err != nil {
		return sqlError(err)
	}
	r.ShortTopic = from.ShortTopic()
	return nil
}

// checkSQL refuses a rule whose text is wrong as far as it is there.
func checkSQL(r *store.Rule) error {
	if r.DataType == "BINARY" && r.TopicType == rulesql.ThingTopic {
		return openapi.Refusef(codeType, "a BINARY rule takes custom topics and status only")
	}
	if r.Select != "" && r.ShortTopic != "" {
		_, err := Compile(r)
		return sqlError(err)
	}
	if r.Select != "" {
		if _, err := rulesql.ParseSelect(r.Select); err != nil {
			return sqlError(err)
		}
	}
	_, err := rulesql.ParseWhere(r.Where)
	return sqlError(err)
}

// Compile compiles the SQL of a rule. Errors are *rulesql.SyntaxError.
func Compile(r *store.Rule) (*rulesql.Rule, error) {
	from, err := rulesql.FromParts(r.ProductKey, r.ShortTopic, r.TopicType)
	if err != nil {
		return nil, err
	}
	d := rulesql.Definition{Select: r.Select, From: from, Where: r.Where}
	if r.DataType == "BINARY" {
		d.Format = rulesql.Binary
	}
	return rulesql.Compile(d)
}

func sqlError(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*rulesql.SyntaxError](err); ok && e.Topic {
		return openapi.Refusef(codeSystemTopic, "%s", e.Error())
	}
	return openapi.Refusef(codeSQL, "%s", err.Error())
}

// Get gives a rule with its actions.
func (s *Service) Get(ctx context.Context, id int64) (*store.Rule, error) {
	r, err := s.tables.Rules().Get(ctx, id)
	if err == nil && r == nil {
		err = openapi.Refusef(codeNotFound, "there is no rule %d", id)
	}
	return r, err
}

// List gives all rules without their actions, newest first.
func (s *Service) List(ctx context.Context) ([]*store.Rule, error) { return s.tables.Rules().List(ctx) }

// change reads a rule, changes it and writes it, until nobody came between, and makes the interest document anew if the rule runs or did.
func (s *Service) change(ctx context.Context, id int64, do func(r *store.Rule) error) (*store.Rule, error) {
	var r *store.Rule
	ran := false
	err := store.Revise(ctx, func() error {
		var err error
		if r, err = s.Get(ctx, id); err != nil {
			return err
		}
		ran = ran || r.Running
		if err := do(r); err != nil {
			return err
		}
		r.ModifiedAt = s.now().UnixMilli()
		return s.tables.Rules().Put(ctx, r)
	})
	if err == nil && (ran || r.Running) {
		err = interest.Rebuild(ctx, s.tables)
	}
	return r, err
}

// Update changes a rule, which may run.
func (s *Service) Update(ctx context.Context, id int64, c Change) error {
	c.DataType = nil
	_, err := s.change(ctx, id, func(r *store.Rule) error {
		name := r.Name
		if err := s.apply(ctx, r, c, codeUpdate); err != nil {
			return err
		}
		if r.Running && (r.Select == "" || r.ShortTopic == "" || r.ProductKey == "") {
			return openapi.Refusef(codeNoSQL, "the rule runs; it cannot do without SELECT and a topic")
		}
		if name == r.Name {
			return nil
		}
		return s.room(ctx, r)
	})
	return err
}

// Start lets a rule run.
func (s *Service) Start(ctx context.Context, id int64) error {
	running := false
	_, err := s.change(ctx, id, func(r *store.Rule) error {
		if running = r.Running; running {
			return openapi.Refusef(codeStarted, "the rule runs already")
		}
		if r.Select == "" || r.ShortTopic == "" || r.ProductKey == "" {
			return openapi.Refusef(codeNoSQL, "the rule has no SELECT or no topic")
		}
		if err := checkSQL(r); err != nil {
			return err
		}
		if normal, _ := count(r); normal == 0 {
			return openapi.Refusef(codeNoDestination, "the rule has no action")
		}
		r.Running = true
		return nil
	})
	return s.repair(ctx, running, err)
}

// repair makes the interest document anew where a rule was found as a caller wants it: an earlier call may have broken off.
func (s *Service) repair(ctx context.Context, found bool, err error) error {
	if found {
		if err := interest.Rebuild(ctx, s.tables); err != nil {
			return err
		}
	}
	return err
}

// Stop stops a rule; one that does not run stays as it is.
func (s *Service) Stop(ctx context.Context, id int64) error {
	r, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	if !r.Running {
		return s.repair(ctx, true, nil)
	}
	_, err = s.change(ctx, id, func(r *store.Rule) error { r.Running = false; return nil })
	return err
}

// Delete deletes a rule that does not run, with its actions.
func (s *Service) Delete(ctx context.Context, id int64) error {
	return store.Revise(ctx, func() error {
		r, err := s.Get(ctx, id)
		if err != nil {
			return err
		}
		if r.Running {
			return openapi.Refusef(codeDelete, "the rule runs; stop it first")
		}
		return s.tables.Rules().Delete(ctx, id, r.Revision)
	})
}
