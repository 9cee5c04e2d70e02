package main

import (
	"strconv"

	sls "github.com/aliyun/aliyun-log-go-sdk"
	"google.golang.org/protobuf/proto"

	"relink/shared/config"
	"relink/shared/iot"
	"relink/shared/logs"
)

// slsSink stores lines in the logstore audit of Log Service.
type slsSink struct {
	client  sls.ClientInterface
	project string
}

// newSLSSink makes a sink that takes no longer than an answer may wait.
func newSLSSink(cloud config.Cloud) (*slsSink, error) {
	client, err := logs.NewClient(logs.ServiceConfig{
		Endpoint: cloud.SLSEndpoint, Dial: cloud.SLSDial, Project: cloud.SLSProject, AccessKeyID: cloud.AccessKeyID,
		AccessKeySecret: cloud.AccessKeySecret, SecurityToken: cloud.SecurityToken, Timeout: auditWait, RetryFor: auditWait,
	})
	return &slsSink{client: client, project: cloud.SLSProject}, err
}

// Put sends lines in one request.
func (s *slsSink) Put(lines []line) error {
	group := &sls.LogGroup{Topic: proto.String("openapi"), Source: proto.String("")}
	for _, l := range lines {
		entry := &sls.Log{Time: proto.Uint32(uint32(l.at.Unix()))}
		add := func(key, value string) {
			entry.Contents = append(entry.Contents, &sls.LogContent{Key: proto.String(key), Value: proto.String(value)})
		}
		add(logs.FieldAt, strconv.FormatInt(l.at.UnixMilli(), 10)) // the service keeps seconds
		for _, f := range l.fields {
			add(f[0], f[1])
		}
		group.Logs = append(group.Logs, entry)
	}
	return s.client.PutLogs(s.project, logs.StoreAudit, group)
}

func (s *slsSink) setCredentials(id string, secret, token iot.Secret) error {
	s.client.ResetAccessKeyToken(id, secret.Reveal(), token.Reveal())
	return nil
}

// noSink is for installations without a log service: the console has every line.
type noSink struct{}

func (noSink) Put([]line) error { return nil }
