package e2e

import (
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
)

// frames speaks one byte for the kind of a frame and ids of four bytes: posts, replies, services and their answers.
const frames = `
function id(b) { return String(((b[1] & 255) << 24 | (b[2] & 255) << 16 | (b[3] & 255) << 8 | b[4] & 255) >>> 0); }
function rawDataToProtocol(bytes) {
  switch (bytes[0]) {
  case 0: return {method: 'thing.event.property.post', id: id(bytes), params: {level: bytes[5] & 255}};
  case 5: return {id: id(bytes), code: 200, data: {mean: bytes[5] / 2}};
  case 7: for (;;);
  case 8: throw new Error('frame of kind 8');
  }
}
function protocolToRawData(json) {
  var n = parseInt(json.id, 10), out = [0, n >>> 24, n >>> 16, n >>> 8, n];
  if (json.method === 'thing.service.measure') { out[0] = 4; out.push(json.params.times); return out; }
  out[0] = 2; out.push(json.code / 2);
  return out;
}`

// TestRawProduct is a raw product's life: script, post, synchronous service over both forms of RRPC, a hostile frame among good ones, and
// what is kept of it.
func TestRawProduct(t *testing.T) {
	s := sharedSystem(t)
	api := s.api(t)
	pk := plainProduct(t, api, "e2e_raw", 0, 0)
	if r, err := api.ImportThingModelTsl(&iotapi.ImportThingModelTslRequest{ProductKey: &pk, TslStr: tea.String(lampModel)}); err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("%v %v", err, r)
	}
	publishModel(t, api, pk)
	c, err := api.CreateThingScript(&iotapi.CreateThingScriptRequest{ProductKey: &pk, ScriptType: tea.String("JavaScript"), ScriptContent: tea.String(frames)})
	if err != nil || !tea.BoolValue(c.Body.Success) {
		t.Fatalf("CreateThingScript: %v %v", err, c)
	}
	g, err := api.GetThingScript(&iotapi.GetThingScriptRequest{ProductKey: &pk})
	if err != nil || !tea.BoolValue(g.Body.Success) {
		t.Fatalf("GetThingScript: %v %v", err, g)
	}
	resp, err := http.Get(tea.StringValue(g.Body.Data.ScriptUrl))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(text) != frames {
		t.Fatalf("%s: %d %q, %v", tea.StringValue(g.Body.Data.ScriptUrl), resp.StatusCode, text, err)
	}

	for name, ext := range map[string]string{"raw-plain": "ext=0", "raw-ext": "ext=3"} {
		device := newDevice(t, api, pk, name)
		o := lampOptions(device, "tcp://"+s.env["RELINK_MQTT"], nil)
		o.SetClientID(strings.Replace(o.ClientID, "ext=0", ext, 1))
		l := connect(t, device, o)
		base := "/sys/" + pk + "/" + name + "/thing/model/"
		// A frame that never ends and one that throws: their neighbours are answered.
		for _, frame := range []string{"\x07\x00\x00\x00\x01\x01", "\x08\x00\x00\x00\x02\x01", "\x00\x00\x00\x00\x09\x2a"} {
			l.post(t, base+"up_raw", frame)
		}
		if got := hex.EncodeToString(l.next(t, base+"up_raw_reply")); got != "020000000964" {
			t.Errorf("%s: reply %s", name, got)
		}
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			deadline := time.After(10 * time.Second)
			for {
				select {
				case m := <-l.messages:
					call := m.Payload()
					if len(call) == 6 && call[0] == 4 && call[5] == 3 {
						reply := append([]byte{5}, append(call[1:5:5], 9)...)
						l.Publish(strings.Replace(m.Topic(), "/rrpc/request/", "/rrpc/response/", 1), 0, false, reply)
						if ext == "ext=3" && !(strings.HasPrefix(m.Topic(), "/ext/rrpc/") && strings.HasSuffix(m.Topic(), base+"down_raw")) {
							t.Errorf("the call came on %s", m.Topic())
						}
						return
					}
				case <-deadline:
					return
				}
			}
		}()
		r, err := api.InvokeThingService(&iotapi.InvokeThingServiceRequest{ProductKey: &pk, DeviceName: &name, Identifier: tea.String("measure"), Args: tea.String(`{"times":3}`)})
		<-answered
		if err != nil || !tea.BoolValue(r.Body.Success) || !strings.Contains(tea.StringValue(r.Body.Data.Result), `"data":{"mean":4.5}`) {
			t.Errorf("%s: InvokeThingService: %v %v", name, err, r)
		}
	}
	failures := string(s.call(t, "RelinkQueryScriptFailures", map[string]string{"ProductKey": pk}))
	for _, want := range []string{`"Failure":"too_many_steps"`, `"Exception":"Error: frame of kind 8"`, `"Line":8`, `"Input":"0x080000000201"`} {
		if !strings.Contains(failures, want) {
			t.Errorf("failures %s, want %s", failures, want)
		}
	}
}
