package main

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// connectorListeners are the connector's listeners and the ports that localstack's first connector has.
var connectorListeners = []struct {
	variable string
	port     int
}{
	{"RELINK_LISTEN_MQTT", 1883}, {"RELINK_LISTEN_MQTTS", 8883}, {"RELINK_LISTEN_WS", 8083}, {"RELINK_LISTEN_WSS", 8084},
	{"RELINK_LISTEN_HTTP", 8080}, {"RELINK_LISTEN_HTTPS", 8443}, {"RELINK_LISTEN_COAP", 5682}, {"RELINK_LISTEN_COAPS", 5684},
	{"RELINK_LISTEN_OPENAPI", 9080}, {"RELINK_LISTEN_DOWNLOAD", 9070}, {"RELINK_LISTEN_INTERNAL", 1888},
}

func (a *app) connectorCommand() *cobra.Command {
	var offset int
	var binary, configuration string
	c := &cobra.Command{
		Use:   "connector",
		Short: "Start one more connector beside a running localstack",
		Long: `Starts a second connector on ports of its own, with the configuration that localstack wrote for its first. Devices may connect to
either; commands find them through Tablestore. It runs until it is stopped.`,
		Example: `  relink connector --port-offset 100      # MQTT on 1983`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if offset < 1 || offset > 50_000 {
				return fmt.Errorf("--port-offset is 1 to 50000, not %d", offset)
			}
			if configuration == "" {
				configuration = filepath.Join(filepath.Dir(a.envFile), "connector.env")
			}
			var first environment
			if err := first.load(configuration); err != nil {
				return err
			}
			if len(first.file) == 0 {
				return fmt.Errorf("%s is not there: start localstack first", configuration)
			}
			set := maps.Clone(first.file)
			for _, l := range connectorListeners {
				host, port, err := net.SplitHostPort(first.file[l.variable])
				if err != nil {
					return fmt.Errorf("%s: %s: %w", configuration, l.variable, err)
				}
				n, err := strconv.Atoi(port)
				if err != nil {
					return err
				}
				address := net.JoinHostPort(host, strconv.Itoa(n+offset))
				set[l.variable] = address
				if l.variable == "RELINK_LISTEN_INTERNAL" {
					set["RELINK_INTERNAL_URL"] = "http://" + address
				} else {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s %s\n", l.variable[len("RELINK_LISTEN_"):], address)
				}
			}
			path, err := exec.LookPath(binary)
			if err != nil {
				return err
			}
			var env []string // a variable that stands twice counts as its first, so ours come alone
			for _, kv := range os.Environ() {
				if k, _, _ := strings.Cut(kv, "="); set[k] == "" {
					env = append(env, kv)
				}
			}
			for k, v := range set {
				env = append(env, k+"="+v)
			}
			// The connector takes this process over, so that signals and its exit status are its own.
			return syscall.Exec(path, []string{filepath.Base(path)}, env)
		},
	}
	c.Flags().IntVar(&offset, "port-offset", 100, "added to each port of the first connector")
	c.Flags().StringVar(&binary, "binary", ".localstack/bin/connector", "the connector's executable")
	c.Flags().StringVar(&configuration, "config", "", "the configuration that localstack wrote; connector.env beside the file of --env if absent")
	return c
}
