// Package script is what products with the data format "custom" have: a parsing script that turns the bytes of their devices into Alink
// JSON, and Alink JSON into bytes. It follows "Raw (transparent) data and parsing scripts" of the device protocol.
//
// This package knows which script runs, what its answer means and what is kept of its failures; package sandbox runs it.
package script

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"relink/shared/alink"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/refusal"
	"relink/shared/script/sandbox"
	"relink/shared/store"
)

// The languages (ScriptType). Only JavaScript runs.
const (
	JavaScript = "JavaScript"
	Python     = "Python_27"
	PHP        = "PHP_72"
)

// Codes ("Codes in replies"). No device hears them: they are in the log and in the answers of the API.
const (
	CodeReturnedNothing = 6201
	CodeNoMethod        = 6450
	CodeMissing         = 26001
	CodeFailed          = 26002
	CodeFunctionMissing = 26006
	CodeResultType      = 26007
	CodeThrottled       = 26010
)

// A Runner runs scripts; *sandbox.Pool is one.
type Runner interface {
	Call(ctx context.Context, s sandbox.Script, f sandbox.Function, topic string, input []byte) (sandbox.Run, error)
}

// Stores is where scripts are.
type Stores interface{ Scripts() store.Scripts }

// A Service runs the scripts of products. It is safe for concurrent use.
type Service struct {
	cached *store.CachedScripts
	rows   store.Scripts
	runner Runner
	log    *slog.Logger
	now    func() time.Time
	keeper keeper
}

// New makes a service. now is the clock, time.Now if nil.
func New(s Stores, runner Runner, log *slog.Logger, now func() time.Time) *Service {
	if now == nil {
		now = time.Now
	}
	return &Service{
		cached: store.NewCachedScripts(s.Scripts(), now), rows: s.Scripts(), runner: runner, log: log, now: now,
		keeper: keeper{slot: rand.IntN(store.FailuresKept), products: make(map[iot.ProductKey]allowance)},
	}
}

// A Source says whose data a call is about, for what is kept of a failure.
type Source struct {
	Device    iot.DeviceRef
	MessageID string
}

// ErrMissing says that there is nothing to run.
var errMissing = &alink.Error{Code: CodeMissing, Cause: refusal.ScriptMissing, Message: "the product has no submitted parsing script", Kind: iot.InvalidParams}

// Decode makes Alink JSON of what a device sent. Errors are *alink.Error with a code of this package, or say that nothing was decided:
// Throttled or Unavailable.
func (s *Service) Decode(ctx context.Context, from Source, payload []byte) ([]byte, error) {
	return s.call(ctx, from, sandbox.RawDataToProtocol, "", payload)
}

// Encode makes bytes of Alink JSON; none, without an error, if the script returns nothing. Errors are those of Decode.
func (s *Service) Encode(ctx context.Context, to Source, json []byte) ([]byte, error) {
	out, err := s.call(ctx, to, sandbox.ProtocolToRawData, "", json)
	if refusal.CauseOf(err) == refusal.ScriptReturnedNothing {
		return nil, nil
	}
	return out, err
}

// Transform makes JSON of what a device published on a custom topic with the suffix ?_sn=default; topic has no suffix. Errors are those
// of Decode.
func (s *Service) Transform(ctx context.Context, from Source, topic string, payload []byte) ([]byte, error) {
	return s.call(ctx, from, sandbox.TransformPayload, topic, payload)
}

func (s *Service) call(ctx context.Context, who Source, f sandbox.Function, topic string, input []byte) ([]byte, error) {
	script, err := s.cached.Get(ctx, who.Device.ProductKey)
	if err != nil {
		return nil, err
	}
	if script.Source == "" {
		return nil, errMissing
	}
	if script.Type != JavaScript {
		return nil, language(script.Type)
	}
	run, err := s.runner.Call(ctx, sandbox.Script{ID: script.Version, Source: script.Source}, f, topic, input)
	if err == nil {
		return run.Output, nil
	}
	failure, ok := errors.AsType[*sandbox.Failure](err)
	if !ok {
		return nil, iot.Wrap(iot.Unavailable, err, "the script could not be run")
	}
	if failure.Kind != sandbox.Nothing && failure.Kind != sandbox.Throttled {
		s.keep(ctx, who, f, input, failure)
	}
	return nil, Explain(failure)
}

