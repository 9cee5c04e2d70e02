package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/script"
	"relink/shared/script/sandbox"
	"relink/shared/store"
)

// Codes of parsing scripts ("Products and thing model").
const (
	codeScriptType       = "iot.prod.InvalidScriptType"
	codeScriptExisted    = "iot.prod.ThingScriptExisted"
	codeScriptFormat     = "iot.prod.ThingScriptDataFormatError"
	codeScriptConcurrent = "iot.prod.ConcurrentScriptOperation"
	codeScriptMissing    = "iot.prod.NotExistedThingScript" // ours: the vendor's is not known
)

// scriptText is what a call says of a script.
type scriptText struct{ typ, source string }

// scriptCall reads a call that brings a script.
func (a *api) scriptCall(ctx context.Context, c *openapi.Call) (*store.Product, scriptText, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, scriptText{}, err
	}
	text := scriptText{c.Params.String("ScriptType"), c.Params.String("ScriptContent")}
	switch text.typ {
	case script.JavaScript, script.Python, script.PHP:
	default:
		return nil, text, openapi.Refusef(codeScriptType, "ScriptType is %s, %s or %s", script.JavaScript, script.Python, script.PHP)
	}
	if len(text.source) > sandbox.MaxSource {
		return nil, text, openapi.Refusef(openapi.CodeFormat, "ScriptContent has %d bytes; at most %d are taken", len(text.source), sandbox.MaxSource)
	}
	if !utf8.ValidString(text.source) {
		return nil, text, openapi.Refusef(openapi.CodeFormat, "ScriptContent is not UTF-8")
	}
	return p, text, nil
}

// fits refuses a script that its product cannot have: one that does not run, or has not the functions of the data format ("Script
// contract"). What is not JavaScript is kept as it is.
func (a *api) fits(ctx context.Context, p *store.Product, text scriptText) error {
	if text.typ != script.JavaScript {
		return nil
	}
	run, err := a.runner.Call(ctx, sandbox.Script{ID: store.ScriptVersion(text.source), Source: text.source}, sandbox.Check, "", nil)
	if f, ok := errors.AsType[*sandbox.Failure](err); ok {
		return openapi.Refusef(codeScriptFormat, "the script does not run: %s", f.Error())
	}
	if err != nil {
		return iot.Wrap(iot.Unavailable, err, "the script could not be tried")
	}
	if p.DataFormat == dataFormatRaw {
		return complete(strings.Split(string(run.Output), ","))
	}
	if string(run.Output) != sandbox.TransformPayload.String() {
		return openapi.Refusef(codeScriptFormat, "the script of a product with data format Alink JSON has transformPayload and nothing else; this one has: %s", run.Output)
	}
	return nil
}

