package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	c := group("config", "Remote configuration: publish, show, list versions, switch, push")
	c.AddCommand(a.configPublish(), a.configShow(), a.configVersions(), a.configSwitch(), a.configPush())
	return c
}

// A configVersion is one version of a product's configuration, as the platform answers it.
type configVersion struct {
	ConfigId    string //nolint:revive // the API's spelling
	Size        int
	Sign        string
	Description string
	UtcCreated  string
	InForce     bool
	Content     string `json:",omitempty"`
}

func (a *app) configPublish() *cobra.Command {
	var file, description string
	var draft, push bool
	c := &cobra.Command{
		Use:   "publish PRODUCT_KEY",
		Short: "Put a JSON file of up to 64 KB into force, or the draft",
		Example: `  relink config publish a1B2c3D4e5F --file config.json --push
  relink config publish a1B2c3D4e5F --file config.json --draft   # keep it, and show it to nobody
  relink config publish a1B2c3D4e5F                               # the draft`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if draft && (push || file == "") {
				return fmt.Errorf("a draft needs --file, and is not pushed")
			}
			params := map[string]string{"ProductKey": args[0], "Description": description}
			if draft {
				params["Draft"] = "true"
			}
			if file != "" {
				text, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				if len(text) == 0 {
					return fmt.Errorf("%s is empty", file)
				}
				params["Content"] = string(text)
			}
			var answer struct{ Data configVersion }
			if err := a.own("RelinkPublishRemoteConfig", params, &answer); err != nil {
				return err
			}
			published := struct {
				configVersion
				Push *configPushed `json:",omitempty"`
			}{configVersion: answer.Data}
			var failed error
			if push {
				p, err := a.pushConfig(args[0])
				if err != nil {
					return err
				}
				published.Push, failed = &p, p.err()
			}
			return errors.Join(a.print(cmd, published, func(w io.Writer) {
				row(w, "config id", answer.Data.ConfigId)
				row(w, "size", answer.Data.Size)
				row(w, "sign", answer.Data.Sign)
				if push {
					published.Push.rows(w)
				}
			}), failed)
		},
	}
	c.Flags().StringVar(&file, "file", "", "the file; the draft if absent")
	c.Flags().StringVar(&description, "description", "", "up to 1024 bytes")
	c.Flags().BoolVar(&draft, "draft", false, "keep it as the draft")
	c.Flags().BoolVar(&push, "push", false, "and tell the devices that are online")
	return c
}

func (a *app) configShow() *cobra.Command {
	var id string
	var draft bool
	c := &cobra.Command{
		Use:   "show PRODUCT_KEY",
		Short: "Show the configuration in force, another version, or the draft",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			params := map[string]string{"ProductKey": args[0], "ConfigId": id}
			if draft {
				params["Draft"] = "true"
			}
			var answer struct {
				Enabled bool
				Data    *configVersion
			}
			if err := a.own("RelinkGetRemoteConfig", params, &answer); err != nil {
				return err
			}
			return a.print(cmd, answer, func(w io.Writer) {
				row(w, "enabled", answer.Enabled)
				if v := answer.Data; v != nil {
					row(w, "config id", v.ConfigId)
					row(w, "created", v.UtcCreated)
					row(w, "description", or(v.Description, "-"))
					row(w, "content", v.Content)
				} else {
					row(w, "content", "none")
				}
			})
		},
	}
	c.Flags().StringVar(&id, "version", "", "config id of another version")
	c.Flags().BoolVar(&draft, "draft", false, "the draft")
	return c
}

func (a *app) configVersions() *cobra.Command {
	return &cobra.Command{
		Use:   "versions PRODUCT_KEY",
		Short: "List what was published, newest first",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var answer struct {
				Enabled bool
				Data    struct{ Version []configVersion }
			}
			if err := a.own("RelinkListRemoteConfigVersions", map[string]string{"ProductKey": args[0]}, &answer); err != nil {
				return err
			}
			return a.print(cmd, answer, func(w io.Writer) {
				row(w, "CONFIG ID", "SIZE", "CREATED", "IN FORCE", "DESCRIPTION")
				for _, v := range answer.Data.Version {
					row(w, v.ConfigId, v.Size, v.UtcCreated, v.InForce, v.Description)
				}
			})
		},
	}
}

func (a *app) configSwitch() *cobra.Command {
	return &cobra.Command{
		Use:     "switch PRODUCT_KEY on|off",
		Short:   "Switch a product's configuration on or off: off, devices are told so when they ask",
		Example: `  relink config switch a1B2c3D4e5F off`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			enabled, ok := map[string]string{"on": "true", "off": "false"}[args[1]]
			if !ok {
				return fmt.Errorf("the switch is on or off, not %q", args[1])
			}
			if err := a.own("RelinkSwitchRemoteConfig", map[string]string{"ProductKey": args[0], "Enabled": enabled}, nil); err != nil {
				return err
			}
			return a.print(cmd, map[string]string{args[0]: args[1]}, func(w io.Writer) { row(w, args[0], args[1]) })
		},
	}
}

func (a *app) configPush() *cobra.Command {
	return &cobra.Command{
		Use:   "push PRODUCT_KEY",
		Short: "Tell the product's online devices of the configuration in force; the others ask when they start",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.pushConfig(args[0])
			if err != nil {
				return err
			}
			return errors.Join(a.print(cmd, p, p.rows), p.err())
		},
	}
}

// A configPushed is what became of a push: devices that were looked at, of these online, told, and not reached.
type configPushed struct{ Devices, Online, Sent, Failed int }

func (p configPushed) rows(w io.Writer) {
	row(w, "devices", p.Devices)
	row(w, "online", p.Online)
	row(w, "sent", p.Sent)
	row(w, "failed", p.Failed)
}

func (p configPushed) err() error {
	if p.Failed > 0 {
		return fmt.Errorf("%d online devices were not told; repeat the push", p.Failed)
	}
	return nil
}

// pushConfig calls until all devices were looked at.
func (a *app) pushConfig(pk string) (configPushed, error) {
	var all configPushed
	for token := ""; ; {
		var answer struct {
			Data struct {
				configPushed
				NextToken string
			}
		}
		if err := a.own("RelinkPushRemoteConfig", map[string]string{"ProductKey": pk, "NextToken": token}, &answer); err != nil {
			return all, err
		}
		d := answer.Data
		all = configPushed{Devices: all.Devices + d.Devices, Online: all.Online + d.Online, Sent: all.Sent + d.Sent, Failed: all.Failed + d.Failed}
		if token = d.NextToken; token == "" {
			return all, nil
		}
	}
}
