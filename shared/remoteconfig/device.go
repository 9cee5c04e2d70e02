package remoteconfig

import (
	"context"

	"relink/shared/alink"
	"relink/shared/exchange"
	"relink/shared/topic"
)

// Families are the conversations of devices about their configuration.
func (s *Service) Families() map[topic.Family]exchange.Family {
	return map[topic.Family]exchange.Family{
		topic.ConfigGet:       {Serve: s.get},
		topic.ConfigPushReply: {Serve: pushed},
	}
}

// get answers thing/config/get. attributeKeys is ignored, as the original did.
func (s *Service) get(ctx context.Context, r *exchange.Request) exchange.Answer {
	for name, value := range alink.Members(r.Alink.Params) {
		text := string(alink.Unquote(value))
		switch string(name) {
		case "configScope":
			if text != "product" {
				return exchange.Answer{Err: alink.ErrParamsMalformed, Detail: "configScope is product"}
			}
		case "getType":
			if text != "file" {
				return exchange.Answer{Err: alink.ErrParamsMalformed, Detail: "getType is file"}
			}
		}
	}
	notice, err := s.Notice(ctx, r.Ref().ProductKey)
	return exchange.Answer{Data: notice, Err: err}
}

// pushed takes what a device answers to a push. Link SDK C 3.x answers only failures, and those malformed: everything is taken.
func pushed(context.Context, *exchange.Request) exchange.Answer { return exchange.Answer{Silent: true} }
