package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"
)

func (a *app) faultsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "faults",
		Short: "Show, set and clear the faults that localstack injects",
		Long: `Localstack can throttle, delay, fail, lose a response after doing the work, and kill function instances. Without a subcommand, the
faults that are set are shown.`,
		Example: `  relink faults set '{"fc":{"throttle":0.3,"crash":{"relink-property":"1s"}}}'
  relink faults clear`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.control(cmd, http.MethodGet, "/faults", nil) },
	}
	c.AddCommand(
		&cobra.Command{
			Use: "set JSON", Short: "Set all faults; what the JSON does not name is off", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				if !json.Valid([]byte(args[0])) {
					return fmt.Errorf("%q is not JSON", args[0])
				}
				return a.control(cmd, http.MethodPut, "/faults", []byte(args[0]))
			},
		},
		&cobra.Command{
			Use: "clear", Short: "Turn all faults off", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return a.control(cmd, http.MethodPut, "/faults", []byte("{}"))
			},
		},
		&cobra.Command{
			Use: "stats", Short: "Show what the emulators have counted", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return a.control(cmd, http.MethodGet, "/stats", nil) },
		},
	)
	return c
}

// control calls localstack's control API and prints its answer.
func (a *app) control(cmd *cobra.Command, method, path string, body []byte) error {
	base, err := a.env.need("LOCALSTACK_CONTROL")
	if err != nil {
		return err
	}
	answer, err := controlCall(cmd.Context(), method, base+path, body)
	if err != nil {
		return err
	}
	return a.print(cmd, json.RawMessage(answer), func(w io.Writer) { fmt.Fprintln(w, string(answer)) })
}

func controlCall(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("localstack: %s: %s", resp.Status, bytes.TrimSpace(answer))
	}
	return bytes.TrimSpace(answer), nil
}
