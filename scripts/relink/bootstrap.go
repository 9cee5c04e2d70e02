package main

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"relink/shared/config"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/objects"
	"relink/shared/store"
)

func (a *app) bootstrapCommand() *cobra.Command {
	var templates string
	c := &cobra.Command{
		Use:   "bootstrap",
		Short: "Create the tables and logstores that templates/ declares, and the bucket, where they are missing",
		Long:  `Creates what is missing, reports what differs, and never changes or drops anything. It can run at every deployment.`,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			type change struct {
				Kind   string `json:"kind"`
				Name   string `json:"name"`
				Action string `json:"action"`
				Detail string `json:"detail,omitempty"`
			}
			var plan []change
			tables, err := os.Open(filepath.Join(templates, "tablestore.yaml"))
			if err != nil {
				return err
			}
			defer tables.Close()
			endpoint, err := a.env.need("TABLESTORE_ENDPOINT")
			if err != nil {
				return err
			}
			id, secret, err := a.env.accessKey()
			if err != nil {
				return err
			}
			made, err := store.Bootstrap(cmd.Context(), store.Options{
				Endpoint: endpoint, Instance: or(a.env.get("TABLESTORE_INSTANCE"), "relink"), AccessKeyID: id, AccessKeySecret: iot.Secret(secret),
			}, tables)
			if err != nil {
				return err
			}
			for _, m := range made {
				plan = append(plan, change{"table", m.Table, m.Action, m.Detail})
			}
			bucket, err := a.bootstrapBucket(cmd.Context())
			if err != nil {
				return err
			}
			plan = append(plan, change{Kind: "bucket", Name: bucket.name, Action: bucket.action})
			client, project, err := a.logService()
			if err != nil {
				return err
			}
			stores, err := os.Open(filepath.Join(templates, "sls.yaml"))
			if err != nil {
				return err
			}
			defer stores.Close()
			logstores, err := logs.Bootstrap(client, project, stores)
			if err != nil {
				return err
			}
			for _, l := range logstores {
				plan = append(plan, change{"logstore", l.Logstore, l.Action, l.Detail})
			}
			return a.print(cmd, plan, func(w io.Writer) {
				for _, p := range plan {
					row(w, p.Kind, p.Name, p.Action, p.Detail)
				}
			})
		},
	}
	c.Flags().StringVar(&templates, "templates", "templates", "directory of the declarations")
	return c
}

type madeBucket struct{ name, action string }

// bootstrapBucket creates the bucket of files if it is missing.
func (a *app) bootstrapBucket(ctx context.Context) (madeBucket, error) {
	id, secret, err := a.env.accessKey()
	if err != nil {
		return madeBucket{}, err
	}
	region := or(a.env.get("RELINK_REGION"), "cn-shanghai")
	cloud := config.Cloud{
		AccessKeyID: id, AccessKeySecret: iot.Secret(secret), Region: region, OSSBucket: or(a.env.get("OSS_BUCKET"), "relink"),
		OSSEndpoint: or(a.env.get("OSS_ENDPOINT"), "https://oss-"+region+".aliyuncs.com"),
	}
	files, err := objects.Open(cloud)
	if err != nil {
		return madeBucket{}, err
	}
	created, err := files.EnsureBucket(ctx)
	made := madeBucket{cloud.OSSBucket, store.Unchanged}
	if created {
		made.action = store.Created
	}
	return made, err
}
