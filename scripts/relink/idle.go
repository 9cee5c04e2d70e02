package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"relink/scripts/load"
)

// An idleRound is the connector's memory with all connections up.
type idleRound struct {
	Round           int     `json:"round"`
	ConnectSeconds  float64 `json:"connectSeconds"`
	RSSMB           float64 `json:"rssMB"`
	KBPerConnection float64 `json:"kbPerConnection"`
}

func (a *app) benchIdleCommand() *cobra.Command {
	var connections, rounds int
	var settle time.Duration
	c := &cobra.Command{
		Use:   "idle",
		Short: "Measure the connector's memory per idle connection, also after all have dropped and come back",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if connections < 100 || connections > 15_000 || rounds < 0 || rounds > 50 {
				return errors.New("--connections is 100 to 15000, --rounds 0 to 50")
			}
			address, err := a.env.need("RELINK_MQTT")
			if err != nil {
				return err
			}
			fleet, err := a.fleet("relink_bench", benchModel, connections)
			if err != nil {
				return err
			}
			base, err := a.connectorRSS()
			if err != nil {
				return err
			}
			var results []idleRound
			for round := 0; round <= rounds; round++ {
				r, err := a.idleRound(cmd.Context(), address, fleet, base, round, settle)
				if err != nil {
					return err
				}
				results = append(results, r)
				fmt.Fprintf(cmd.ErrOrStderr(), "round %d: %.1f KB per connection\n", r.Round, r.KBPerConnection)
			}
			return a.print(cmd, map[string]any{"connections": connections, "baseMB": float64(base) / (1 << 20), "rounds": results}, func(w io.Writer) {
				fmt.Fprintf(w, "connector before\t%.1f MB\n", float64(base)/(1<<20))
				row(w, "AFTER STORMS", "CONNECTED IN", "RSS", "PER CONNECTION")
				for _, r := range results {
					row(w, r.Round, fmt.Sprintf("%.1f s", r.ConnectSeconds), fmt.Sprintf("%.1f MB", r.RSSMB), fmt.Sprintf("%.1f KB", r.KBPerConnection))
				}
			})
		},
	}
	c.Flags().IntVar(&connections, "connections", 10_000, "how many")
	c.Flags().IntVar(&rounds, "rounds", 4, "how often all drop and come back")
	c.Flags().DurationVar(&settle, "settle", 10*time.Second, "how long to stay connected before measuring")
	return c
}

func (a *app) idleRound(ctx context.Context, address string, fleet []load.Device, base int64, round int, settle time.Duration) (idleRound, error) {
	begun := time.Now()
	release, err := load.Hold(ctx, address, fleet)
	if err != nil {
		return idleRound{}, err
	}
	defer release()
	took := time.Since(begun)
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return idleRound{}, ctx.Err()
	}
	rss, err := a.connectorRSS()
	return idleRound{
		Round: round, ConnectSeconds: took.Seconds(), RSSMB: float64(rss) / (1 << 20),
		KBPerConnection: float64(rss-base) / 1024 / float64(len(fleet)),
	}, err
}

func (a *app) connectorRSS() (int64, error) {
	all, err := a.processes()
	if err != nil {
		return 0, err
	}
	for _, u := range all {
		if u.role == "connector" && len(u.pids) > 0 {
			return u.rss, nil
		}
	}
	return 0, fmt.Errorf("RELINK_PIDS in %s names no connector that runs", a.env.path)
}
