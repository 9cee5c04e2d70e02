// Package deviceinfo is what devices tell of themselves and ask about themselves beside their data: tags and facts of their SDK, the
// thing model, whether their log is wanted and the log itself, the state of their network, the key for control in the local network.
// The topics and shapes are those of "Desired values, tags, model fetch" and "Diagnosis, logs, configuration" in the device protocol;
// what applications do with tags is in "Device tags" of the OpenAPI.
package deviceinfo

import (
	"context"
	"time"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/iot"
	"relink/shared/logs"
	"relink/shared/refusal"
	"relink/shared/store"
	"relink/shared/topic"
)

// A LogSink keeps lines of devices' logs; they are durable when it returns. Errors are *iot.Error.
type LogSink interface {
	Upload(ctx context.Context, lines []logs.Uploaded) error
}

// Stores are the tables that the service works with.
type Stores struct {
	Products store.Products
	Infos    store.DeviceInfos
	Network  store.NetworkStatuses
	Links    Links
}

// Links answers which gateways sub-devices belong to; store.Topology does.
type Links interface {
	Links(ctx context.Context, subs []iot.DeviceRef) ([]*store.Link, error)
}

// A Service serves devices and applications. It is safe for concurrent use.
type Service struct {
	products *store.CachedProducts
	infos    store.DeviceInfos
	network  store.NetworkStatuses
	links    Links
	sink     LogSink // nil: logs are not kept
	now      func() time.Time
}

// New makes a service. Without a sink what devices upload of their logs is dropped. now is the clock, time.Now if nil.
func New(s Stores, sink LogSink, now func() time.Time) *Service {
	if now == nil {
		now = time.Now
	}
	return &Service{
		products: store.NewCachedProducts(s.Products, now), infos: s.Infos, network: s.Network, links: s.Links, sink: sink, now: now,
	}
}

// Families are the topics that the service answers.
func (s *Service) Families() map[topic.Family]exchange.Family {
	return map[topic.Family]exchange.Family{
		topic.DeviceInfoUpdate: {Serve: s.updateTags},
		topic.DeviceInfoDelete: {Serve: s.deleteTags},
		topic.DeviceInfoGet:    {Serve: s.getTags},
		topic.DSLTemplateGet:   {Serve: s.model},
		topic.DynamicTSLGet:    {Serve: s.dynamicModel},
		topic.ConfigLogGet:     {Serve: s.logConfig},
		topic.LogPost:          {Serve: s.postLog},
		topic.DiagPost:         {Serve: s.postNetwork},
		topic.LANPrefixGet:     {Raw: true, Serve: s.lanPrefix},
	}
}

// refused is an error with code 460, for parameters of another shape than the topic takes.
func refused(cause refusal.Cause, message string) *alink.Error {
	return &alink.Error{Code: alink.CodeParams, Cause: cause, Message: message, Kind: iot.InvalidParams}
}

func failed(err error) exchange.Answer { return exchange.Answer{Err: err} }

// change reads, changes and writes what is known of a device, again if somebody came between. do answers false if there is nothing to
// write.
func (s *Service) change(ctx context.Context, dev iot.DeviceRef, do func(d *store.DeviceInfo) (bool, error)) error {
	return store.Revise(ctx, func() error {
		d, err := s.infos.Get(ctx, dev)
		if err != nil {
			return err
		}
		before := append([]store.Tag(nil), d.Tags...)
		changed, err := do(d)
		if err != nil || !changed {
			return err
		}
		d.UpdatedAt = s.now().UnixMilli()
		return s.infos.Put(ctx, d, before)
	})
}

// text is a string's content, or another scalar's own text; "" for null, objects, arrays and nothing.
func text(raw []byte) string {
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[' || string(raw) == "null":
		return ""
	case raw[0] == '"':
		return string(alink.Unquote(raw))
	}
	return string(raw)
}
