package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"
)

// An app is what all commands share: where the platform is, and how to print.
type app struct {
	envFile string
	output  string
	env     environment
}

// An environment is the process's own, with a file behind it.
type environment struct {
	path string
	file map[string]string
}

func (e *environment) load(path string) error {
	e.path, e.file = path, map[string]string{}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the environment may say it all
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok && !strings.HasPrefix(key, "#") {
			e.file[key] = value
		}
	}
	return lines.Err()
}

// get looks a variable up under its names, in order; the process's environment wins over the file.
func (e *environment) get(names ...string) string {
	for _, name := range names {
		if v := os.Getenv(name); v != "" {
			return v
		}
	}
	for _, name := range names {
		if v := e.file[name]; v != "" {
			return v
		}
	}
	return ""
}

// need is get, with an error that says what to do.
func (e *environment) need(names ...string) (string, error) {
	if v := e.get(names...); v != "" {
		return v, nil
	}
	return "", fmt.Errorf("%s is not set, and %s does not have it: start localstack (go run ./localstack), or set it", names[0], e.path)
}

func (e *environment) accessKey() (id, secret string, err error) {
	id, err = e.need("RELINK_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_ID")
	if err == nil {
		secret, err = e.need("RELINK_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_ACCESS_KEY_SECRET")
	}
	return id, secret, err
}

// api makes the official Iot client.
func (a *app) api() (*iotapi.Client, error) {
	endpoint, err := a.env.need("RELINK_OPENAPI_ENDPOINT")
	if err != nil {
		return nil, err
	}
	id, secret, err := a.env.accessKey()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("RELINK_OPENAPI_ENDPOINT %q is not a URL such as http://127.0.0.1:9080", endpoint)
	}
	return iotapi.NewClient(&openapi.Config{
		AccessKeyId: &id, AccessKeySecret: &secret, Endpoint: &u.Host, Protocol: &u.Scheme,
		ConnectTimeout: tea.Int(5000), ReadTimeout: tea.Int(60_000), MaxIdleConns: tea.Int(64),
	})
}

// check turns an answer of the official SDK into an error if the platform said no. Every response has a Body with Success,
// Code and ErrorMessage, but the SDK gives them no common interface.
func check(response any, err error) error {
	if err != nil {
		return err
	}
	body := reflect.ValueOf(response).Elem().FieldByName("Body")
	if body.IsNil() {
		return errors.New("the answer is empty")
	}
	if success, ok := body.Elem().FieldByName("Success").Interface().(*bool); ok && tea.BoolValue(success) {
		return nil
	}
	code, _ := body.Elem().FieldByName("Code").Interface().(*string)
	message, _ := body.Elem().FieldByName("ErrorMessage").Interface().(*string)
	return &refused{code: str(code), message: str(message)}
}

// A refused is a business failure: the platform answered, and said no.
type refused struct{ code, message string }

func (r *refused) Error() string { return r.code + ": " + r.message }

// print writes a value as JSON, or lets text write it.
func (a *app) print(cmd *cobra.Command, value any, text func(w io.Writer)) error {
	w := cmd.OutOrStdout()
	if a.output == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(value)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	text(t)
	return t.Flush()
}

// row writes one tab-separated line.
func row(w io.Writer, cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(w, "\t")
		}
		fmt.Fprint(w, printable(fmt.Sprint(c)))
	}
	fmt.Fprintln(w)
}

// printable escapes what would steer a terminal or break a line: texts come from devices and from other people.
func printable(s string) string {
	if !strings.ContainsFunc(s, steers) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if steers(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func steers(r rune) bool { return !unicode.IsPrint(r) && r != ' ' }

func str(p *string) string { return tea.StringValue(p) }

// or gives s, or a word where it is empty.
func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