func language(typ string) error {
	return &alink.Error{Code: CodeFailed, Cause: refusal.ScriptLanguage, Message: "scripts of type " + typ + " are not run here", Kind: iot.InvalidParams}
}

// Explain gives a failure its code and cause.
func Explain(f *sandbox.Failure) *alink.Error {
	e := &alink.Error{Code: CodeFailed, Cause: refusal.ScriptLimit, Message: f.Error(), Kind: iot.InvalidParams}
	switch f.Kind {
	case sandbox.Exception, sandbox.Crashed:
		e.Cause = refusal.ScriptFailed
	case sandbox.MissingFunction:
		e.Code, e.Cause = CodeFunctionMissing, refusal.ScriptFunctionMissing
	case sandbox.WrongType:
		e.Code, e.Cause = CodeResultType, refusal.ScriptResultType
	case sandbox.Nothing:
		e.Code, e.Cause = CodeReturnedNothing, refusal.ScriptReturnedNothing
	case sandbox.Throttled:
		e.Code, e.Cause, e.Kind = CodeThrottled, refusal.ScriptThrottled, iot.InvalidParams
	}
	return e
}

// maxKept is how much of a payload is kept.
const maxKept = 4 << 10

// keep stores what was given to a script that failed. That it could not be stored does not change the answer.
func (s *Service) keep(ctx context.Context, who Source, f sandbox.Function, input []byte, failure *sandbox.Failure) {
	now := s.now()
	slot, ok := s.keeper.next(who.Device.ProductKey, now)
	if !ok {
		return
	}
	err := s.rows.PutFailure(ctx, &store.ScriptFailure{
		ProductKey: who.Device.ProductKey, Slot: slot, At: now.UnixMilli(), DeviceName: who.Device.DeviceName, MessageID: who.MessageID,
		Function: f.String(), Input: bytes.Clone(input[:min(len(input), maxKept)]), InputSize: len(input), Kind: failure.Kind.String(),
		Message: failure.Message, Line: failure.Line, Column: failure.Column, Steps: failure.Steps, Memory: failure.Memory,
	})
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "failed call of a script not kept", logs.Device(who.Device), slog.String(logs.FieldMessageID, who.MessageID), logs.Err(err))
	}
}

// A keeper bounds what failures cost: each product may have its ring filled at once, and then one row a second from every instance.
type keeper struct {
	mu       sync.Mutex
	slot     int // of the next; begins anywhere, so that instances do not follow each other
	products map[iot.ProductKey]allowance
}

type allowance struct {
	left int
	at   time.Time
}

const maxAllowances = 4096

func (k *keeper) next(key iot.ProductKey, now time.Time) (slot int, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a, known := k.products[key]
	if !known {
		if len(k.products) >= maxAllowances {
			clear(k.products)
		}
		a = allowance{left: store.FailuresKept, at: now}
	}
	if s := int(now.Sub(a.at) / time.Second); s > 0 {
		a.left, a.at = min(a.left+s, store.FailuresKept), now
	}
	ok = a.left > 0
	if ok {
		a.left--
		k.slot = (k.slot + 1) % store.FailuresKept
	}
	k.products[key] = a
	return k.slot, ok
}

// Forget makes this instance read the script of a product again at its next call.
func (s *Service) Forget(key iot.ProductKey) { s.cached.Forget(key) }

// Failures answers the last calls that failed, newest first; Throttled, Unavailable.
func (s *Service) Failures(ctx context.Context, key iot.ProductKey) ([]*store.ScriptFailure, error) {
	return s.rows.Failures(ctx, key)
}

// describe is an error's text for the log.
func describe(err error) string {
	if e, ok := errors.AsType[*alink.Error](err); ok {
		return e.Message
	}
	return fmt.Sprint(err)
}
