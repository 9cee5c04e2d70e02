package main

import (
	"context"
	"encoding/json"

	"relink/shared/command"
	"relink/shared/downlink"
	"relink/shared/iot"
)

// handler carries out one command, or takes a batch of answers of devices.
type handler struct {
	commands *command.Service
	answers  desk
}

// Invoke answers an Outcome as JSON, or the results of a batch. An error means that it is not known what became of the command, or that it makes no sense.
func (h *handler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	if isBatch(event) {
		return h.answers.Invoke(ctx, event)
	}
	var c downlink.Command
	if err := json.Unmarshal(event, &c); err != nil {
		return nil, iot.Wrap(iot.InvalidParams, err, "command is not understood")
	}
	outcome, err := h.commands.Execute(ctx, &c)
	if err != nil {
		return nil, err
	}
	return json.Marshal(outcome)
}
