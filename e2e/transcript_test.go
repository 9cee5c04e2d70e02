package e2e

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"relink/scripts/load"
)

// Transcripts are conversations between devices and the platform, word for word, in testdata/transcripts:
//
//	# a comment
//	> TOPIC [qos1]       a device publishes the next line
//	< TOPIC              a device receives the next line, as the next message on that topic
//	< nothing            nothing arrives within 300 ms
//	! Action Key=Value   an application calls the OpenAPI; the next line, if it begins with a brace, is the answer
//	+ TOPIC              a device subscribes the filter with QoS 1
//	!& Action Key=Value  the same, while the conversation goes on; !wait waits for its answer
//	@ ext=3              before anything else: parameters of the devices' client ids
//
// Payloads are exact bytes, in hexadecimal digits after "hex:"; in what is received and answered <*> stands for any characters, and
// {:name} for those that {name} stands for from then on. Known names are {pk} {dn} {iotId}, a device of a product with the golden
// thing model; {gpk} {gdn}, a gateway; {spk} {sdn}, its sub-device, logged in; {rpk} {rdn}, a device whose product has a script. A
// device subscribes nothing but what + says.
const transcripts = "testdata/transcripts"

type step struct {
	line    int
	kind    string // > < + ! !& !wait
	subject string // topic or call
	payload string
	has     bool // there is a payload
}

func readTranscript(t *testing.T, path string) (options string, steps []step) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimRight(line, " \r")
		kind, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "" || kind == "#":
		case kind == "@":
			options = rest
		case kind == ">" || kind == "<" || kind == "+" || kind == "!" || kind == "!&" || kind == "!wait":
			steps = append(steps, step{line: i + 1, kind: kind, subject: rest})
		case len(steps) == 0 || steps[len(steps)-1].has:
			t.Fatalf("%s:%d: what is %q?", path, i+1, line)
		default:
			last := &steps[len(steps)-1]
			last.payload, last.has = line, true
		}
	}
	return options, steps
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join(transcripts, "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	s := sharedSystem(t)
	stage := newStage(t, s)
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options, steps := readTranscript(t, path)
			stage.play(t, name, options, steps)
		})
	}
}

// A stage has the products that all transcripts share.
type stage struct {
	s                  *system
	pk, gateways, subs string
	raws               func() string
}

func newStage(t *testing.T, s *system) *stage {
	t.Helper()
	api := s.api(t)
	g := &stage{s: s, pk: goldenProduct(t, api, "transcript_golden")}
	g.gateways = plainProduct(t, api, "transcript_gateway", 1, 1)
	g.subs = plainProduct(t, api, "transcript_sub", 0, 1)
	g.raws = sync.OnceValue(func() string { return rawProduct(t, s, api) })
	return g
}

// plainProduct creates a product that has no thing model.
func plainProduct(t *testing.T, api *iotapi.Client, name string, nodeType, dataFormat int32) string {
	t.Helper()
	p, err := api.CreateProduct(&iotapi.CreateProductRequest{
		ProductName: &name, NodeType: &nodeType, DataFormat: &dataFormat, AliyunCommodityCode: tea.String("iothub_senior"),
	})
	if err != nil || !tea.BoolValue(p.Body.Success) {
		t.Fatalf("CreateProduct: %v %v", err, p)
	}
	return *p.Body.Data.ProductKey
}

