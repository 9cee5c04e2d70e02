package main

import (
	"context"
	"log/slog"
	"strconv"
	"strings"

	"relink/shared/alink"
	"relink/shared/downlink"
	"relink/shared/logs"
	"relink/shared/openapi"
	"relink/shared/service"
	"relink/shared/store"
	"relink/shared/topic"
)

// callRecorder is a commander that stores every property set, property get and service before it is sent, and the answer of a synchronous
// one. A request that could not be stored is not sent.
type callRecorder struct {
	to      commander
	history *service.Service
	log     *slog.Logger
}

func (r callRecorder) Command(ctx context.Context, c downlink.Command) (downlink.Outcome, error) {
	call, ok := callOf(c.Publish)
	if !ok {
		return r.to.Command(ctx, c)
	}
	calls := []store.Call{call}
	if err := r.history.Call(ctx, calls...); err != nil {
		return downlink.Outcome{}, err
	}
	o, err := r.to.Command(ctx, c)
	if err == nil && o.State == downlink.Sent && c.Publish.ReplyTopic != "" {
		// The device has acted: that its answer is missing in the history is no reason to let the application ask again.
		if err := r.history.Answer(ctx, calls[0], o.Reply); err != nil {
			r.log.LogAttrs(ctx, slog.LevelError, "answer of a device not stored", logs.Device(call.Ref), slog.String(logs.FieldMessageID, call.MessageID), logs.Err(err))
		}
	}
	return o, err
}

// record stores the requests among messages together; errs are per message.
func (r callRecorder) record(ctx context.Context, messages []*downlink.Publish) (errs []error) {
	errs = make([]error, len(messages))
	calls, place := make([]store.Call, 0, len(messages)), make([]int, 0, len(messages))
	for i, p := range messages {
		if call, ok := callOf(p); ok {
			calls, place = append(calls, call), append(place, i)
		}
	}
	if len(calls) == 0 {
		return errs
	}
	for j, err := range r.history.CallEach(ctx, calls) {
		errs[place[j]] = err
	}
	return errs
}

// callOf is the request that a message is; false if it is none of the thing model's.
func callOf(p *downlink.Publish) (store.Call, bool) {
	if p == nil {
		return store.Call{}, false
	}
	up, err := topic.ParseUplink(p.Topic)
	if err != nil {
		return store.Call{}, false
	}
	call := store.Call{Ref: p.Ref(), MessageID: p.MessageID}
	switch up.Family {
	case topic.DownPropertySet:
		call.Identifier = service.Set
	case topic.DownPropertyGet:
		call.Identifier = service.Get
	case topic.DownService:
		call.Identifier = up.Name
	case topic.DownRRPC:
	default:
		return store.Call{}, false
	}
	request, err := alink.Parse(p.Payload)
	if err != nil {
		return store.Call{}, false
	}
	if call.Identifier == "" { // the application's own bytes, unless they are a synchronous service
		name, ok := strings.CutPrefix(request.Method, "thing.service.")
		if !ok {
			return store.Call{}, false
		}
		call.Identifier = name
	}
	call.Input = request.Params
	return call, true
}

type serviceInfo struct {
	Identifier string
	InputData  string
	Name       string
	OutputData string `json:",omitempty"`
	Time       string
}

type serviceHistory struct {
	List      struct{ ServiceInfo []serviceInfo }
	NextTime  int64 `json:",omitempty"`
	NextValid bool
}

func (a *api) queryDeviceServiceData(ctx context.Context, c *openapi.Call) (any, error) {
	h, err := readHistory(c, 10, 50)
	if err != nil {
		return nil, err
	}
	identifier := c.Params.String("Identifier")
	if len(identifier) > 128 {
		return nil, openapi.Invalid("Identifier")
	}
	d, err := a.device(ctx, c)
	if err != nil {
		return nil, err
	}
	p, err := a.cached.Get(ctx, d.Ref.ProductKey)
	if err != nil {
		return nil, err
	}
	calls, next, err := a.calls.List(ctx, d.Ref, store.CallQuery{Identifier: identifier, From: h.from, To: h.to, Ascending: h.ascending, Limit: h.size})
	if err != nil {
		return nil, err
	}
	answer := serviceHistory{NextTime: next, NextValid: next != 0}
	answer.List.ServiceInfo = list(len(calls), func(i int) serviceInfo {
		call := &calls[i]
		name := call.Identifier
		if p.Thing != nil {
			if s, ok := p.Thing.Service(call.Identifier); ok {
				name = s.Name
			}
		}
		return serviceInfo{call.Identifier, string(call.Input), name, string(call.Output), strconv.FormatInt(call.Time, 10)}
	})
	return dataAnswer[serviceHistory]{answer}, nil
}
