package forward

import "encoding/json"

type failure struct {
	ActionType     string `json:"actionType"`
	ActionRegion   string `json:"actionRegion"`
	ActionResource string `json:"actionResource"`
	ErrorMessage   string `json:"errorMessage"`
}

// Failure is what an error action gets of items that failed, which are of one message of one rule ("Failure and error action").
func Failure(items []*Item) ([]byte, error) {
	first := items[0]
	told := struct {
		RuleName              string    `json:"ruleName"`
		Topic                 string    `json:"topic"`
		ProductKey            string    `json:"productKey"`
		DeviceName            string    `json:"deviceName"`
		MessageID             string    `json:"messageId"`
		Base64OriginalPayload []byte    `json:"base64OriginalPayload"`
		Failures              []failure `json:"failures"`
	}{RuleName: first.RuleName, Topic: first.Message.Topic, ProductKey: string(first.Message.Device.ProductKey),
		DeviceName: string(first.Message.Device.DeviceName), MessageID: first.Message.ID, Base64OriginalPayload: first.Original}
	if told.Base64OriginalPayload == nil {
		told.Base64OriginalPayload = []byte{}
	}
	for _, i := range items {
		told.Failures = append(told.Failures, failure{i.Target.Type, i.Target.Region, i.Target.Resource, i.Reason})
	}
	return json.Marshal(told)
}