// importModel gives a product a thing model, of the default module or of another one.
func importModel(t *testing.T, api *iotapi.Client, pk, file, module string) {
	t.Helper()
	model, err := os.ReadFile(filepath.Join(root, "shared", "tsl", "testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	request := &iotapi.ImportThingModelTslRequest{ProductKey: &pk, TslStr: tea.String(string(model))}
	if module != "" {
		request.FunctionBlockId, request.FunctionBlockName = &module, tea.String(module+"_module")
	}
	if r, err := api.ImportThingModelTsl(request); err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("ImportThingModelTsl %s: %v %v", file, err, r)
	}
}

func publishModel(t *testing.T, api *iotapi.Client, pk string) {
	t.Helper()
	if r, err := api.PublishThingModel(&iotapi.PublishThingModelRequest{ProductKey: &pk}); err != nil || !tea.BoolValue(r.Body.Success) {
		t.Fatalf("PublishThingModel: %v %v", err, r)
	}
}

// goldenProduct has the model of the device protocol's golden examples.
func goldenProduct(t *testing.T, api *iotapi.Client, name string) string {
	t.Helper()
	pk := plainProduct(t, api, name, 0, 1)
	importModel(t, api, pk, "golden_model.json", "")
	importModel(t, api, pk, "golden_module.json", "meter")
	publishModel(t, api, pk)
	return pk
}

// rawProduct has the golden model and the golden script.
func rawProduct(t *testing.T, s *system, api *iotapi.Client) string {
	t.Helper()
	pk := plainProduct(t, api, "transcript_raw", 0, 0)
	importModel(t, api, pk, "golden_model.json", "")
	publishModel(t, api, pk)
	script, err := os.ReadFile(filepath.Join(root, "shared", "script", "testdata", "golden.js"))
	if err != nil {
		t.Fatal(err)
	}
	if body := s.call(t, "CreateThingScript", map[string]string{"ProductKey": pk, "ScriptType": "JavaScript", "ScriptContent": string(script)}); !bytes.Contains(body, []byte(`"Success":true`)) {
		t.Fatalf("CreateThingScript: %s", body)
	}
	return pk
}

// call calls any action through the official SDK's core, and returns the answer's text.
func (s *system) call(t *testing.T, action string, query map[string]string) []byte {
	t.Helper()
	body, err := s.tryCall(action, query)
	if err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	return body
}

func (s *system) tryCall(action string, query map[string]string) ([]byte, error) {
	q := map[string]*string{}
	for k, v := range query {
		q[k] = tea.String(v)
	}
	c, err := iotapi.NewClient(&openapi.Config{
		AccessKeyId: tea.String(s.env["RELINK_ACCESS_KEY_ID"]), AccessKeySecret: tea.String(s.env["RELINK_ACCESS_KEY_SECRET"]),
		Endpoint: tea.String(strings.TrimPrefix(s.env["RELINK_OPENAPI_ENDPOINT"], "http://")), Protocol: tea.String("HTTP"),
		HttpClient: sdkTransport{},
	})
	if err != nil {
		return nil, err
	}
	result, err := c.CallApi(&openapi.Params{
		Action: &action, Version: tea.String("2018-01-20"), Protocol: tea.String("HTTP"), Pathname: tea.String("/"), Method: tea.String("POST"),
		AuthType: tea.String("AK"), Style: tea.String("RPC"), ReqBodyType: tea.String("formData"), BodyType: tea.String("json"),
	}, &openapi.OpenApiRequest{Query: q}, &dara.RuntimeOptions{})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err = enc.Encode(result["body"])
	return bytes.TrimSpace(b.Bytes()), err
}

// A scene is one transcript on its way.
type scene struct {
	*stage
	t       *testing.T
	names   map[string]string
	devices map[string]*lamp         // by the name's letter: "" g r
	running chan []byte              // answers of !&
	early   map[*lamp][]mqtt.Message // came before they were asked for: messages on different topics come in any order
}

// productWide are calls that all devices of a product hear, so that their transcript needs a product of its own.
var productWide = regexp.MustCompile(`RemoteConfig|PubBroadcast|ProductTopic`)

func (g *stage) play(t *testing.T, name, options string, steps []step) {
	api := g.s.api(t)
	text := ""
	for _, s := range steps {
		text += s.subject + s.payload
	}
	dn := strings.ReplaceAll(name, ".", "_") + "_dev"
	p := &scene{stage: g, t: t, names: map[string]string{}, devices: map[string]*lamp{}, running: make(chan []byte, 8), early: map[*lamp][]mqtt.Message{}}
	join := func(letter, pk, name string) {
		d := newDevice(t, api, pk, name)
		p.names[letter+"pk"], p.names[letter+"dn"] = pk, name
		p.devices[letter] = p.connect(d, options)
	}
	pk := g.pk
	if productWide.MatchString(text) {
		pk = goldenProduct(t, api, "transcript_"+dn)
	}
	join("", pk, dn)
	detail, err := api.QueryDeviceInfo(&iotapi.QueryDeviceInfoRequest{ProductKey: &pk, DeviceName: &dn})
	if err != nil || !tea.BoolValue(detail.Body.Success) {
		t.Fatalf("QueryDeviceInfo: %v %v", err, detail)
	}
	p.names["iotId"] = *detail.Body.Data.IotId
	if strings.Contains(text, "{rdn}") {
		join("r", g.raws(), dn)
	}
	if strings.Contains(text, "{gdn}") || strings.Contains(text, "{sdn}") {
		join("g", g.gateways, dn)
		p.sub(newDevice(t, api, g.subs, dn), strings.Contains(text, "{ssign}"))
	}
	for _, s := range steps {
		p.step(s)
	}
}

func (p *scene) connect(d load.Device, options string) *lamp {
	p.t.Helper()
	o := lampOptions(d, "tcp://"+p.s.env["RELINK_MQTT"], nil)
	if options != "" {
		o.SetClientID(strings.Replace(o.ClientID, "ext=0", options, 1))
	}
	return connect(p.t, d, o)
}

// sub makes the gateway's sub-device: in its topology and logged in, unless the transcript does that itself, with the names below.
func (p *scene) sub(d load.Device, byItself bool) {
	p.t.Helper()
	p.names["spk"], p.names["sdn"], p.names["ssecret"] = d.ProductKey, d.DeviceName, d.DeviceSecret
	p.names["ssign"] = signSub(d)
	if byItself {
		return
	}
	gateway := p.devices["g"]
	g := p.names["gpk"] + "/" + p.names["gdn"]
	gateway.post(p.t, "/sys/"+g+"/thing/topo/add", fmt.Sprintf(`{"id":"1","version":"1.0","params":[%s],"method":"thing.topo.add"}`, subEntry(d)))
	if got := string(gateway.next(p.t, "/sys/"+g+"/thing/topo/add_reply")); !strings.Contains(got, `"code":200`) {
		p.t.Fatalf("topo/add: %s", got)
	}
	gateway.post(p.t, "/ext/session/"+g+"/combine/login", fmt.Sprintf(`{"id":"2","params":%s}`, subEntry(d)))
	if got := string(gateway.next(p.t, "/ext/session/"+g+"/combine/login_reply")); !strings.Contains(got, `"code":200`) {
		p.t.Fatalf("combine/login: %s", got)
	}
}

// named puts values in the place of names.
func (p *scene) named(s string) string {
	for name, value := range p.names {
		s = strings.ReplaceAll(s, "{"+name+"}", value)
	}
	return s
}

// device is whose conversation a topic belongs to.
func (p *scene) device(topicName string) *lamp {
	for _, letter := range []string{"r", "g", "s"} {
		if strings.Contains(topicName, "{"+letter+"dn}") || strings.Contains(topicName, "{"+letter+"pk}") {
			return p.devices[strings.Replace(letter, "s", "g", 1)]
		}
	}
	return p.devices[""]
}

func (p *scene) step(s step) {
	t := p.t
	t.Helper()
	switch s.kind {
	case ">":
		name, qos, _ := strings.Cut(s.subject, " ")
		device := p.device(name)
		level := byte(0)
		if qos == "qos1" {
			level = 1
		}
		token := device.Publish(p.named(name), level, false, p.bytes(s))
		if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			t.Fatalf("line %d: publish: %v", s.line, token.Error())
		}
	case "<":
		if s.subject == "nothing" {
			p.nothing(s)
			return
		}
		p.receive(s)
	case "+":
		token := p.device(s.subject).Subscribe(p.named(s.subject), 1, nil)
		if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			t.Fatalf("line %d: subscribe: %v", s.line, token.Error())
		}
		for filter, code := range token.(*mqtt.SubscribeToken).Result() {
			if code > 2 {
				t.Fatalf("line %d: subscribing %s is refused: %#x", s.line, filter, code)
			}
		}
	case "!", "!&":
		action, rest, _ := strings.Cut(p.named(s.subject), " ")
		query := parameters(rest)
		if s.kind == "!&" {
			go func() {
				body, err := p.stage.s.tryCall(action, query)
				if err != nil {
					body = []byte(err.Error())
				}
				p.running <- body
			}()
			return
		}
		p.answer(s, p.stage.s.call(t, action, query))
	case "!wait":
		select {
		case body := <-p.running:
			p.answer(s, body)
		case <-time.After(20 * time.Second):
			t.Fatalf("line %d: no answer", s.line)
		}
	}
}

