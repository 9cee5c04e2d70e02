package main

import (
	"io"
	"strconv"

	"github.com/spf13/cobra"
)

type ruleLetter struct {
	Owner      string
	MessageID  string `json:"MessageId"`
	ActionID   int64  `json:"ActionId,omitempty"`
	ActionType string
	Resource   string
	ProductKey string
	DeviceName string `json:",omitempty"`
	Topic      string
	Reason     string
	Attempts   int
	UtcTime    string
	BodyBase64 string
}

// lettersOf are the parameters that say whose dead letters are meant.
func lettersOf(args []string, product string) map[string]string {
	params := map[string]string{"ProductKey": product}
	if len(args) > 0 {
		params["RuleId"] = args[0]
	}
	return params
}

func (a *app) ruleDead() *cobra.Command {
	var product string
	var limit int
	c := &cobra.Command{
		Use:   "dead [RULE_ID]",
		Short: "List deliveries that were given up: of a rule, of a product's subscription, or of all; they are kept for 7 days",
		Example: `  relink rule dead 396123456789
  relink rule dead --subscription a1B2c3D4e5F -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, params := []ruleLetter{}, lettersOf(args, product)
			for len(all) < limit {
				var answer struct {
					Data      struct{ DeadLetter []ruleLetter }
					NextToken string
				}
				params["PageSize"] = strconv.Itoa(min(limit-len(all), 100))
				if err := a.own("RelinkListDeadLetters", params, &answer); err != nil {
					return err
				}
				all = append(all, answer.Data.DeadLetter...)
				if params["NextToken"] = answer.NextToken; answer.NextToken == "" {
					break
				}
			}
			return a.print(cmd, all, func(w io.Writer) {
				row(w, "TIME", "OF", "MESSAGE", "DEVICE", "ACTION", "TO", "ATTEMPTS", "REASON")
				for _, d := range all {
					row(w, d.UtcTime, d.Owner, d.MessageID, d.ProductKey+"/"+d.DeviceName, d.ActionType, d.Resource, d.Attempts, d.Reason)
				}
			})
		},
	}
	c.Flags().StringVar(&product, "subscription", "", "product key: what its subscription could not deliver")
	c.Flags().IntVar(&limit, "limit", 100, "at most so many")
	return c
}

func (a *app) ruleReplay() *cobra.Command {
	var product, message string
	c := &cobra.Command{
		Use:   "replay [RULE_ID]",
		Short: "Deliver again what was given up; what fails again becomes a dead letter again",
		Example: `  relink rule replay 396123456789
  relink rule replay --message 1324198300680719360`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			params, count := lettersOf(args, product), 0
			params["MessageId"], params["PageSize"] = message, "1000"
			for {
				var answer struct {
					Count     int
					NextToken string
				}
				if err := a.own("RelinkReplayDeadLetters", params, &answer); err != nil {
					return err
				}
				count += answer.Count
				if params["NextToken"] = answer.NextToken; answer.NextToken == "" {
					break
				}
			}
			return a.print(cmd, map[string]int{"replayed": count}, func(w io.Writer) { row(w, "replayed", count) })
		},
	}
	c.Flags().StringVar(&product, "subscription", "", "product key: what its subscription could not deliver")
	c.Flags().StringVar(&message, "message", "", "only this message")
	return c
}
