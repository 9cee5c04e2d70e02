package main

import (
	"encoding/json"
	"errors"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"
)

// own calls an action that the vendor's SDK does not know, with the SDK's own means, and reads the answer into body, which may be nil.
// Empty parameters are left out.
func (a *app) own(action string, params map[string]string, body any) error {
	api, err := a.api()
	if err != nil {
		return err
	}
	query := map[string]*string{}
	for name, value := range params {
		if value != "" {
			query[name] = &value
		}
	}
	result, err := api.CallApi(&openapi.Params{
		Action: &action, Version: tea.String("2018-01-20"), Protocol: api.Protocol, Pathname: tea.String("/"), Method: tea.String("POST"),
		AuthType: tea.String("AK"), Style: tea.String("RPC"), ReqBodyType: tea.String("formData"), BodyType: tea.String("json"),
	}, &openapi.OpenApiRequest{Query: query}, &dara.RuntimeOptions{})
	if err != nil {
		return err
	}
	text, err := json.Marshal(result["body"])
	if err != nil {
		return err
	}
	var envelope struct {
		Success            bool
		Code, ErrorMessage string
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		return errors.New("the answer is not understood: " + err.Error())
	}
	if !envelope.Success {
		return &refused{code: envelope.Code, message: envelope.ErrorMessage}
	}
	if body == nil {
		return nil
	}
	return json.Unmarshal(text, body)
}
