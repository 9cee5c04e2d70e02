package main

import (
	"context"
	"net"
	"net/http"
	"time"

	sls "github.com/aliyun/aliyun-log-go-sdk"
	"google.golang.org/protobuf/proto"

	"relink/shared/config"
	"relink/shared/logs"
)

// slsSink stores lines in the logstore audit of Log Service.
type slsSink struct {
	client  sls.ClientInterface
	project string
}

// newSLSSink makes a sink. The SDK puts the project before the endpoint's host; where no DNS knows such names, cloud.SLSDial
// tells where to connect whatever the name.
func newSLSSink(cloud config.Cloud) *slsSink {
	dialer := &net.Dialer{Timeout: auditWait}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: auditWait,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     30 * time.Second,
	}
	if cloud.SLSDial != "" {
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, cloud.SLSDial)
		}
	}
	client := sls.CreateNormalInterface(cloud.SLSEndpoint, cloud.AccessKeyID, cloud.AccessKeySecret.Reveal(), cloud.SecurityToken.Reveal())
	client.SetHTTPClient(&http.Client{Transport: transport, Timeout: auditWait})
	client.SetRetryTimeout(auditWait)
	return &slsSink{client: client, project: cloud.SLSProject}
}

// Put sends lines in one request.
func (s *slsSink) Put(lines []line) error {
	group := &sls.LogGroup{Topic: proto.String("openapi"), Source: proto.String("")}
	for _, l := range lines {
		entry := &sls.Log{Time: proto.Uint32(uint32(l.at.Unix()))}
		for _, f := range l.fields {
			entry.Contents = append(entry.Contents, &sls.LogContent{Key: proto.String(f[0]), Value: proto.String(f[1])})
		}
		group.Logs = append(group.Logs, entry)
	}
	return s.client.PutLogs(s.project, logs.StoreAudit, group)
}

// noSink is for installations without a log service: the console has every line.
type noSink struct{}

func (noSink) Put([]line) error { return nil }
