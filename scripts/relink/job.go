package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"
)

func (a *app) jobCommand() *cobra.Command {
	c := group("job", "Device jobs: create, show, list, tasks, cancel, delete")
	c.AddCommand(a.jobCreate(), a.jobShow(), a.jobList(), a.jobTasks(), a.jobCancel(), a.jobDelete())
	return c
}

func (a *app) jobCreate() *cobra.Command {
	var name, description, document, file string
	var timeout int
	c := &cobra.Command{
		Use:     "create PRODUCT_KEY DEVICE_NAME…",
		Short:   "Make a job for up to 200 devices of a product, and tell those that are online",
		Example: `  relink job create a1B2c3D4e5F lamp-001 lamp-002 --name blink --document '{"cmd":"blink"}'`,
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			type device struct {
				ProductKey string `json:"productKey"`
				DeviceName string `json:"deviceName"`
			}
			target := struct {
				TargetType    string   `json:"targetType"`
				TargetDevices []device `json:"targetDevices"`
			}{TargetType: "DEVICE_LIST"}
			for _, dn := range args[1:] {
				target.TargetDevices = append(target.TargetDevices, device{args[0], dn})
			}
			text, err := json.Marshal(target)
			if err != nil {
				return err
			}
			params := map[string]string{"JobName": name, "Description": description, "Type": "CUSTOM_JOB", "JobDocument": document, "TargetConfig": string(text)}
			if timeout > 0 {
				params["TimeoutConfig"] = fmt.Sprintf(`{"inProgressTimeoutInMinutes":%d}`, timeout)
			}
			if file != "" {
				if params["JobFile"], err = a.uploadJobFile(file); err != nil {
					return err
				}
			}
			var answer struct{ JobId string } //nolint:revive // the API's spelling
			if err := a.own("CreateJob", params, &answer); err != nil {
				return err
			}
			return a.print(cmd, answer, func(w io.Writer) { row(w, "job id", answer.JobId) })
		},
	}
	c.Flags().StringVar(&name, "name", "", "name (required)")
	c.Flags().StringVar(&description, "description", "", "up to 1024 bytes")
	c.Flags().StringVar(&document, "document", "{}", "what devices are to do: a JSON object that they understand")
	c.Flags().StringVar(&file, "file", "", "a file of up to 4 MB that devices fetch")
	c.Flags().IntVar(&timeout, "timeout", 0, "minutes that a device may be at it; 0: any time")
	_ = c.MarkFlagRequired("name") // fails only for a flag that does not exist
	return c
}

// uploadJobFile uploads a file and gives what JobFile of CreateJob wants.
func (a *app) uploadJobFile(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var answer struct {
		Data struct{ FileKey, Sign, SignMethod string }
	}
	if err := a.own("RelinkUploadJobFile", map[string]string{"Content": base64.StdEncoding.EncodeToString(data)}, &answer); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]string{"fileKey": answer.Data.FileKey, "sign": answer.Data.Sign, "signMethod": answer.Data.SignMethod})
	return string(text), err
}

func (a *app) jobShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show JOB_ID",
		Short: "Show a job and how far its devices are",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			job, err := api.QueryJob(&iotapi.QueryJobRequest{JobId: &args[0]})
			if err := check(job, err); err != nil {
				return err
			}
			n, err := api.QueryJobStatistics(&iotapi.QueryJobStatisticsRequest{JobId: &args[0]})
			if err := check(n, err); err != nil {
				return err
			}
			return a.print(cmd, map[string]any{"job": job.Body.Data, "statistics": n.Body.Data}, func(w io.Writer) {
				row(w, "name", str(job.Body.Data.JobName))
				row(w, "status", str(job.Body.Data.Status))
				row(w, "document", str(job.Body.Data.JobDocument))
				d := n.Body.Data
				for _, c := range []struct {
					name string
					n    *int32
				}{{"tasks", d.Total}, {"queued", d.Queued}, {"sent", d.Sent}, {"in progress", d.InProgress}, {"succeeded", d.Succeeded}, {"failed", d.Failed},
					{"rejected", d.Rejected}, {"timed out", d.TimeOut}, {"cancelled", d.Cancelled}} {
					row(w, c.name, tea.Int32Value(c.n))
				}
			})
		},
	}
}

func (a *app) jobList() *cobra.Command {
	var page, size int32
	c := &cobra.Command{
		Use:   "list",
		Short: "List jobs, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			r, err := api.ListJob(&iotapi.ListJobRequest{CurrentPage: &page, PageSize: &size})
			if err := check(r, err); err != nil {
				return err
			}
			return a.print(cmd, r.Body.Data, func(w io.Writer) {
				row(w, "JOB ID", "NAME", "STATUS", "CREATED")
				for _, j := range r.Body.Data.Data {
					row(w, str(j.JobId), str(j.JobName), str(j.Status), str(j.UtcCreate))
				}
			})
		},
	}
	c.Flags().Int32Var(&page, "page", 1, "page, from 1")
	c.Flags().Int32Var(&size, "page-size", 50, "jobs per page, up to 50")
	return c
}

func (a *app) jobTasks() *cobra.Command {
	var status string
	c := &cobra.Command{
		Use:     "tasks JOB_ID",
		Short:   "List the tasks of a job, one per device",
		Example: `  relink job tasks mjv8f2k0a1b2 --status FAILED`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			type task struct {
				TaskId, ProductKey, DeviceName, Status, Progress, UtcModified string //nolint:revive // the API's spelling
			}
			all := []task{}
			for token := ""; ; {
				var answer struct {
					Data struct {
						Data []task `json:"data"`
					}
					NextToken string
				}
				if err := a.own("ListTask", map[string]string{"JobId": args[0], "Status": status, "Limit": "50", "NextToken": token}, &answer); err != nil {
					return err
				}
				all = append(all, answer.Data.Data...)
				if token = answer.NextToken; token == "" {
					break
				}
			}
			return a.print(cmd, all, func(w io.Writer) {
				row(w, "TASK ID", "PRODUCT KEY", "DEVICE NAME", "STATUS", "PROGRESS", "CHANGED")
				for _, t := range all {
					row(w, t.TaskId, t.ProductKey, t.DeviceName, t.Status, t.Progress, t.UtcModified)
				}
			})
		},
	}
	c.Flags().StringVar(&status, "status", "", "only those of one state, such as FAILED")
	return c
}

func (a *app) jobCancel() *cobra.Command {
	return a.jobDo("cancel", "Cancel the tasks of a job that have not ended, and tell their devices", "CancelJob", "cancelled")
}

func (a *app) jobDelete() *cobra.Command {
	return a.jobDo("delete", "Delete a job with its tasks", "DeleteJob", "deleted")
}

func (a *app) jobDo(verb, short, action, done string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " JOB_ID", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.own(action, map[string]string{"JobId": args[0]}, nil); err != nil {
				return err
			}
			return a.print(cmd, map[string]string{done: args[0]}, func(w io.Writer) { row(w, done, args[0]) })
		},
	}
}
