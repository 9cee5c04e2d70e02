// Package destinations makes the destinations of rules and subscriptions out of a function's environment, and keeps their credentials
// fresh.
package destinations

import (
	"context"
	"errors"
	"strings"
	"time"

	"relink/functions/internal/fcrun"
	"relink/functions/internal/tables"
	"relink/shared/command"
	"relink/shared/config"
	"relink/shared/fc"
	"relink/shared/forward"
	"relink/shared/iot"
	"relink/shared/mns"
)

// Patience is what one attempt of one destination may take.
const Patience = 3 * time.Second

// Destinations are all that this build knows.
type Destinations struct {
	ByType    map[string]forward.Destination
	functions *fc.Client
	messages  *mns.Client
}

// New makes them.
func New(p tables.Parts) (*Destinations, error) {
	c := p.Cloud
	functions, err := fc.New(fc.Config{Endpoint: c.FCEndpoint, Region: c.Region, AccessKeyID: c.AccessKeyID, Secret: c.AccessKeySecret,
		SecurityToken: c.SecurityToken}) // without a prefix: names of functions are the customer's
	if err != nil {
		return nil, err
	}
	messages, err := mns.New(mns.Config{Endpoint: c.MNSEndpoint, AccessKeyID: c.AccessKeyID, AccessKeySecret: c.AccessKeySecret, SecurityToken: c.SecurityToken})
	if err != nil {
		return nil, err
	}
	credentials := func(ctx context.Context) forward.Credentials {
		if k, ok := fcrun.CredentialsFrom(ctx); ok {
			return forward.Credentials{ID: k.AccessKeyID, Secret: iot.Secret(k.AccessKeySecret), Token: iot.Secret(k.SecurityToken)}
		}
		return forward.Credentials{ID: c.AccessKeyID, Secret: c.AccessKeySecret, Token: c.SecurityToken}
	}
	var limits struct {
		Private string `env:"RELINK_FORWARD_PRIVATE"` // allow: HTTPS actions may name addresses that are not public, and plain HTTP
	}
	if err := config.Read(&limits); err != nil {
		return nil, err
	}
	return &Destinations{functions: functions, messages: messages, ByType: map[string]forward.Destination{
		forward.Republish: forward.Devices{Commands: command.Remote{FC: p.FC}},
		forward.OTS:       forward.NewTables(func(instance, region string) string { return tablesAt(&c, instance, region) }, credentials),
		forward.FC:        forward.Functions{FC: functions, Own: c.FunctionPrefix},
		forward.MNS:       forward.Topics{Service: messages},
		forward.Queue:     forward.Queues{Service: messages},
		forward.HTTPS:     forward.NewServers(limits.Private == "allow"),
	}}, nil
}

// Refresh takes over the credentials of an invocation.
func (d *Destinations) Refresh(ctx context.Context) error {
	k, ok := fcrun.CredentialsFrom(ctx)
	if !ok {
		return nil
	}
	secret, token := iot.Secret(k.AccessKeySecret), iot.Secret(k.SecurityToken)
	return errors.Join(d.functions.SetCredentials(k.AccessKeyID, secret, token), d.messages.SetCredentials(k.AccessKeyID, secret, token))
}

// tablesAt is the endpoint of an instance of Tablestore: built as the platform's own, which has its instance in the host's name. An
// endpoint that does not, of another region or not, serves all instances.
func tablesAt(c *config.Cloud, instance, region string) string {
	own := "://" + c.TablestoreInstance + "."
	if !strings.Contains(c.TablestoreEndpoint, own) || instance == "" {
		return c.TablestoreEndpoint
	}
	if region != "" && region != c.Region {
		return "https://" + instance + "." + region + ".ots.aliyuncs.com"
	}
	return strings.Replace(c.TablestoreEndpoint, own, "://"+instance+".", 1)
}