// complete refuses the script of a raw product that has not both functions: at the first message of the missing direction it would fail.
func complete(has []string) error {
	var lacks []string
	for _, f := range []sandbox.Function{sandbox.RawDataToProtocol, sandbox.ProtocolToRawData} {
		if !slices.Contains(has, f.String()) {
			lacks = append(lacks, f.String())
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return openapi.Refusef(codeScriptFormat, "the script lacks %s; that of a raw product has both rawDataToProtocol and protocolToRawData, even if one is never used (%d)",
		strings.Join(lacks, " and "), script.CodeFunctionMissing)
}

// change changes the row of a product's script.
func (a *api) change(ctx context.Context, key iot.ProductKey, f func(s *store.Script) error) error {
	s, err := a.scriptRows.Get(ctx, key)
	if err != nil {
		return err
	}
	if s == nil {
		s = &store.Script{ProductKey: key}
	}
	if err := f(s); err != nil {
		return err
	}
	s.UpdatedAt = a.now().UnixMilli()
	err = a.scriptRows.Put(ctx, s)
	if iot.Is(err, iot.Conflict) {
		return openapi.Refusef(codeScriptConcurrent, "somebody else changed the script at the same time; look at it and try again")
	}
	a.scripts.Forget(key)
	return err
}

func (a *api) createThingScript(ctx context.Context, c *openapi.Call) (any, error) {
	return nil, a.submit(ctx, c, true)
}

// updateThingScript creates the script too, if there is none: no documented code says that there is none.
func (a *api) updateThingScript(ctx context.Context, c *openapi.Call) (any, error) {
	return nil, a.submit(ctx, c, false)
}

func (a *api) submit(ctx context.Context, c *openapi.Call, fresh bool) error {
	p, text, err := a.scriptCall(ctx, c)
	if err != nil {
		return err
	}
	return a.change(ctx, p.Key, func(s *store.Script) error {
		if fresh && s.Source != "" {
			return openapi.Refusef(codeScriptExisted, "the product has a parsing script; use UpdateThingScript")
		}
		if err := a.fits(ctx, p, text); err != nil {
			return err
		}
		s.Type, s.Source, s.SubmittedAt = text.typ, text.source, a.now().UnixMilli()
		return nil
	})
}

// saveThingScriptDraft keeps a script without running it (RelinkSaveThingScriptDraft).
func (a *api) saveThingScriptDraft(ctx context.Context, c *openapi.Call) (any, error) {
	p, text, err := a.scriptCall(ctx, c)
	if err != nil {
		return nil, err
	}
	return nil, a.change(ctx, p.Key, func(s *store.Script) error {
		s.DraftType, s.Draft = text.typ, text.source
		return nil
	})
}

// submitThingScriptDraft makes the draft the script that runs (RelinkSubmitThingScriptDraft).
func (a *api) submitThingScriptDraft(ctx context.Context, c *openapi.Call) (any, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	return nil, a.change(ctx, p.Key, func(s *store.Script) error {
		if s.Draft == "" {
			return openapi.Refusef(codeScriptMissing, "the product has no draft of a parsing script")
		}
		if err := a.fits(ctx, p, scriptText{s.DraftType, s.Draft}); err != nil {
			return err
		}
		s.Type, s.Source, s.SubmittedAt = s.DraftType, s.Draft, a.now().UnixMilli()
		s.DraftType, s.Draft = "", ""
		return nil
	})
}

type thingScript struct{ ScriptType, ScriptURL string }

// MarshalJSON writes the vendor's spelling.
func (t thingScript) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"ScriptType": t.ScriptType, "ScriptUrl": t.ScriptURL})
}

// linkFor is how long the URL of a script is good.
const linkFor = 10 * time.Minute

func (a *api) getThingScript(ctx context.Context, c *openapi.Call) (any, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	draft, err := c.Params.Bool("Draft", false) // ours
	if err != nil {
		return nil, err
	}
	s, err := a.scriptRows.Get(ctx, p.Key)
	if err != nil {
		return nil, err
	}
	if s == nil || !draft && s.Source == "" || draft && s.Draft == "" {
		return nil, openapi.Refusef(codeScriptMissing, "the product has no such parsing script")
	}
	which, typ := "submitted", s.Type
	if draft {
		which, typ = "draft", s.DraftType
	}
	until := a.now().Add(linkFor)
	q := url.Values{"ProductKey": {string(p.Key)}, "Which": {which}, "Expires": {strconv.FormatInt(until.Unix(), 10)}, "AccessKeyId": {c.Caller.KeyID},
		"Signature": {a.keys.SignLink(c.Caller.KeyID, scriptLink(string(p.Key), which), until)}}
	return dataAnswer[thingScript]{thingScript{typ, c.Base + scriptPath + "?" + q.Encode()}}, nil
}

// scriptPath is where the function serves the text of scripts to those who have a link.
const scriptPath = "/relink/thing-script"

func scriptLink(key, which string) string { return scriptPath + "\n" + key + "\n" + which }

