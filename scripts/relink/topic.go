package main

import (
	"fmt"
	"io"
	"strconv"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"
)

// operations are what devices may do on a topic class, by the API's number for it.
var operations = []string{"publish", "subscribe", "both"}

func (a *app) topicCommand() *cobra.Command {
	c := group("topic", "Manage the classes of custom topics of a product")
	c.AddCommand(a.topicList(), a.topicCreate(), a.topicDelete())
	return c
}

func (a *app) topicList() *cobra.Command {
	return &cobra.Command{
		Use:     "list PRODUCT_KEY",
		Short:   "List the topic classes of a product",
		Example: `  relink topic list a1B2c3D4e5F`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.QueryProductTopic(&iotapi.QueryProductTopicRequest{ProductKey: &args[0]})
			if err := check(resp, err); err != nil {
				return err
			}
			list := resp.Body.Data.ProductTopicInfo
			return a.print(cmd, list, func(w io.Writer) {
				row(w, "ID", "TOPIC", "DEVICES MAY", "AUTOMATIC", "DESCRIPTION")
				for _, t := range list {
					row(w, str(t.Id), str(t.TopicShortName), operationName(str(t.Operation)), tea.BoolValue(t.EnableProxySubscribe), str(t.Desc))
				}
			})
		},
	}
}

// operationName is the word for an operation's number, or the number where there is none.
func operationName(number string) string {
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= len(operations) {
		return number
	}
	return operations[n]
}

// operationWords are the same in the words that CreateProductTopic takes.
var operationWords = map[string]string{"publish": "PUB", "subscribe": "SUB", "both": "ALL"}

func (a *app) topicCreate() *cobra.Command {
	var allow, description string
	var automatic bool
	c := &cobra.Command{
		Use:   "create PRODUCT_KEY NAME",
		Short: "Add a topic class; devices that are connected know it at once",
		Long: `Add a topic class. NAME is what follows user/ in the topic: alarm makes /PRODUCT_KEY/DEVICE_NAME/user/alarm. A class that devices may
only subscribe may contain the wildcards + and #.`,
		Example: `  relink topic create a1B2c3D4e5F alarm
  relink topic create a1B2c3D4e5F order --allow subscribe --automatic --description "orders to the lamp"`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			operation, ok := operationWords[allow]
			if !ok {
				return fmt.Errorf("--allow is publish, subscribe or both, not %q", allow)
			}
			api, err := a.api()
			if err != nil {
				return err
			}
			r := &iotapi.CreateProductTopicRequest{ProductKey: &args[0], TopicShortName: &args[1], Operation: &operation}
			if description != "" {
				r.Desc = &description
			}
			if automatic {
				r.EnableProxySubscribe = &automatic
			}
			resp, err := api.CreateProductTopic(r)
			if err := check(resp, err); err != nil {
				return err
			}
			answer := struct{ TopicID int64 }{tea.Int64Value(resp.Body.TopicId)}
			return a.print(cmd, answer, func(w io.Writer) { row(w, "topic id", answer.TopicID) })
		},
	}
	c.Flags().StringVar(&allow, "allow", "both", "what devices may do: publish, subscribe or both")
	c.Flags().BoolVar(&automatic, "automatic", false, "devices are subscribed without asking")
	c.Flags().StringVar(&description, "description", "", "up to 100 characters")
	return c
}

func (a *app) topicDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete TOPIC_ID",
		Short:   "Delete a topic class; see topic list for its id",
		Example: `  relink topic delete 10086`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.DeleteProductTopic(&iotapi.DeleteProductTopicRequest{TopicId: &args[0]})
			return a.done(cmd, "deleted", args[0], check(resp, err))
		},
	}
}
