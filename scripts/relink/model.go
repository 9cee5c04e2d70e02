package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"
)

func (a *app) modelCommand() *cobra.Command {
	c := group("thing-model", "Show, add to, import and publish a product's thing model")
	c.AddCommand(a.modelShow(), a.modelAdd(), a.modelImport(), a.modelPublish())
	return c
}

func (a *app) modelShow() *cobra.Command {
	var version, module string
	var simple bool
	c := &cobra.Command{
		Use:   "show PRODUCT_KEY",
		Short: "Print the TSL: the draft, or a published --version",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			r := &iotapi.GetThingModelTslRequest{ProductKey: &args[0], Simple: &simple}
			if version != "" {
				r.ModelVersion = &version
			}
			if module != "" {
				r.FunctionBlockId = &module
			}
			resp, err := api.GetThingModelTsl(r)
			if err := check(resp, err); err != nil {
				return err
			}
			var tsl bytes.Buffer
			if err := json.Indent(&tsl, []byte(str(resp.Body.Data.TslStr)), "", "  "); err != nil {
				return fmt.Errorf("the TSL is not JSON: %w", err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), tsl.String())
			return err
		},
	}
	c.Flags().StringVar(&version, "version", "", "a published version; the draft if absent")
	c.Flags().BoolVar(&simple, "simple", false, "identifiers and data types only")
	c.Flags().StringVar(&module, "module", "", "of a custom module; the default one if absent")
	return c
}

// A module is which module of a thing model a command changes.
type module struct{ id, name string }

func (m *module) flags(c *cobra.Command) {
	c.Flags().StringVar(&m.id, "module", "", "identifier of a custom module; the default one if absent")
	c.Flags().StringVar(&m.name, "module-name", "", "what a new custom module is called, 4 to 30 characters; renames one that is there")
}

// given is nil for a parameter that is left away.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (a *app) modelAdd() *cobra.Command {
	var m module
	c := &cobra.Command{
		Use:   "add PRODUCT_KEY FILE",
		Short: "Add up to ten features to the draft; FILE holds ThingModelJson (- for standard input)",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readFile(cmd, args[1])
			if err != nil {
				return err
			}
			if err := checkModel(text); err != nil {
				return err
			}
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.CreateThingModel(&iotapi.CreateThingModelRequest{ProductKey: &args[0], ThingModelJson: &text,
				FunctionBlockId: given(m.id), FunctionBlockName: given(m.name)})
			return a.done(cmd, "added", "to the draft of "+args[0], check(resp, err))
		},
	}
	m.flags(c)
	return c
}

func (a *app) modelImport() *cobra.Command {
	var m module
	c := &cobra.Command{
		Use:   "import PRODUCT_KEY FILE",
		Short: "Replace the draft by a TSL document (- for standard input)",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readFile(cmd, args[1])
			if err != nil {
				return err
			}
			return a.done(cmd, "imported", "as the draft of "+args[0], a.importModel(args[0], text, m))
		},
	}
	m.flags(c)
	return c
}

// maxModel is what a thing model may have ("Limits"); a call that is much longer is cut off before it can be answered.
const maxModel = 256 << 10

func checkModel(text string) error {
	if len(text) > maxModel {
		return fmt.Errorf("the thing model has %d bytes, at most %d are taken", len(text), maxModel)
	}
	return nil
}

func (a *app) importModel(productKey, tsl string, m module) error {
	if err := checkModel(tsl); err != nil {
		return err
	}
	api, err := a.api()
	if err != nil {
		return err
	}
	resp, err := api.ImportThingModelTsl(&iotapi.ImportThingModelTslRequest{ProductKey: &productKey, TslStr: &tsl,
		FunctionBlockId: given(m.id), FunctionBlockName: given(m.name)})
	return check(resp, err)
}

func (a *app) modelPublish() *cobra.Command {
	var version, description string
	c := &cobra.Command{
		Use:   "publish PRODUCT_KEY",
		Short: "Publish the draft; devices meet it within seconds",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.done(cmd, "published", "the model of "+args[0], a.publishModel(args[0], version, description))
		},
	}
	c.Flags().StringVar(&version, "version", "", "up to 16 letters, digits and dots; a time stamp if absent")
	c.Flags().StringVar(&description, "description", "", "what is new")
	return c
}

func (a *app) publishModel(productKey, version, description string) error {
	api, err := a.api()
	if err != nil {
		return err
	}
	r := &iotapi.PublishThingModelRequest{ProductKey: &productKey}
	if version != "" {
		r.ModelVersion = tea.String(version)
	}
	if description != "" {
		r.Description = tea.String(description)
	}
	resp, err := api.PublishThingModel(r)
	return check(resp, err)
}

func readFile(cmd *cobra.Command, path string) (string, error) {
	if path == "-" {
		b, err := io.ReadAll(cmd.InOrStdin())
		return string(b), err
	}
	b, err := os.ReadFile(path)
	return string(b), err
}
