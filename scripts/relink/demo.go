package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"

	"relink/scripts/load"
)

const (
	demoProduct = "relink_demo"
	demoDevice  = "demo-device"
	demoModel   = `{"properties":[
 {"identifier":"temperature","name":"temperature","accessMode":"rw","required":false,"dataType":{"type":"float","specs":{"min":"-40","max":"120","step":"0.1","unit":"C","unitName":"degree Celsius"}}}],
 "events":[],
 "services":[{"identifier":"reboot","name":"reboot","required":false,"callType":"async","inputData":[],"outputData":[]}]}`
)

// A demo is the ready-made device, with all that its first message needs.
type demo struct {
	ProductKey    string `json:"productKey"`
	DeviceName    string `json:"deviceName"`
	DeviceSecret  string `json:"deviceSecret"`
	ClientID      string `json:"clientId"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	Topic         string `json:"topic"`
	Payload       string `json:"payload"`
	MosquittoPub  string `json:"mosquittoPub"`
	RelinkCommand string `json:"relinkCommand"`
}

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Create the demo product and device once, and show how the device sends its first message",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := a.demo()
			if err != nil {
				return err
			}
			return a.print(cmd, d, func(w io.Writer) {
				row(w, "product key", d.ProductKey)
				row(w, "device name", d.DeviceName)
				row(w, "device secret", d.DeviceSecret)
				row(w, "MQTT client id", d.ClientID)
				row(w, "MQTT user name", d.Username)
				row(w, "MQTT password", d.Password)
				fmt.Fprintf(w, "\n%s\n%s\n", d.RelinkCommand, d.MosquittoPub)
			})
		},
	}
}

// demo makes what is missing, so that a start that was interrupted is completed by the next.
func (a *app) demo() (*demo, error) {
	api, err := a.api()
	if err != nil {
		return nil, err
	}
	productKey, err := a.productByName(api, demoProduct)
	if err != nil {
		return nil, err
	}
	if productKey == "" {
		p, err := a.createProduct(demoProduct, "the ready-made device", false, false, false, 1)
		if err != nil {
			return nil, err
		}
		productKey = str(p.ProductKey)
	}
	published, err := patiently(api.GetThingModelTslPublished, &iotapi.GetThingModelTslPublishedRequest{ProductKey: &productKey})
	if err != nil || !strings.Contains(str(published.Body.Data.TslStr), `"temperature"`) {
		if err := a.importModel(productKey, demoModel, module{}); err != nil {
			return nil, err
		}
		if err := a.publishModel(productKey, "1.0", "the ready-made device"); err != nil {
			return nil, err
		}
	}
	created, err := api.RegisterDevice(&iotapi.RegisterDeviceRequest{ProductKey: &productKey, DeviceName: tea.String(demoDevice)})
	if err := check(created, err); err != nil {
		if r, ok := errors.AsType[*refused](err); !ok || !strings.HasSuffix(r.code, "AlreadyExistedDeviceName") {
			return nil, err
		}
	}
	secret, err := a.deviceSecret(productKey, demoDevice)
	if err != nil {
		return nil, err
	}
	device := load.Device{ProductKey: productKey, DeviceName: demoDevice, DeviceSecret: secret}
	const id = "demo"
	d := &demo{
		ProductKey: productKey, DeviceName: demoDevice, DeviceSecret: secret,
		ClientID: device.ClientID(id), Username: device.Username(), Password: device.Password(id),
		Topic:         device.Topic(),
		Payload:       `{"id":"1","version":"1.0","params":{"temperature":23.5},"method":"thing.event.property.post"}`,
		RelinkCommand: fmt.Sprintf("go run ./scripts/relink property post %s %s temperature=23.5", productKey, demoDevice),
	}
	host, port, _ := strings.Cut(or(a.env.get("RELINK_MQTT"), "127.0.0.1:1883"), ":")
	d.MosquittoPub = fmt.Sprintf("mosquitto_pub -h %s -p %s -q 1 -i '%s' -u '%s' -P %s -t %s -m '%s'",
		host, port, d.ClientID, d.Username, d.Password, d.Topic, d.Payload)
	return d, nil
}
