package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"relink/shared/ledger"
)

type ledgerAnswer struct {
	ledger.Report
	Balanced bool
}

// errUnbalanced makes the command exit with 1.
var errUnbalanced = errors.New("the ledger does not balance")

func (a *app) ledgerCommand() *cobra.Command {
	var since, quiet, every time.Duration
	var watch bool
	c := &cobra.Command{
		Use:   "ledger",
		Short: "Say what became of all messages, and fail if some are unaccounted for",
		Long: `Say what became of all messages.

On the way in, by function: in = stored + rejected + dead-lettered + undecided. In the rule engine: matched = delivered + pending +
dead. While messages are on their way the two sides differ; the command waits for a quiet moment before it says that something is
missing, and then exits with 1.`,
		Example: `  relink ledger
  relink ledger --since 24h -o json
  relink ledger --watch`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			begun := time.Now()
			for {
				answer, err := a.ledger(since)
				if err != nil {
					return err
				}
				if !watch && !answer.Balanced && time.Since(begun) < quiet && len(answer.Problems) == 0 {
					if err := pause(cmd, every); err != nil {
						return err
					}
					continue
				}
				if err := a.print(cmd, answer, func(w io.Writer) { printLedger(w, answer) }); err != nil {
					return err
				}
				if !watch {
					if !answer.Balanced {
						return errUnbalanced
					}
					return nil
				}
				if err := pause(cmd, every); err != nil {
					return nil // watching ends when the user says so
				}
			}
		},
	}
	c.Flags().DurationVar(&since, "since", time.Hour, "how far back; at most 168h")
	c.Flags().BoolVar(&watch, "watch", false, "go on until interrupted")
	c.Flags().DurationVar(&every, "every", 2*time.Second, "how often to look")
	c.Flags().DurationVar(&quiet, "quiet", 30*time.Second, "how long to wait for what is on its way")
	return c
}

func pause(cmd *cobra.Command, d time.Duration) error {
	timer := time.NewTimer(max(d, 100*time.Millisecond))
	defer timer.Stop()
	select {
	case <-cmd.Context().Done():
		return cmd.Context().Err()
	case <-timer.C:
		return nil
	}
}

func (a *app) ledger(since time.Duration) (*ledgerAnswer, error) {
	var answer struct{ Data ledgerAnswer }
	err := a.own("RelinkGetLedger", map[string]string{"StartTime": strconv.FormatInt(time.Now().Add(-since).UnixMilli(), 10)}, &answer)
	return &answer.Data, err
}

func printLedger(w io.Writer, r *ledgerAnswer) {
	row(w, "INPUT", "IN", "STORED", "REJECTED", "DEAD-LETTERED", "UNDECIDED")
	for _, name := range slices.Sorted(maps.Keys(r.Input)) {
		c := r.Input[name]
		row(w, name, c.In, c.Stored, c.Rejected, c.DeadLettered, c.Undecided)
	}
	row(w, "in flight", r.InFlight)
	if r.Cut > 0 {
		row(w, "cut off", r.Cut, "accepted by connectors that ended; devices send them again")
	}
	row(w, "RULES", "MATCHED", "DELIVERED", "PENDING", "DEAD")
	row(w, "all", r.Matched, r.Delivered, r.Pending, r.Dead)
	for _, name := range slices.Sorted(maps.Keys(r.Of)) {
		c := r.Of[name]
		row(w, name, c.Matched, c.Delivered, c.Matched-c.Delivered-c.Dead, c.Dead)
	}
	c := r.Engine[ledger.Rule]
	row(w, "taken", c.Taken)
	row(w, "unmatched", c.Unmatched)
	row(w, "failed SQL", c.FailedSQL)
	for _, p := range r.Problems {
		row(w, "PROBLEM", p)
	}
	balance := "yes"
	if !r.Balanced {
		balance = fmt.Sprintf("no: %d in flight, %d pending, %d problems", r.InFlight, r.Pending, len(r.Problems))
	}
	row(w, "balanced", balance)
}
