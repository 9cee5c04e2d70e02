package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"
)

func (a *app) scriptCommand() *cobra.Command {
	c := group("script", "Parsing scripts of products with raw data: put, show, run and see what failed")
	c.AddCommand(a.scriptPut(), a.scriptSubmit(), a.scriptShow(), a.scriptRun(), a.scriptFailures())
	return c
}

// maxScript is what a script may have ("Script contract").
const maxScript = 128 << 10

func readScript(cmd *cobra.Command, path string) (string, error) {
	text, err := readFile(cmd, path)
	if err == nil && len(text) > maxScript {
		err = fmt.Errorf("the script has %d bytes, at most %d are taken", len(text), maxScript)
	}
	return text, err
}

func (a *app) scriptPut() *cobra.Command {
	var language string
	var draft bool
	c := &cobra.Command{
		Use:   "put PRODUCT_KEY FILE",
		Short: "Make FILE the product's parsing script (- for standard input); devices meet it within seconds",
		Long: `Make FILE the product's parsing script (- for standard input); devices meet it within seconds.

A script that does not run is refused, and so is one of a raw product that lacks rawDataToProtocol or protocolToRawData: both are
needed, even if one is never used. Unfinished scripts are for --draft.`,
		Example: `  relink script put a1B2c3D4e5F thermo.js
  relink script put a1B2c3D4e5F thermo.js --draft   # keep it, and run the old one`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readScript(cmd, args[1])
			if err != nil {
				return err
			}
			if draft {
				_, err = own[struct{}](a, "RelinkSaveThingScriptDraft", map[string]string{"ProductKey": args[0], "ScriptType": language, "ScriptContent": text})
				return a.done(cmd, "saved", "as the draft of "+args[0], err)
			}
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.UpdateThingScript(&iotapi.UpdateThingScriptRequest{ProductKey: &args[0], ScriptType: &language, ScriptContent: &text})
			return a.done(cmd, "submitted", "for "+args[0], check(resp, err))
		},
	}
	c.Flags().StringVar(&language, "type", "JavaScript", "JavaScript, Python_27 or PHP_72; only JavaScript runs")
	c.Flags().BoolVar(&draft, "draft", false, "save it without running it: see run --draft and submit")
	return c
}

func (a *app) scriptSubmit() *cobra.Command {
	return &cobra.Command{
		Use:   "submit PRODUCT_KEY",
		Short: "Make the draft the script that runs",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := own[struct{}](a, "RelinkSubmitThingScriptDraft", map[string]string{"ProductKey": args[0]})
			return a.done(cmd, "submitted", "the draft of "+args[0], err)
		},
	}
}

func (a *app) scriptShow() *cobra.Command {
	var draft bool
	c := &cobra.Command{
		Use:   "show PRODUCT_KEY",
		Short: "Print the script that runs, or the --draft",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := map[string]string{"ProductKey": args[0]}
			if draft {
				query["Draft"] = "true"
			}
			data, err := own[struct {
				ScriptType string
				ScriptURL  string `json:"ScriptUrl"`
			}](a, "GetThingScript", query)
			if err != nil {
				return err
			}
			text, err := download(data.ScriptURL)
			if err != nil {
				return err
			}
			return a.print(cmd, map[string]string{"type": data.ScriptType, "script": text}, func(io.Writer) { fmt.Fprint(cmd.OutOrStdout(), text) })
		},
	}
	c.Flags().BoolVar(&draft, "draft", false, "the draft")
	return c
}

func download(url string) (string, error) {
	client := &http.Client{Timeout: 20 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxScript+1))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the script's URL answers %s: %s", resp.Status, bytes.TrimSpace(text))
	}
	return string(text), err
}

type scriptRun struct {
	Function, Output, Failure, Exception string
	Code, Line, Column                   int
	Steps, Memory, MaxSteps, MaxMemory   int64
}

