// Command relink is the command line of the platform: an OpenAPI client made of the official SDK, and the operator's tools
// around it. Everything it does to products and devices goes through the same API that applications use.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newRoot().ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "relink: "+explain(err))
		stop()
		os.Exit(1)
	}
}

// explain makes one line of an error; of the SDK's errors it keeps what the server said.
func explain(err error) string {
	if e, ok := errors.AsType[*tea.SDKError](err); ok {
		return fmt.Sprintf("%s: %s", tea.StringValue(e.Code), tea.StringValue(e.Message))
	}
	return err.Error()
}

func newRoot() *cobra.Command {
	var a app
	root := &cobra.Command{
		Use:   "relink",
		Short: "The command line of Relink",
		Long: `The command line of Relink: products, devices and their data, and what an operator needs around them.

It takes the endpoint and the access key from the environment (RELINK_OPENAPI_ENDPOINT with RELINK_ACCESS_KEY_ID and
RELINK_ACCESS_KEY_SECRET, or ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET), and what is not there from the file
that localstack writes (--env).`,
		Example: `  relink product create --name lamps
  relink device create a1B2c3D4e5F lamp-001
  relink property get a1B2c3D4e5F lamp-001
  relink why a1B2c3D4e5F lamp-001`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.output != "text" && a.output != "json" {
				return fmt.Errorf("--output is text or json, not %q", a.output)
			}
			return a.env.load(a.envFile)
		},
	}
	root.PersistentFlags().StringVar(&a.envFile, "env", ".localstack/env", "file with KEY=VALUE lines for what the environment does not say")
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "text", "text or json")
	root.AddCommand(
		a.productCommand(), a.deviceCommand(), a.certificateCommand(), a.caCommand(), a.modelCommand(), a.propertyCommand(), a.eventCommand(), a.serviceCommand(), a.scriptCommand(),
		a.gatewayCommand(), a.shadowCommand(), a.tagCommand(), a.topicCommand(), a.pubCommand(), a.broadcastCommand(), a.rrpcCommand(),
		a.logsCommand(), a.whyCommand(), a.simulateCommand(), a.benchCommand(), a.bareBrokerCommand(),
		a.bootstrapCommand(), a.demoCommand(), a.connectorCommand(), a.faultsCommand(), a.configCommand(), a.jobCommand(),
		a.ruleCommand(), a.subscribeCommand(), a.ledgerCommand(),
	)
	return root
}

// group makes a command that only has subcommands: without one, or with a word that is none, it says so and fails.
func group(name, short string) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%s has no command %q: see relink %s --help", name, args[0], name)
			}
			if err := cmd.Help(); err != nil {
				return err
			}
			return fmt.Errorf("%s wants one of its commands", name)
		},
	}
}
