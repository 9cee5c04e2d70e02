package main

import (
	"context"
	"encoding/json"

	"relink/shared/device"
	"relink/shared/iot"
	"relink/shared/record"
	"relink/shared/refusal"
)

// codeRemoved is the answer about a session over a gateway that the device does not belong to ("topo relation not exist").
const codeRemoved = 6401

// relations answers 6401 for a sub-device that was removed from its gateway, or moved to another one, while it logged in: between the
// moment when topology read its relation and the moment when its connector could be told to drop it. The connector then ends the session.
func (h *handler) relations(ctx context.Context, batch *record.Batch, begun []int, results []record.Result) {
	var records []int
	var subs, gateways []iot.DeviceRef
	for _, i := range begun {
		var online device.Online
		if results[i].Code != 200 || json.Unmarshal(batch.Records[i].Payload, &online) != nil || online.GatewayProductKey == "" {
			continue
		}
		records, subs = append(records, i), append(subs, batch.Records[i].Device)
		gateways = append(gateways, iot.DeviceRef{ProductKey: online.GatewayProductKey, DeviceName: online.GatewayDeviceName})
	}
	if len(subs) == 0 {
		return
	}
	links, err := h.links.Links(ctx, subs)
	for j, i := range records {
		switch {
		case err != nil:
			results[i] = h.failed(ctx, &batch.Records[i], err)
		case links[j] == nil || links[j].Gateway != gateways[j]:
			results[i] = record.Result{Code: codeRemoved, Reason: string(refusal.TopologyRemoved)}
		}
	}
}