func (a *app) scriptRun() *cobra.Command {
	var file, topic string
	var draft bool
	c := &cobra.Command{
		Use:   "run PRODUCT_KEY INPUT",
		Short: "Run a script and change nothing: 0x… is what a device sends, JSON what it is sent",
		Example: `  relink script run a1B2c3D4e5F 0x0000000065098301
  relink script run a1B2c3D4e5F '{"method":"thing.service.property.set","id":"1","params":{"power":1}}' --file new.js
  relink script run a1B2c3D4e5F 0x01ff --topic /a1B2c3D4e5F/lamp-001/user/update`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := map[string]string{"ProductKey": args[0], "Input": args[1]}
			if file != "" {
				text, err := readScript(cmd, file)
				if err != nil {
					return err
				}
				query["ScriptContent"] = text
			}
			if draft {
				query["Draft"] = "true"
			}
			if topic != "" {
				query["Topic"] = topic
			}
			run, err := own[scriptRun](a, "RelinkRunThingScript", query)
			if err != nil {
				return err
			}
			err = a.print(cmd, run, func(w io.Writer) {
				row(w, "function", run.Function)
				if run.Code == 200 {
					row(w, "output", run.Output)
				} else {
					row(w, "failure", fmt.Sprintf("%s (code %d)", run.Failure, run.Code))
					row(w, "exception", run.Exception)
					row(w, "place", place(run.Line, run.Column))
				}
				row(w, "steps", fmt.Sprintf("%d of %d", run.Steps, run.MaxSteps))
				row(w, "memory", fmt.Sprintf("%d bytes allocated; %d may be in use at once", run.Memory, run.MaxMemory))
			})
			if err == nil && run.Code != 200 {
				err = fmt.Errorf("the script failed: %s", run.Failure)
			}
			return err
		},
	}
	c.Flags().StringVar(&file, "file", "", "run this file instead of the submitted script")
	c.Flags().BoolVar(&draft, "draft", false, "run the draft")
	c.Flags().StringVar(&topic, "topic", "", "run transformPayload for a message on this topic")
	return c
}

func place(line, column int) string {
	if line == 0 {
		return "unknown"
	}
	return fmt.Sprintf("line %d, column %d", line, column)
}

type scriptFailure struct {
	Time                                                       int64
	DeviceName, MessageID, Function, Input, Failure, Exception string
	InputSize, Line, Column                                    int
	Steps, Memory                                              int64
}

func (a *app) scriptFailures() *cobra.Command {
	return &cobra.Command{
		Use:   "failures PRODUCT_KEY",
		Short: "Show the last calls of the script that failed: payload, exception, line and column",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := own[struct {
				List struct{ ScriptFailure []scriptFailure }
			}](a, "RelinkQueryScriptFailures", map[string]string{"ProductKey": args[0]})
			if err != nil {
				return err
			}
			list := data.List.ScriptFailure
			return a.print(cmd, list, func(w io.Writer) {
				if len(list) == 0 {
					row(w, "No call has failed.")
					return
				}
				row(w, "TIME", "DEVICE", "FUNCTION", "FAILURE", "PLACE", "EXCEPTION", "INPUT")
				for _, f := range list {
					row(w, time.UnixMilli(f.Time).Format(time.DateTime), or(f.DeviceName, "-"), f.Function, f.Failure, place(f.Line, f.Column), f.Exception, f.Input)
				}
			})
		},
	}
}

// own calls an action that the official SDK has no method for, or no parameter, and gives its Data.
func own[T any](a *app, action string, query map[string]string) (data T, err error) {
	api, err := a.api()
	if err != nil {
		return data, err
	}
	q := make(map[string]*string, len(query))
	for k, v := range query {
		q[k] = tea.String(v)
	}
	result, err := api.CallApi(&openapi.Params{
		Action: &action, Version: tea.String("2018-01-20"), Protocol: api.Protocol, Pathname: tea.String("/"), Method: tea.String("POST"),
		AuthType: tea.String("AK"), Style: tea.String("RPC"), ReqBodyType: tea.String("formData"), BodyType: tea.String("json"),
	}, &openapi.OpenApiRequest{Query: q}, &dara.RuntimeOptions{})
	if err != nil {
		return data, err
	}
	text, err := json.Marshal(result["body"])
	if err != nil {
		return data, err
	}
	var body struct {
		Success            bool
		Code, ErrorMessage string
		Data               T
	}
	if err := json.Unmarshal(text, &body); err != nil {
		return data, fmt.Errorf("answer of %s: %w", action, err)
	}
	if !body.Success {
		return data, &refused{code: body.Code, message: body.ErrorMessage}
	}
	return body.Data, nil
}
