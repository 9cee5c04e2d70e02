package rulesql

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"relink/shared/iot"
)

// The files of testdata hold cases. A line begins with what it sets:
//
//	topic, device (pk dn), id, tags (k=v …), payload (JSON, or hex: bytes), format (json, binary), from: the message and the rule, until changed
//	select, where: a rule; where may be absent
//	= body              it matches and gives this
//	! outcome [text]    it does not match; the error has the text
//	? error             it does not compile; the error is this
//
// Lines that begin with # are comments.
type goldenCase struct {
	line           int
	m              Message
	format         Format
	from           string
	selects, where string
	want           string // with the first character that says which kind
}

type tagMap map[string]string

func (t tagMap) Attribute(_ context.Context, _ iot.DeviceRef, _ iot.IotID, key string) (string, bool, error) {
	v, ok := t[key]
	return v, ok, nil
}

// testEnv is the moment of the examples in the chapter "Functions".
func testEnv() *Env {
	return &Env{Now: func() time.Time { return time.Date(2018, 11, 28, 2, 56, 38, 205e6, time.UTC) }, Random: rand.NewPCG(1, 2)}
}

func readGolden(t testing.TB, file string) []goldenCase {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	current := goldenCase{from: "#"}
	var cases []goldenCase
	for i, line := range strings.Split(string(data), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		current.line = i + 1
		switch word {
		case "", "#":
		case "topic":
			current.m.Topic = rest
		case "device":
			pk, dn, _ := strings.Cut(rest, " ")
			current.m.Device = iot.DeviceRef{ProductKey: iot.ProductKey(pk), DeviceName: iot.DeviceName(dn)}
		case "id":
			current.m.ID = rest
		case "tags":
			tags := tagMap{}
			for kv := range strings.FieldsSeq(rest) {
				k, v, _ := strings.Cut(kv, "=")
				tags[k] = v
			}
			current.m.Attributes = tags
		case "payload":
			current.m.Payload = []byte(rest)
			if h, ok := strings.CutPrefix(rest, "hex:"); ok {
				if current.m.Payload, err = hex.DecodeString(strings.ReplaceAll(h, " ", "")); err != nil {
					t.Fatalf("%s:%d: %v", file, i+1, err)
				}
			}
		case "format":
			current.format = map[string]Format{"json": JSON, "binary": Binary}[rest]
		case "from":
			current.from = rest
		case "select":
			current.selects, current.where = rest, ""
		case "where":
			current.where = rest
		case "=", "!", "?":
			c := current
			c.want = line
			cases = append(cases, c)
		default:
			t.Fatalf("%s:%d: what is %q?", file, i+1, word)
		}
	}
	return cases
}

func (c *goldenCase) compile() (*Rule, error) {
	from := From{Pattern: c.from, Source: Custom}
	if c.from != "#" {
		var err error
		if from, err = ParseFrom(c.from); err != nil {
			return nil, err
		}
	}
	return Compile(Definition{Format: c.format, Select: c.selects, From: from, Where: c.where})
}

// got runs a case and writes its result as a line of the file.
func (c *goldenCase) got() string {
	r, err := c.compile()
	if err != nil {
		return "? " + err.Error()
	}
	m := c.m
	res := r.Eval(context.Background(), testEnv(), &m)
	if res.Outcome == Matched {
		if c.format == Binary && c.selects == "*" {
			return "= hex:" + hex.EncodeToString(res.Body)
		}
		return "= " + string(res.Body)
	}
	if res.Err != nil {
		return fmt.Sprintf("! %s %s", res.Outcome, res.Err)
	}
	return "! " + res.Outcome.String()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		for _, c := range readGolden(t, file) {
			if got := c.got(); got != c.want {
				t.Errorf("%s:%d: SELECT %s WHERE %s\n of %.200q\n got %s\nwant %s", file, c.line, c.selects, c.where, c.m.Payload, got, c.want)
			} else if strings.HasPrefix(got, "= {") && !json.Valid([]byte(got[2:])) {
				t.Errorf("%s:%d: not JSON: %s", file, c.line, got)
			}
		}
	}
}

// Every function has an example in the files.
func TestGoldenHasEveryFunction(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		for _, c := range readGolden(t, file) {
			if !strings.HasPrefix(c.want, "= ") {
				continue
			}
			r, err := c.compile()
			if err != nil {
				continue
			}
			note := func(e Expr) bool {
				if call, ok := e.(*Call); ok {
					seen[strings.ToLower(call.Name)] = true
				}
				return false
			}
			for _, f := range r.statement.Fields {
				if f.Expr != nil {
					holds(f.Expr, note)
				}
			}
			if r.statement.Where != nil {
				holds(r.statement.Where, note)
			}
		}
	}
	for name := range functions {
		if !seen[name] {
			t.Errorf("no golden case calls %s", name)
		}
	}
}

// A rule gives the same after it was printed and read again, and the second rule about a message what the first would.
func TestGoldenPrinted(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, c := range readGolden(t, file) {
			r, err := c.compile()
			if err != nil {
				continue
			}
			printed := c
			printed.selects = r.statement.SelectText()
			if r.statement.Where != nil {
				printed.where = r.statement.Where.String()
			}
			again, err := printed.compile()
			if err != nil {
				t.Errorf("%s:%d: %s WHERE %s: %v", file, c.line, printed.selects, printed.where, err)
				continue
			}
			m := c.m
			first := r.Eval(context.Background(), testEnv(), &m)
			second := again.Eval(context.Background(), testEnv(), &m)
			if first.Outcome != second.Outcome || !bytes.Equal(first.Body, second.Body) {
				t.Errorf("%s:%d: %s gives %s, printed as %s it gives %s", file, c.line, c.selects, first.Body, printed.selects, second.Body)
			}
		}
	}
}