// parameters reads Key=Value pairs; a value in single quotes may have blanks.
var parameter = regexp.MustCompile(`([A-Za-z0-9.]+)=('[^']*'|\S*)`)

func parameters(s string) map[string]string {
	query := map[string]string{}
	for _, m := range parameter.FindAllStringSubmatch(s, -1) {
		query[m[1]] = strings.Trim(m[2], "'")
	}
	return query
}

func (p *scene) answer(s step, body []byte) {
	p.t.Helper()
	switch {
	case s.has:
		p.match(s, s.payload, string(body))
	case !bytes.Contains(body, []byte(`"Success":true`)):
		p.t.Fatalf("line %d: %s: %s", s.line, s.subject, body)
	}
}

func (p *scene) bytes(s step) []byte {
	if digits, ok := strings.CutPrefix(s.payload, "hex:"); ok {
		b, err := hex.DecodeString(digits)
		if err != nil {
			p.t.Fatalf("line %d: %v", s.line, err)
		}
		return b
	}
	return []byte(p.named(s.payload))
}

func (p *scene) receive(s step) {
	p.t.Helper()
	device := p.device(s.subject)
	name := pattern(p.named(s.subject))
	deadline := time.After(10 * time.Second)
	for {
		if i := slices.IndexFunc(p.early[device], func(m mqtt.Message) bool { return name.MatchString(m.Topic()) }); i >= 0 {
			m := p.early[device][i]
			p.early[device] = slices.Delete(p.early[device], i, i+1)
			p.capture(name, name.FindStringSubmatch(m.Topic()))
			got := string(m.Payload())
			if strings.HasPrefix(s.payload, "hex:") {
				got = "hex:" + hex.EncodeToString(m.Payload())
			}
			p.match(s, s.payload, got)
			return
		}
		select {
		case m := <-device.messages:
			p.early[device] = append(p.early[device], m)
		case <-deadline:
			p.t.Fatalf("line %d: nothing on %s", s.line, p.named(s.subject))
		}
	}
}