// serveScript answers a link of getThingScript.
func (a *api) serveScript(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	key, which := q.Get("ProductKey"), q.Get("Which")
	expires, err := strconv.ParseInt(q.Get("Expires"), 10, 64)
	if err != nil || !a.keys.VerifyLink(q.Get("AccessKeyId"), scriptLink(key, which), time.Unix(expires, 0), a.now(), q.Get("Signature")) {
		http.Error(w, "The link is not good, or not any more: call GetThingScript again.", http.StatusForbidden)
		return
	}
	s, err := a.scriptRows.Get(r.Context(), iot.ProductKey(key))
	if err != nil {
		http.Error(w, "The script cannot be read at present.", http.StatusServiceUnavailable)
		return
	}
	text := ""
	if s != nil && which == "draft" {
		text = s.Draft
	} else if s != nil {
		text = s.Source
	}
	if text == "" {
		http.Error(w, "There is no such script any more.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", "attachment")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write([]byte(text)) // fails if the client has gone
}

// scriptRun is what a dry run came to. Output is hexadecimal with 0x for protocolToRawData, JSON otherwise.
type scriptRun struct {
	Function  string
	Output    string `json:",omitempty"`
	Steps     int64
	Memory    int64
	MaxSteps  int64
	MaxMemory int64
	Code      int    // 200, or the code that the log would have
	Failure   string `json:",omitempty"` // exception, too_many_steps …
	Exception string `json:",omitempty"`
	Line      int    `json:",omitempty"`
	Column    int    `json:",omitempty"`
}

// runThingScript runs a script and changes nothing (RelinkRunThingScript): Input is hexadecimal with 0x for what a device sends, JSON for what
// it is sent; with Topic it is what is published there, and transformPayload runs. The script is ScriptContent, or the draft, or the submitted.
func (a *api) runThingScript(ctx context.Context, c *openapi.Call) (any, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	draft, err := c.Params.Bool("Draft", false)
	if err != nil {
		return nil, err
	}
	text := scriptText{script.JavaScript, c.Params.String("ScriptContent")}
	if text.source == "" {
		s, err := a.scriptRows.Get(ctx, p.Key)
		if err != nil {
			return nil, err
		}
		if s != nil && draft {
			text = scriptText{s.DraftType, s.Draft}
		} else if s != nil {
			text = scriptText{s.Type, s.Source}
		}
	}
	if text.source == "" {
		return nil, openapi.Refusef(codeScriptMissing, "the product has no such parsing script, and ScriptContent is not given")
	}
	if text.typ != script.JavaScript {
		return nil, openapi.Refusef(codeScriptType, "scripts of type %s are kept, but not run", text.typ)
	}
	input, topicName := c.Params.String("Input"), c.Params.String("Topic")
	f, data := sandbox.ProtocolToRawData, []byte(input)
	if digits, ok := strings.CutPrefix(input, "0x"); ok {
		f = sandbox.RawDataToProtocol
		if data, err = hex.DecodeString(strings.ReplaceAll(digits, " ", "")); err != nil {
			return nil, openapi.Refusef(openapi.CodeFormat, "Input is not hexadecimal after 0x: %v", err)
		}
	} else if topicName == "" && !json.Valid(data) {
		return nil, openapi.Refusef(openapi.CodeFormat, "Input is neither hexadecimal with 0x nor JSON")
	}
	if topicName != "" {
		f = sandbox.TransformPayload
	}
	run, err := a.runner.Call(ctx, sandbox.Script{ID: store.ScriptVersion(text.source), Source: text.source}, f, topicName, data)
	answer := scriptRun{Function: f.String(), Steps: run.Steps, Memory: run.Memory, MaxSteps: sandbox.DefaultSteps, MaxMemory: sandbox.DefaultMemory, Code: 200}
	if failure, ok := errors.AsType[*sandbox.Failure](err); ok {
		answer.Steps, answer.Memory, answer.Code = failure.Steps, failure.Memory, script.Explain(failure).Code
		answer.Failure, answer.Exception, answer.Line, answer.Column = failure.Kind.String(), failure.Message, failure.Line, failure.Column
	} else if err != nil {
		return nil, iot.Wrap(iot.Unavailable, err, "the script could not be run")
	} else if answer.Output = string(run.Output); f == sandbox.ProtocolToRawData {
		answer.Output = "0x" + hex.EncodeToString(run.Output)
	}
	return dataAnswer[scriptRun]{answer}, nil
}

type scriptFailure struct {
	Time       int64
	DeviceName iot.DeviceName `json:",omitempty"`
	MessageID  string         `json:"MessageId,omitempty"`
	Function   string
	Input      string // the beginning: hexadecimal with 0x, or JSON for protocolToRawData
	InputSize  int
	Failure    string
	Exception  string
	Line       int `json:",omitempty"`
	Column     int `json:",omitempty"`
	Steps      int64
	Memory     int64
}

// queryScriptFailures lists the last calls that failed, newest first (RelinkQueryScriptFailures).
func (a *api) queryScriptFailures(ctx context.Context, c *openapi.Call) (any, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	failures, err := a.scripts.Failures(ctx, p.Key)
	if err != nil {
		return nil, err
	}
	var answer dataAnswer[struct {
		List struct{ ScriptFailure []scriptFailure }
	}]
	answer.Data.List.ScriptFailure = list(len(failures), func(i int) scriptFailure {
		f := failures[i]
		input := "0x" + hex.EncodeToString(f.Input)
		if f.Function == sandbox.ProtocolToRawData.String() {
			input = strings.ToValidUTF8(string(f.Input), "")
		}
		return scriptFailure{f.At, f.DeviceName, f.MessageID, f.Function, input, f.InputSize, f.Kind, f.Message, f.Line, f.Column, f.Steps, f.Memory}
	})
	return answer, nil
}
