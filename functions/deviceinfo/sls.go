package main

import (
	"context"
	"log/slog"
	"time"

	"relink/functions/internal/fcrun"
	"relink/shared/config"
	"relink/shared/deviceinfo"
	"relink/shared/logs"
)

// uploadWait bounds how long an upload waits for the log service, all tries together; the connector tries again after that.
const uploadWait = 5 * time.Second

// newUploader makes the sink for devices' logs, nil where no log service is configured, and what keeps its credentials fresh: those in
// the environment expire in an instance that lives long.
func newUploader(cloud config.Cloud, log *slog.Logger) (deviceinfo.LogSink, func(fcrun.Handler) fcrun.Handler, error) {
	if cloud.SLSEndpoint == "" {
		log.Warn("no log service (SLS_ENDPOINT): what devices upload of their logs is dropped")
		return nil, func(h fcrun.Handler) fcrun.Handler { return h }, nil
	}
	client, err := logs.NewClient(logs.ServiceConfig{
		Endpoint: cloud.SLSEndpoint, Dial: cloud.SLSDial, Project: cloud.SLSProject, AccessKeyID: cloud.AccessKeyID,
		AccessKeySecret: cloud.AccessKeySecret, SecurityToken: cloud.SecurityToken, Timeout: uploadWait, RetryFor: uploadWait,
	})
	if err != nil {
		return nil, nil, err
	}
	fresh := func(h fcrun.Handler) fcrun.Handler {
		return fcrun.HandlerFunc(func(ctx context.Context, event []byte) ([]byte, error) {
			if c, ok := fcrun.CredentialsFrom(ctx); ok {
				client.ResetAccessKeyToken(c.AccessKeyID, c.AccessKeySecret, c.SecurityToken)
			}
			return h.Invoke(ctx, event)
		})
	}
	return &logs.Uploader{Client: client, Project: cloud.SLSProject}, fresh, nil
}