func (p *scene) nothing(s step) {
	p.t.Helper()
	timer := time.After(300 * time.Millisecond)
	for {
		select {
		case m := <-p.devices[""].messages:
			p.t.Errorf("line %d: %s %s", s.line, m.Topic(), m.Payload())
		case <-timer:
			return
		}
	}
}

func (p *scene) match(s step, want, got string) {
	p.t.Helper()
	re := pattern(p.named(want))
	found := re.FindStringSubmatch(got)
	if found == nil {
		p.t.Fatalf("line %d: %s\n got %s\nwant %s", s.line, s.subject, got, p.named(want))
	}
	p.capture(re, found)
}

func (p *scene) capture(re *regexp.Regexp, found []string) {
	for i, name := range re.SubexpNames() {
		if name != "" {
			p.names[name] = found[i]
		}
	}
}

var holes = regexp.MustCompile(`<\*>|\{:([a-zA-Z0-9]+)\}`)

// pattern makes an expression of a text with holes.
func pattern(text string) *regexp.Regexp {
	expression, at := `(?s)^`, 0
	for _, m := range holes.FindAllStringSubmatchIndex(text, -1) {
		expression += regexp.QuoteMeta(text[at:m[0]])
		if m[2] < 0 {
			expression += `.*?`
		} else {
			expression += `(?P<` + text[m[2]:m[3]] + `>.+?)`
		}
		at = m[1]
	}
	return regexp.MustCompile(expression + regexp.QuoteMeta(text[at:]) + `$`)
}
