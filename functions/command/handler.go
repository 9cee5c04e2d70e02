package main

import (
	"context"
	"encoding/json"

	"relink/shared/command"
	"relink/shared/downlink"
	"relink/shared/iot"
)

// handler carries out one command.
type handler struct{ commands *command.Service }

// Invoke answers an Outcome as JSON. An error means that it is not known what became of the command, or that it makes no sense.
func (h *handler) Invoke(ctx context.Context, event []byte) ([]byte, error) {
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
